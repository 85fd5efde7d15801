"""The end of the log, for people who watch it grow.

Rows become visible in the order of commits, so the cursor is not a row but a transaction: everything below
`pg_snapshot_xmin` has ended, and from there the next look goes on. What is read once is never read again, and what
commits late is not passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import Q
from django.utils import timezone

from accounts.models import Store
from tracking.models import Event

MOST: Final = 100
# How far back the first look goes.
FIRST_LOOK: Final = timedelta(hours=1)
_HORIZON: Final = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"


@dataclass(frozen=True)
class Tail:
    """`events` newest first, `cursor` where to go on. `is_cut`: more came than MOST, and the older ones are left out."""

    events: Sequence[Event]
    cursor: int
    is_cut: bool


def tail(store: Store, wanted: Q, after: int | None = None) -> Tail:
    """The newest events that pass `wanted` and were committed since `after`; without it, of the last hour."""
    horizon = _horizon()
    rows = Event.objects.for_store(store).filter(wanted, xact_id__lt=horizon)
    if after is None:
        # Keys begin with the millisecond: a range of them spares a walk through older rows and other stores'.
        since = timezone.now() - FIRST_LOOK
        rows = rows.filter(pk__gte=UUID(int=int(since.timestamp() * 1000) << 80)).order_by("-pk")
    else:
        rows = rows.filter(xact_id__gte=after).order_by("-xact_id", "-pk")
    rows = rows.select_related("visitor", "customer", "api_key").defer("context")
    events = list(rows[: MOST + 1])
    return Tail(events[:MOST], max(horizon, after or 0), len(events) > MOST)


def _horizon() -> int:
    with connection.cursor() as cursor:
        cursor.execute(_HORIZON)
        return int(cursor.fetchone()[0])
