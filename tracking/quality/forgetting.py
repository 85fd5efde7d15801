"""Guesses that may not stay: of who permits personalisation no more, and those that nothing speaks for any longer.

Who has laid personalisation aside or has several records is not guessed at: their guesses stay until the visits that they
rest on are out of date. Who is frozen keeps what is stored, untouched.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.dateparse import parse_datetime

from accounts.models import Customer, ProfileSource, ProfileStatement, Store
from accounts.models.merge import PersonRecord
from accounts.services.guesses import guesses_forget, is_guess
from consent.purposes import Purpose
from consent.selectors.denied import denied_now

CHUNK: Final = 1_000


def forget_outdated(
    store: Store,
    current: Mapping[str, Collection[str]],
    *,
    fields: Collection[str],
    origin: str,
    since: datetime,
) -> int:
    """Take back what is not in `current`, {customer's external id: fields}. `since`: older visits do not count. Gives how many
    customers were touched."""
    denied = denied_now(store, Purpose.PERSONALISATION, with_pauses=False).customer_ids
    merged = set(PersonRecord.objects.for_store(store).values_list("customer_id", flat=True))
    outdated: dict[int, set[str]] = {}
    for customer, guessed in _guessed(Customer.objects.for_store(store), fields, origin):
        is_left_out = customer.pk in merged or customer.is_personalisation_paused
        if customer.pk in denied:
            gone = set(guessed)
        elif is_left_out:
            gone = {name for name, at in guessed.items() if at is None or at < since}
        else:
            gone = set(guessed) - set(current.get(customer.external_id, ()))
        if gone:
            outdated[customer.pk] = gone
    keys = list(outdated)
    return sum(
        guesses_forget(store=store, fields={pk: outdated[pk] for pk in keys[at : at + CHUNK]}, origin=origin)
        for at in range(0, len(keys), CHUNK)
    )


def forget_all_of(customers: QuerySet[Customer], store: Store, fields: Collection[str], origin: str) -> int:
    """Every guess about these customers."""
    found = {customer.pk: list(guessed) for customer, guessed in _guessed(customers, fields, origin)}
    return guesses_forget(store=store, fields=found, origin=origin)


def _guessed(
    customers: QuerySet[Customer], fields: Collection[str], origin: str
) -> Iterable[tuple[Customer, dict[str, datetime | None]]]:
    """Customers with guesses, {field: when it was guessed}, in force or beside a better source."""
    inferred = ProfileStatement.all_stores.filter(
        source=ProfileSource.INFERRED, origin=origin, field__in=fields
    )
    has_guess = Q(Exists(inferred.filter(customer=OuterRef("pk"))))
    for name in fields:
        has_guess |= Q(**{f"field_sources__{name}__source": ProfileSource.INFERRED.value})
    rows = customers.filter(has_guess, is_processing_restricted=False).prefetch_related("statements")
    for customer in rows.order_by("pk").iterator(chunk_size=CHUNK):
        guessed: dict[str, Any] = {
            said.field: said.stated_at
            for said in customer.statements.all()
            if said.source == ProfileSource.INFERRED and said.origin == origin and said.field in fields
        }
        for name in fields:
            if is_guess(told := customer.field_sources.get(name, {}), origin):
                guessed[name] = parse_datetime(str(told.get("at", "")))
        if guessed:
            yield customer, guessed
