"""The one way out for what people did: rows that may be used for a purpose now, for files and for other systems.

What stands in the log was permitted when it happened and when it came (the gate). Whoever hands rows on asks here for the third moment:
exports of the admin do, and a connector to another system may read in no other way. Training and segments ask the same question of the
database itself (`consent.selectors.denied.permitted_now_sql`).
"""

from __future__ import annotations

from typing import Final, TypeVar

from django.db.models import F, Model, Q, QuerySet

from accounts.models import Store
from consent.purposes import Purpose
from consent.selectors.denied import denied_now
from tracking.models import Event

M = TypeVar("M", bound=Model)

_NECESSARY: Final = int(Purpose.NECESSARY)


def rows_of_permitting(rows: QuerySet[M], store: Store, purpose: Purpose) -> QuerySet[M]:
    """Of rows with `visitor` and `customer` those of people who permit the purpose now; rows of nobody stay."""
    denied = denied_now(store, purpose)
    return rows.exclude(visitor_id__in=denied.visitor_ids).exclude(customer_id__in=denied.customer_ids)


def permitted_events(store: Store, purpose: Purpose, rows: QuerySet[Event] | None = None) -> QuerySet[Event]:
    """Events that may be used for the purpose now, of `rows` (default: all of the store's)."""
    events = Event.objects.for_store(store) if rows is None else rows
    marked = events.annotate(for_purpose=F("purposes").bitand(int(purpose))).exclude(for_purpose=0)
    return rows_of_permitting(marked, store, purpose)


def exportable_events(store: Store, rows: QuerySet[Event]) -> QuerySet[Event]:
    """Of `rows` what may be taken away as a file: what is permitted for analytics now, and what the shop needs in any case, such as
    orders, whoever says no."""
    denied = denied_now(store, Purpose.ANALYTICS)
    necessary = Q(is_necessary__gt=0)
    permitted = Q(is_analytics__gt=0) & ~_of(denied.visitor_ids, denied.customer_ids)
    return rows.annotate(
        is_necessary=F("purposes").bitand(_NECESSARY),
        is_analytics=F("purposes").bitand(int(Purpose.ANALYTICS)),
    ).filter(necessary | permitted)


def _of(visitor_ids: frozenset[int], customer_ids: frozenset[int]) -> Q:
    # Written so that a row of nobody is of none of them: NULL IN (…) is neither true nor false.
    return Q(visitor_id__isnull=False, visitor_id__in=visitor_ids) | Q(
        customer_id__isnull=False, customer_id__in=customer_ids
    )
