"""Sources rank: what the person declared beats what the shop's systems say, which beats what was guessed.

The value in force stands on the customer, its source in `field_sources`. What a weaker source says is kept beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.utils.dateparse import parse_datetime

from accounts import vault
from accounts.models.customer import RANK, Customer, ProfileSource
from accounts.models.statement import ProfileStatement
from accounts.models.store import Store

SURER: Final = 0.1


@dataclass(frozen=True)
class Told:
    """What one source says of one customer at one moment. `confidence`: field → 0 to 1, for what is inferred."""

    profile: Mapping[str, Any]
    source: ProfileSource
    at: datetime
    origin: str = ""
    confidence: Mapping[str, float] = field(default_factory=dict)

    def as_source(self, name: str) -> dict[str, Any]:
        """The entry of `Customer.field_sources`."""
        entry: dict[str, Any] = {"source": self.source.value, "at": self.at.isoformat()}
        if self.origin:
            entry["origin"] = self.origin
        if name in self.confidence:
            entry["confidence"] = round(self.confidence[name], 3)
        return entry


def take(customer: Customer, told: Told) -> tuple[list[str], list[ProfileStatement]]:
    """Set what this source may set, unsaved. Gives the names of the fields that changed, and what is outranked: the source's
    own word where a better one has spoken, else the weaker word that it replaces."""
    taken: list[str] = []
    outranked: list[ProfileStatement] = []
    for name, value in told.profile.items():
        known = customer.field_sources.get(name)
        if known is None or known["source"] == told.source.value:
            if known is None or (_is_newer(told.at, known) and _is_news(customer, name, value, known, told)):
                _set(customer, name, value, told)
                taken.append(name)
        elif RANK[told.source] < RANK[ProfileSource(known["source"])]:
            outranked.append(_demoted(customer, name, known, as_json(getattr(customer, name))))
            _set(customer, name, value, told)
            taken.append(name)
        else:
            outranked.append(_statement(customer, name, as_json(value), told))
    return taken, outranked


def is_news(customer: Customer, name: str, value: Any, source: ProfileSource) -> bool:
    """Whether it is worth telling at all: another value, or one that only a weaker source has vouched for so far."""
    known = customer.field_sources.get(name)
    return (
        getattr(customer, name) != value
        or known is None
        or RANK[source] < RANK[ProfileSource(known["source"])]
    )


def _is_news(customer: Customer, name: str, value: Any, known: Mapping[str, Any], told: Told) -> bool:
    """Another value, or a guess that has become clearly surer or less sure."""
    if getattr(customer, name) != value:
        return True
    return name in told.confidence and abs(told.confidence[name] - known.get("confidence", 0.0)) >= SURER


def _is_newer(at: datetime, known: Mapping[str, Any]) -> bool:
    known_at = parse_datetime(known.get("at", ""))
    return known_at is None or at >= known_at


def _set(customer: Customer, name: str, value: Any, told: Told) -> None:
    setattr(customer, name, value)
    customer.field_sources[name] = told.as_source(name)


def as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _statement(customer: Customer, name: str, value: Any, told: Told) -> ProfileStatement:
    return ProfileStatement(
        store_id=customer.store_id,
        customer_id=customer.pk,
        field=name,
        source=told.source,
        value=value,
        stated_at=told.at,
        confidence=told.confidence.get(name),
        origin=told.origin,
    )


def _demoted(customer: Customer, name: str, known: Mapping[str, Any], value: Any) -> ProfileStatement:
    return ProfileStatement(
        store_id=customer.store_id,
        customer_id=customer.pk,
        field=name,
        source=known["source"],
        value=value,
        stated_at=parse_datetime(known.get("at", "")) or customer.created_at,
        confidence=known.get("confidence"),
        origin=known.get("origin", ""),
    )


def statements_keep(statements: Collection[ProfileStatement]) -> None:
    """Write what is outranked; of one source the latest word. Two queries, one where nothing is new, none for nothing."""
    if not statements:
        return
    known = {
        (row.customer_id, row.field, row.source): row
        for row in ProfileStatement.all_stores.filter(
            customer__in={statement.customer_id for statement in statements}
        )
    }
    new = [
        statement
        for statement in statements
        if (row := known.get((statement.customer_id, statement.field, statement.source))) is None
        or (statement.stated_at >= row.stated_at and statement.value != row.value)
    ]
    if new:
        ProfileStatement.all_stores.bulk_create(
            new,
            batch_size=1000,
            update_conflicts=True,
            unique_fields=["customer", "field", "source"],
            update_fields=["value", "stated_at", "confidence", "origin"],
        )


def identifiers_put(
    *,
    store: Store,
    values: Mapping[int, Mapping[str, str]],
    source: ProfileSource,
    at: datetime | Mapping[int, datetime],
    origin: str = "",
) -> int:
    """Put direct identifiers into the vault, {customer id: {field: value}}, where no better source has spoken of the field; an
    empty value deletes it. `at`: one moment, or one for each customer. Gives the number of customers of whom something was
    put. Runs in the caller's transaction.

    Of what is outranked only the fact is kept, not the value: an address is kept once.
    """
    rows = Customer.objects.for_store(store).filter(pk__in=values).order_by("pk")
    accepted: dict[int, dict[str, str]] = {}
    beside: list[ProfileStatement] = []
    customers = list(rows.select_for_update(no_key=True))
    for customer in customers:
        moment = at if isinstance(at, datetime) else at[customer.pk]
        told = Told(values[customer.pk], source, moment, origin)
        if taken := _take_identifiers(customer, told, beside):
            accepted[customer.pk] = {name: values[customer.pk][name] for name in taken}
    Customer.all_stores.bulk_update(
        [customer for customer in customers if customer.pk in accepted], ["field_sources"], batch_size=500
    )
    vault.put_many(store, accepted)
    statements_keep(beside)
    return len(accepted)


def _take_identifiers(customer: Customer, told: Told, beside: list[ProfileStatement]) -> list[str]:
    taken = []
    for name in told.profile:
        known = customer.field_sources.get(name)
        rank = RANK[ProfileSource(known["source"])] if known else len(RANK)
        if known and (
            RANK[told.source] > rank or (RANK[told.source] == rank and not _is_newer(told.at, known))
        ):
            if RANK[told.source] > rank:
                beside.append(_statement(customer, name, None, told))
            continue
        if known and RANK[told.source] < rank:
            beside.append(_demoted(customer, name, known, None))
        customer.field_sources[name] = told.as_source(name)
        taken.append(name)
    return taken


def latest(statements: Iterable[ProfileStatement]) -> dict[str, list[ProfileStatement]]:
    """Outranked statements by field, best source first."""
    by_field: dict[str, list[ProfileStatement]] = {}
    for statement in sorted(statements, key=lambda one: RANK[ProfileSource(one.source)]):
        by_field.setdefault(statement.field, []).append(statement)
    return by_field
