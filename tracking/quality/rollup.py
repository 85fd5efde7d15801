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
from tracking.log_position import (
    COUNTED_NAME,
    COUNTED_NAMES,
    chunk_end,
    position_ensure,
    position_lock,
    position_move,
    position_reset,
)
from tracking.models import HourlyCount, ObservedPrice

READER: Final = "quality_rollup"
CHUNK_EVENTS: Final = 200_000

_NEW: Final = "store_id = %(store)s AND xact_id >= %(start)s AND xact_id < %(end)s AND NOT is_bot"

_COUNT: Final = f"""
INSERT INTO tracking_hourlycount AS known (store_id, hour, event_name, count)
SELECT %(store)s, date_trunc('hour', occurred_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC',
       {COUNTED_NAME},
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
    position_reset(store_id, READER)
    return rollup_new_events(store_id, progress=progress)


@transaction.atomic
def _step(store_id: int) -> tuple[int, bool]:
    position_ensure(store_id, READER)
    position = position_lock(store_id, READER)
    if position is None:
        return 0, False  # the store is being deleted
    if position.xact_id == 0:
        HourlyCount.objects.for_store(store_id).delete()
        ObservedPrice.objects.for_store(store_id).delete()
    with connection.cursor() as cursor:
        end, has_more = chunk_end(cursor, store_id, position.xact_id, CHUNK_EVENTS)
        if end == position.xact_id:
            return 0, False
        touched = _add(cursor, store_id, position.xact_id, end)
    position_move(position, end)
    return touched, has_more


def _add(cursor: Any, store_id: int, start: int, end: int) -> int:
    bounds = {"store": store_id, "start": start, "end": end}
    cursor.execute(_COUNT, {**bounds, **COUNTED_NAMES})
    touched = cursor.rowcount
    cursor.execute(_PRICES, bounds)
    return int(touched + cursor.rowcount)
