"""Hourly counts and observed prices, brought up to date with the log inside the database: no event is read twice, and
none is sent to us.

The position in the log moves in the transaction that adds the counts, so each event counts exactly once. Rows of the
caller's own transaction are not below the horizon yet and count at the next run. Position 0, as after a restore,
means from the start: what was counted is emptied first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.db import connection, transaction

from accounts.models import Store
from tracking.models import HourlyCount, LogPosition, ObservedPrice
from tracking.models.event import EventType
from tracking.vocabulary import KNOWN_EVENTS, OTHER_EVENT

READER: Final = "quality_rollup"
CHUNK_EVENTS: Final = 200_000

_HORIZON: Final = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
_CHUNK_END: Final = """
SELECT xact_id FROM tracking_event
 WHERE store_id = %s AND xact_id >= %s AND xact_id < %s
 ORDER BY xact_id OFFSET %s LIMIT 1
"""
_NEW: Final = "store_id = %(store)s AND xact_id >= %(start)s AND xact_id < %(end)s AND NOT is_bot"

# Page and screen names are the shop's own words, and a track may have any: they are counted by type, or together.
_COUNT: Final = f"""
INSERT INTO tracking_hourlycount AS known (store_id, hour, event_name, count)
SELECT %(store)s, date_trunc('hour', occurred_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC',
       CASE WHEN type <> %(track)s THEN (%(types)s::text[])[type]
            WHEN name = ANY(%(names)s) THEN name ELSE %(other)s END,
       count(*)
  FROM tracking_event WHERE {_NEW}
 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (store_id, hour, event_name) DO UPDATE SET count = known.count + excluded.count
"""

# What `check_amount` takes is a number of at most 15 digits, or text that is one; anything else is left out here.
_PRICES: Final = f"""
WITH told AS (
    SELECT id, occurred_at, product_id AS product, properties ->> 'price' AS price,
           upper(coalesce(properties ->> 'currency', '')) AS currency
      FROM tracking_event
     WHERE {_NEW} AND name IN ('Product Viewed', 'Product Added') AND product_id <> ''
    UNION ALL
    SELECT id, occurred_at, coalesce(nullif(line ->> 'product_id', ''), line ->> 'sku'), line ->> 'price',
           upper(coalesce(line ->> 'currency', properties ->> 'currency', ''))
      FROM tracking_event,
           LATERAL jsonb_array_elements(CASE WHEN jsonb_typeof(properties -> 'products') = 'array'
                                             THEN properties -> 'products' ELSE '[]' END) AS line
     WHERE {_NEW} AND name = 'Order Completed'
), usable AS (
    SELECT id, occurred_at, product, round(price::numeric, 4) AS price,
           CASE WHEN currency ~ '^[A-Z]{{3}}$' THEN currency ELSE '' END AS currency
      FROM told
     WHERE price ~ '^-?[0-9]{{1,15}}([.][0-9]{{1,15}})?$' AND product <> '' AND length(product) <= 120
)
INSERT INTO tracking_observedprice AS known
       (store_id, product_id, currency, price, count, first_seen_at, last_seen_at, event_id)
SELECT %(store)s, product, currency, price, count(*), min(occurred_at), max(occurred_at),
       (array_agg(id ORDER BY occurred_at DESC))[1]
  FROM usable GROUP BY 2, 3, 4 ORDER BY 2, 3, 4
ON CONFLICT (store_id, product_id, currency, price) DO UPDATE SET
    count = known.count + excluded.count,
    first_seen_at = least(known.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(known.last_seen_at, excluded.last_seen_at),
    event_id = CASE WHEN excluded.last_seen_at >= known.last_seen_at THEN excluded.event_id ELSE known.event_id END
"""


def rollup_new_events(store: Store | int, *, progress: Callable[[int], object] | None = None) -> int:
    """Count what has been committed since the last run. Gives the number of hours and prices touched."""
    store_id = store if isinstance(store, int) else store.pk
    touched, has_more = 0, True
    while has_more:
        count, has_more = _step(store_id)
        touched += count
        if progress is not None and count:
            progress(count)
    return touched


def rollup_rebuild(store: Store | int, *, progress: Callable[[int], object] | None = None) -> int:
    """Count the whole log anew."""
    store_id = store if isinstance(store, int) else store.pk
    LogPosition.objects.for_store(store_id).filter(reader=READER).update(xact_id=0)
    return rollup_new_events(store_id, progress=progress)


@transaction.atomic
def _step(store_id: int) -> tuple[int, bool]:
    position = _lock(store_id)
    if position.xact_id == 0:
        HourlyCount.objects.for_store(store_id).delete()
        ObservedPrice.objects.for_store(store_id).delete()
    with connection.cursor() as cursor:
        cursor.execute(_HORIZON)
        end, has_more = _chunk_end(cursor, store_id, position.xact_id, cursor.fetchone()[0])
        if end == position.xact_id:
            return 0, False
        touched = _add(cursor, store_id, position.xact_id, end)
    position.xact_id = end
    position.save(update_fields=["xact_id", "updated_at"])
    return touched, has_more


def _lock(store_id: int) -> LogPosition:
    LogPosition.all_stores.bulk_create([LogPosition(store_id=store_id, reader=READER)], ignore_conflicts=True)
    return LogPosition.objects.for_store(store_id).select_for_update().get(reader=READER)


def _chunk_end(cursor: Any, store_id: int, start: int, horizon: int) -> tuple[int, bool]:
    """Where a chunk of about CHUNK_EVENTS ends: never within a transaction."""
    cursor.execute(_CHUNK_END, [store_id, start, horizon, CHUNK_EVENTS])
    row = cursor.fetchone()
    if row is None:
        return max(start, horizon), False
    return row[0] + (row[0] == start), True


def _add(cursor: Any, store_id: int, start: int, end: int) -> int:
    bounds = {"store": store_id, "start": start, "end": end}
    names = {
        "track": EventType.TRACK.value,
        "types": [kind.label for kind in sorted(EventType)],
        "names": sorted(KNOWN_EVENTS),
        "other": OTHER_EVENT,
    }
    cursor.execute(_COUNT, {**bounds, **names})
    touched = cursor.rowcount
    cursor.execute(_PRICES, bounds)
    return int(touched + cursor.rowcount)
