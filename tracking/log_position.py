"""How far a reader of the log has come, and how far it may go.

Rows become visible in the order of commits, not of keys: "everything after the last id" misses what commits late. So
each row carries the number of its transaction, and a reader goes up to `pg_snapshot_xmin`, below which every
transaction has ended. A position moves in the transaction that uses what was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db import connection

from tracking.models import LogPosition
from tracking.models.event import EventType
from tracking.vocabulary import KNOWN_EVENTS, OTHER_EVENT

_HORIZON: Final = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
_CHUNK_END: Final = """
SELECT xact_id FROM tracking_event
 WHERE store_id = %s AND xact_id >= %s AND xact_id < %s
 ORDER BY xact_id OFFSET %s LIMIT 1
"""

# The name under which an event is counted. Page and screen names are the shop's own words, and a track may have any:
# they are counted by type, or together. Wants `COUNTED_NAMES` among the parameters.
COUNTED_NAME: Final = """CASE WHEN type <> %(track)s THEN (%(types)s::text[])[type]
            WHEN name = ANY(%(names)s) THEN name ELSE %(other)s END"""
COUNTED_NAMES: Final[Mapping[str, Any]] = {
    "track": EventType.TRACK.value,
    "types": [kind.label for kind in sorted(EventType)],
    "names": sorted(KNOWN_EVENTS),
    "other": OTHER_EVENT,
}


def position_ensure(store_id: int, reader: str) -> None:
    """A reader that is new begins at 0, the start of the log."""
    LogPosition.all_stores.bulk_create([LogPosition(store_id=store_id, reader=reader)], ignore_conflicts=True)


def position_lock(store_id: int, reader: str, *, waits: bool = True) -> LogPosition | None:
    """The reader's position, its row locked to the end of the transaction. None where nobody ensured it, or where
    another process holds it and this one does not wait."""
    positions = LogPosition.objects.for_store(store_id).select_for_update(skip_locked=not waits)
    return positions.filter(reader=reader).first()


def position_reset(store_id: int, reader: str) -> None:
    LogPosition.objects.for_store(store_id).filter(reader=reader).update(xact_id=0)


def position_move(position: LogPosition, end: int) -> None:
    if end != position.xact_id:
        position.xact_id = end
        position.save(update_fields=["xact_id", "updated_at"])


def horizon(cursor: Any = None) -> int:
    """The number of the transaction below which all have ended."""
    if cursor is None:
        with connection.cursor() as own:
            return horizon(own)
    cursor.execute(_HORIZON)
    return int(cursor.fetchone()[0])


def chunk_end(cursor: Any, store_id: int, start: int, size: int) -> tuple[int, bool]:
    """Where a chunk of about `size` events ends that begins at transaction `start`, and whether there is more after it.

    It never ends within a transaction, and never goes beyond those that have ended.
    """
    end = horizon(cursor)
    cursor.execute(_CHUNK_END, [store_id, start, end, size])
    row = cursor.fetchone()
    if row is None:
        return max(start, end), False
    return row[0] + (row[0] == start), True
