"""What Valkey holds about a person: their recent events. Erased with them, and as soon as they no longer
permit personalisation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from accounts.models import Customer, Visitor
from accounts.personal_data import (
    Classification,
    ErasureReport,
    ExportTable,
    Processor,
    Subject,
    classify_valkey_keys,
    register,
)
from accounts.valkey import ValkeyUnavailable
from consent.purposes import Purpose
from consent.withdrawal import Withdrawal, on_withdrawal
from profiles import sightings
from profiles import store as profile_store
from profiles.fold import fold

PROCESSOR: Final = "profiles"


def export(subject: Subject) -> Iterable[ExportTable]:
    yield ExportTable(
        "profile", "What your recent visits say about you, as recommendations use it.", _rows(subject)
    )


def _keys(subject: Subject) -> list[str]:
    keys = [profile_store.visitor_key(visitor_id) for visitor_id in subject.visitor_ids]
    return [*keys, *map(profile_store.customer_key, subject.customer_ids)]


def _rows(subject: Subject) -> Iterator[dict[str, Any]]:
    """Nothing where Valkey cannot be reached: all of it is folded from the events, which are exported too."""
    try:
        events = profile_store.recent(subject.store.pk, _keys(subject))
    except ValkeyUnavailable:
        return
    profile = fold(events, math.inf)
    for interaction in profile.interactions:
        yield {
            "kind": "interaction",
            "event": interaction.name,
            "value": interaction.product_id,
            "at": datetime.fromtimestamp(interaction.occurred_at, UTC),
        }
    for kind, values in (
        ("cart", profile.cart),
        ("wishlist", profile.wishlist),
        ("search", profile.searches),
        ("category", profile.categories),
    ):
        for value in values:
            yield {"kind": kind, "event": "", "value": value, "at": None}
    try:
        seen = sightings.read(subject.store.pk, _keys(subject))
    except ValkeyUnavailable:
        return
    for each in (each for found in seen for each in found):
        at = datetime.fromtimestamp(each.occurred_at, UTC)
        yield {"kind": "shown on a shelf", "event": sightings.SHOWN, "value": each.product_id, "at": at}


def erase(subject: Subject) -> ErasureReport:
    """Raises ValkeyUnavailable: the erasure is then tried again."""
    store_id = subject.store.pk
    deleted = profile_store.forget(store_id, _keys(subject))
    shown = sightings.forget(store_id, _keys(subject))
    events = 0
    for visit in subject.shared_visits:
        key = profile_store.visitor_key(visit.visitor_id)
        until = visit.valid_until.timestamp() if visit.valid_until else math.inf
        events += profile_store.forget_between(store_id, key, visit.valid_from.timestamp(), until)
        events += sightings.forget_between(store_id, key, visit.valid_from.timestamp(), until)
        for customer_id in subject.customer_ids:
            events += profile_store.forget_customer_events(store_id, key, customer_id)
            events += sightings.forget_customer(store_id, key, customer_id)
    return ErasureReport(
        deleted={
            "profiles": deleted,
            "lists of what shelves showed": shown,
            "recent events of shared devices": events,
        }
    )


def forget_on_withdrawal(withdrawal: Withdrawal) -> None:
    if Purpose.PERSONALISATION not in withdrawal.purposes:
        return
    store = withdrawal.store
    visitors = (
        Visitor.objects.for_store(store)
        .filter(anonymous_id__in=withdrawal.anonymous_ids)
        .values_list("pk", flat=True)
    )
    keys = [profile_store.visitor_key(visitor_id) for visitor_id in visitors]
    if withdrawal.customer_external_id is not None:
        customers = Customer.objects.for_store(store).filter(external_id=withdrawal.customer_external_id)
        keys += [
            profile_store.customer_key(customer_id) for customer_id in customers.values_list("pk", flat=True)
        ]
    profile_store.forget(store.pk, keys)
    sightings.forget(store.pk, keys)


def register_all() -> None:
    register(Processor(PROCESSOR, "Profiles: recent events for recommendations", export, erase))
    for pattern, whose in (("etalage:*:profile:v:*", "visitor"), ("etalage:*:profile:c:*", "customer")):
        classify_valkey_keys(
            pattern, Classification.PROCESSED_BY(PROCESSOR), f"The recent events of a {whose}."
        )
    for pattern, whose in (("etalage:*:shown:v:*", "visitor"), ("etalage:*:shown:c:*", "customer")):
        classify_valkey_keys(
            pattern,
            Classification.PROCESSED_BY(PROCESSOR),
            f"What shelves showed a {whose} in the last two weeks.",
        )
    classify_valkey_keys(
        "etalage:*:profiles:complete",
        Classification.NO_PERSONAL_DATA,
        "Says that all profiles of a store are there.",
    )
    on_withdrawal(PROCESSOR, forget_on_withdrawal)
