"""How far the clocks of senders are off: one sample a request, `receivedAt − sentAt`, counted in this process and
written down every half minute. What a process that dies had not written is lost: it is a statistic, no event."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import structlog
from django.db import Error, connection

from tracking.ingestion.drafts import Arrival, Draft

log = structlog.get_logger(__name__)

FLUSH_SECONDS: Final = 30.0
MOST_HELD: Final = 5_000
MOST_SECONDS: Final = 2 * 86_400

# Store, key, hour, and the skew in seconds.
_Sample = tuple[int, int, datetime, int]

# Keys may be deleted between a sample and its writing.
_WRITE: Final = """
INSERT INTO tracking_clockskew AS known (store_id, api_key_id, hour, skew_seconds, count)
SELECT sample.store_id, sample.api_key_id, sample.hour, sample.skew_seconds, sample.count
  FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[], %s::int[], %s::bigint[])
       AS sample (store_id, api_key_id, hour, skew_seconds, count)
  JOIN accounts_apikey ON accounts_apikey.id = sample.api_key_id AND accounts_apikey.store_id = sample.store_id
ON CONFLICT (store_id, api_key_id, hour, skew_seconds) DO UPDATE SET count = known.count + excluded.count
"""

_held: Counter[_Sample] = Counter()
_lock = threading.Lock()
_last_flush = time.monotonic()


def rounded(seconds: float) -> int:
    """To 5 s within a minute, to a minute within an hour, else to a quarter of an hour: as fine as a time zone."""
    size = abs(seconds)
    step = 5 if size < 60 else 60 if size < 3_600 else 900
    return max(-MOST_SECONDS, min(MOST_SECONDS, step * round(seconds / step)))


def note(drafts: Iterable[Draft]) -> None:
    """Count a sample of each request among the drafts. Imports, which say themselves when they were received, are left
    out, and so is who sends no `sentAt`."""
    previous: Arrival | None = None
    for draft in drafts:
        arrival = draft.arrival
        if arrival is previous or draft.sent_at is None:
            continue
        previous = arrival
        if arrival.keeps_received_at or arrival.source.api_key_id is None:
            continue
        skew = (arrival.received_at - draft.sent_at).total_seconds()
        hour = arrival.received_at.replace(minute=0, second=0, microsecond=0)
        with _lock:
            _held[arrival.source.store_id, arrival.source.api_key_id, hour, rounded(skew)] += 1
    if time.monotonic() - _last_flush >= FLUSH_SECONDS or len(_held) >= MOST_HELD:
        flush()


def flush() -> None:
    """Write down what was counted. Never raises; within a caller's transaction it waits for another time."""
    global _last_flush
    if connection.in_atomic_block and len(_held) < MOST_HELD:
        return
    with _lock:
        samples = sorted(_held.items())
        _held.clear()
        _last_flush = time.monotonic()
    if not samples or connection.in_atomic_block:
        return
    try:
        write(samples)
    except Error as error:
        log.info("clocks.not_written", samples=len(samples), error=str(error).strip())


def write(samples: Iterable[tuple[_Sample, int]]) -> None:
    columns = list(zip(*((*sample, count) for sample, count in samples), strict=True))
    with connection.cursor() as cursor:
        cursor.execute(_WRITE, [list(column) for column in columns])
