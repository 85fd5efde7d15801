"""Counts a source, day and kind of event, brought up to date with the log inside of the database.

The position in the log moves in the transaction that adds the counts, so that each event counts exactly once.
"""

from __future__ import annotations

import time
from typing import Final

from django.db import connection, transaction

from accounts.models import Store
from consent.purposes import Purpose
from tracking.log_position import (
    COUNTED_NAME,
    COUNTED_NAMES,
    chunk_end,
    position_ensure,
    position_lock,
    position_move,
    position_reset,
)
from tracking.models import SourceDay

READER: Final = "source_rollup"
CHUNK_EVENTS: Final = 100_000

_HAS_LINES: Final = "jsonb_typeof(properties -> 'products') = 'array' AND properties -> 'products' <> '[]'"
# The first 48 bits of a UUIDv7 are the milliseconds at which the row was made; what others put there must not be a date
# that no calendar has.
_ADD: Final = f"""
WITH counted AS (
    SELECT api_key_id, (occurred_at AT TIME ZONE 'UTC')::date AS day,
           {COUNTED_NAME} AS event_name,
           count(*) AS events,
           count(*) FILTER (WHERE is_bot) AS bots,
           count(visitor_id) AS with_visitor,
           count(customer_id) AS with_customer,
           count(coalesce(visitor_id, customer_id)) AS with_person,
           count(*) FILTER (WHERE product_id <> '' OR ({_HAS_LINES}
               AND NOT properties @? '$.products[*] ? (!exists(@.product_id) && !exists(@.sku))')) AS with_product,
           count(*) FILTER (WHERE properties ->> 'price' IS NOT NULL OR ({_HAS_LINES}
               AND NOT properties @? '$.products[*] ? (!exists(@.price))')) AS with_price,
           count(*) FILTER (WHERE properties ->> 'currency' IS NOT NULL) AS with_currency,
           count(*) FILTER (WHERE purposes & {int(Purpose.ANALYTICS)} <> 0) AS for_analytics,
           count(*) FILTER (WHERE purposes & {int(Purpose.PERSONALISATION)} <> 0) AS for_personalisation,
           count(*) FILTER (WHERE purposes & {int(Purpose.MARKETING)} <> 0) AS for_marketing,
           max(occurred_at) AS last_occurred_at,
           max(left(replace(id::text, '-', ''), 12)) AS last_stored
      FROM tracking_event
     WHERE store_id = %(store)s AND xact_id >= %(start)s AND xact_id < %(end)s
     GROUP BY 1, 2, 3
)
INSERT INTO tracking_sourceday AS known
       (store_id, api_key_id, day, event_name, events, bots, with_visitor, with_customer, with_person, with_product, with_price,
        with_currency, for_analytics, for_personalisation, for_marketing, last_occurred_at, last_stored_at)
SELECT %(store)s, api_key_id, day, event_name, events, bots, with_visitor, with_customer, with_person, with_product, with_price,
       with_currency, for_analytics, for_personalisation, for_marketing, last_occurred_at,
       least(to_timestamp(('x' || last_stored)::bit(48)::bigint / 1000.0), now())
  FROM counted ORDER BY api_key_id, day, event_name
ON CONFLICT (store_id, api_key_id, day, event_name) DO UPDATE SET
    events = known.events + excluded.events,
    bots = known.bots + excluded.bots,
    with_visitor = known.with_visitor + excluded.with_visitor,
    with_customer = known.with_customer + excluded.with_customer,
    with_person = known.with_person + excluded.with_person,
    with_product = known.with_product + excluded.with_product,
    with_price = known.with_price + excluded.with_price,
    with_currency = known.with_currency + excluded.with_currency,
    for_analytics = known.for_analytics + excluded.for_analytics,
    for_personalisation = known.for_personalisation + excluded.for_personalisation,
    for_marketing = known.for_marketing + excluded.for_marketing,
    last_occurred_at = greatest(known.last_occurred_at, excluded.last_occurred_at),
    last_stored_at = greatest(known.last_stored_at, excluded.last_stored_at)
"""


def sources_roll_up(store: Store | int, *, budget_seconds: float | None = None) -> bool:
    """Count what has been committed since the last run, for as long as the budget lasts (None: to the end).

    Gives whether all of it is counted now. With a budget nobody waits: while another process counts this store, it is
    left to that one. Position 0, as after a restore, means from the start.
    """
    store_id = store if isinstance(store, int) else store.pk
    deadline = None if budget_seconds is None else time.monotonic() + budget_seconds
    # Committed by itself, so that the first count of a long log does not hold up those who come after it.
    position_ensure(store_id, READER)
    while (has_more := _step(store_id, waits=deadline is None)) is not False:
        if has_more is None:
            return False
        if deadline is not None and time.monotonic() >= deadline:
            return False
    return True


def sources_rebuild(store: Store | int) -> None:
    """Count the whole log anew."""
    store_id = store if isinstance(store, int) else store.pk
    position_reset(store_id, READER)
    sources_roll_up(store_id)


@transaction.atomic
def _step(store_id: int, *, waits: bool) -> bool | None:
    """One chunk; whether there is more. None where another process counts and this one does not wait for it."""
    position = position_lock(store_id, READER, waits=waits)
    if position is None:
        return None
    if position.xact_id == 0:
        SourceDay.objects.for_store(store_id).delete()
    with connection.cursor() as cursor:
        end, has_more = chunk_end(cursor, store_id, position.xact_id, CHUNK_EVENTS)
        if end == position.xact_id:
            return False
        cursor.execute(_ADD, {"store": store_id, "start": position.xact_id, "end": end, **COUNTED_NAMES})
    position_move(position, end)
    return has_more
