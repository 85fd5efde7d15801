from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max, Q

from accounts.models import Customer, Store, Visitor
from accounts.selectors.persons import record_ids_of
from segments import caches
from segments.feature_table import newcomer
from segments.models import Segment, SegmentMembership
from segments.rules import is_valid, matches


@dataclass(frozen=True)
class Newcomers:
    """When the store's segments were computed last, and which of them somebody meets who has come since."""

    computed_at: datetime | None
    segments: tuple[Segment, ...]


def segments_of(
    store: Store,
    customer: Customer | None = None,
    visitor: Visitor | None = None,
    *,
    record_ids: Sequence[int] | None = None,
) -> list[Segment]:
    """Active segments of a shopper, the one whose weights win first. One query for serving, which knows the customer's records.

    A customer's own memberships count, in any record of theirs; a visitor's where the customer has none. A browser that came after the last
    computation is a newcomer, and is in the segments whose rules a newcomer meets. Ask only for whom personalisation is
    permitted: nothing is checked here.
    """
    if customer is None and visitor is None:
        return []
    who = Q(pk__in=[])
    records = list(record_ids or (record_ids_of(customer) if customer is not None else ()))
    if records:
        who |= Q(customer__in=records)
    if visitor is not None:
        who |= Q(visitor=visitor)
    rows = list(
        SegmentMembership.objects.for_store(store)
        .filter(who, segment__is_active=True)
        .select_related("segment")
        .order_by("segment__priority", "segment__name")
    )
    own = [row for row in rows if row.customer_id is not None]
    # Merged since the last computation, two records may both be in a segment.
    found = list({row.segment_id: row.segment for row in own or rows}.values())
    if found or not _is_newcomer(store, customer, visitor):
        return found
    return list(_newcomers(store).segments)


def _is_newcomer(store: Store, customer: Customer | None, visitor: Visitor | None) -> bool:
    computed_at = _newcomers(store).computed_at
    if customer is not None:
        return computed_at is None or customer.created_at > computed_at
    return (
        visitor is not None
        and not visitor.is_bot
        and (computed_at is None or visitor.first_seen_at > computed_at)
    )


def _newcomers(store: Store) -> Newcomers:
    known: Newcomers | None = caches.get(store.pk)
    if known is None:
        rules = Segment.objects.for_store(store).filter(is_active=True).exclude(kind=Segment.Kind.CLUSTER)
        columns = newcomer().columns
        met = [
            segment
            for segment in rules.order_by("priority", "name")
            if is_valid(segment.rules) and matches(segment.rules, columns, 1)[0]
        ]
        computed_at = Segment.objects.for_store(store).aggregate(latest=Max("computed_at"))["latest"]
        known = Newcomers(computed_at, tuple(met))
        caches.put(store.pk, known)
    return known
