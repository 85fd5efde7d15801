"""Guesses about customers, taken back: what was inferred may not outlive what permitted it or what it rested on."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts import shopper_changes
from accounts.models.customer import PROFILE_FIELDS, Customer, ProfileSource
from accounts.models.statement import ProfileStatement
from accounts.models.store import Store


@transaction.atomic
def guesses_forget(*, store: Store, fields: Mapping[int, Collection[str]], origin: str) -> int:
    """Empty these fields, {customer id: fields}, where `origin` guessed what they hold, and drop what it said beside a
    better source. Values of any other source stay. Gives how many customers it touched; safe to repeat."""
    if not fields:
        return 0
    rows = Customer.objects.for_store(store).filter(pk__in=fields).order_by("pk")
    changed, empty = [], Customer()
    for customer in rows.select_for_update(no_key=True):
        guessed = [
            name for name in fields[customer.pk] if is_guess(customer.field_sources.get(name, {}), origin)
        ]
        for name in guessed:
            setattr(customer, name, getattr(empty, name))
            del customer.field_sources[name]
        if guessed:
            customer.updated_at = timezone.now()
            changed.append(customer)
    Customer.all_stores.bulk_update(changed, [*PROFILE_FIELDS, "field_sources", "updated_at"], batch_size=500)
    touched = {customer.pk for customer in changed} | _forget_statements(store, fields, origin)
    shopper_changes.changed(store.pk, customer_ids=[customer.external_id for customer in changed])
    return len(touched)


def is_guess(told: Mapping[str, object], origin: str) -> bool:
    """Whether this entry of `Customer.field_sources` is what `origin` guessed."""
    return told.get("source") == ProfileSource.INFERRED and told.get("origin") == origin


def _forget_statements(store: Store, fields: Mapping[int, Collection[str]], origin: str) -> set[int]:
    wanted = Q(pk__in=[])
    for names in {frozenset(names) for names in fields.values()}:
        wanted |= Q(customer__in=[pk for pk in fields if frozenset(fields[pk]) == names], field__in=names)
    rows = ProfileStatement.objects.for_store(store).filter(
        wanted, source=ProfileSource.INFERRED, origin=origin
    )
    touched = set(rows.values_list("customer_id", flat=True))
    rows.delete()
    return touched
