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

from django.db.models import Q
from django.utils import timezone

from accounts.models import Store
from tracking.log_position import horizon
from tracking.models import Event

MOST: Final = 100
# How far back a look goes, whatever its cursor.
LOOK_BACK: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Tail:
    """`events` newest first, `cursor` where to go on. `is_cut`: more came than MOST, and the older ones are left out."""

    events: Sequence[Event]
    cursor: int
    is_cut: bool


def tail(store: Store, wanted: Q, after: int | None = None) -> Tail:
    """The newest events of the last hour that pass `wanted`; with `after`, only those committed since."""
    end = horizon()
    # Keys begin with the millisecond: a range of them spares a walk through older rows and other stores'. An old cursor
    # with a filter that nothing passes would else read the store's whole log, at every call.
    since = timezone.now() - LOOK_BACK
    rows = Event.objects.for_store(store).filter(
        wanted, xact_id__lt=end, pk__gte=UUID(int=int(since.timestamp() * 1000) << 80)
    )
    if after is not None:
        rows = rows.filter(xact_id__gte=after)
    rows = rows.order_by("-pk")
    rows = rows.select_related("visitor", "customer", "api_key").defer("context")
    events = list(rows[: MOST + 1])
    return Tail(events[:MOST], max(end, after or 0), len(events) > MOST)
