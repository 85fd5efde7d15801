"""How far the readers of the log are behind."""

from __future__ import annotations

from typing import NamedTuple

from django.db import connection, transaction

_LAGS = """
SELECT store.slug, position.reader,
       greatest(0, coalesce(extract(epoch FROM clock_timestamp() - unread.received_at), 0))::float8
  FROM tracking_logposition AS position
  JOIN accounts_store AS store ON store.id = position.store_id
  LEFT JOIN LATERAL (
    SELECT received_at FROM tracking_event
     WHERE store_id = position.store_id AND xact_id >= position.xact_id
     ORDER BY xact_id LIMIT 1) AS unread ON true
 ORDER BY 1, 2
"""


class Lag(NamedTuple):
    """`seconds`: the age of the oldest event that the reader has not read; 0 where it has read all."""

    store: str
    reader: str
    seconds: float


def reader_lags() -> list[Lag]:
    """Of every store, for the operator: one row of an index for each reader. Raises django.db.Error, also where the
    log cannot be read within a second: whoever watches must not hang with what is watched.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', '1000', true)")
        cursor.execute(_LAGS)
        rows = cursor.fetchall()
        cursor.execute("SELECT set_config('statement_timeout', '0', true)")
    return [Lag(*row) for row in rows]
