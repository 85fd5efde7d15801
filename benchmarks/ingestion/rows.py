"""The bare database: rows to begin with, and the rate that one client reaches without any of Etalage's work."""

from __future__ import annotations

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

COLUMNS = (
    "id, store_id, message_id, type, name, visitor_id, customer_id, product_id, occurred_at, received_at, purposes, "
    "is_bot, is_trusted, properties, context, api_key_id"
)
TYPES = (
    "uuid", "int8", "text", "int2", "text", "int8", "int8", "text", "timestamptz", "timestamptz", "int2",
    "bool", "bool", "jsonb", "jsonb", "int8",
)  # fmt: skip
_PRELOAD = f"""
INSERT INTO tracking_event ({COLUMNS}, xact_id)
SELECT gen_random_uuid(), %(store)s, gen_random_uuid()::text, 1, 'Product Viewed', (random() * 100000)::bigint,
       CASE WHEN random() < 0.3 THEN (random() * 30000)::bigint END, 'p' || (random() * 5000)::int,
       now() - (%(rows)s - n) * interval '1 second', now() - (%(rows)s - n) * interval '1 second', 6, false, true,
       jsonb_build_object('product_id', 'p' || n %% 5000, 'category', 'camping/tents', 'price', 19.9, 'currency', 'EUR'),
       '{{"page": {{"path": "/p/1"}}, "locale": "de-DE"}}'::jsonb, 1, 1
  FROM generate_series(1, %(rows)s) n
"""
_INSERT = f"""
INSERT INTO tracking_event ({COLUMNS}, xact_id)
SELECT {COLUMNS}, 1 FROM incoming ORDER BY message_id ON CONFLICT (store_id, message_id) DO NOTHING
"""


def preload(url: str, store_id: int, rows: int, step: int = 100_000, connections: int = 2) -> None:
    """Rows as an installation has after some weeks, with random keys. The table is counted anew afterwards."""

    def fill(count: int) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_PRELOAD, {"store": store_id, "rows": count})

    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(fill, [min(step, rows - start) for start in range(0, rows, step)]))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE tracking_event")


def bare_copy_rate(url: str, store_id: int, rows: int, batch: int = 5_000) -> float:
    """Rows a second of one client: binary COPY → temporary table → INSERT … ON CONFLICT, random UUIDs, a
    commit a batch.

    The rows are made beforehand; what is left is the driver and the database.
    """
    batches = [_rows(store_id, min(batch, rows - start)) for start in range(0, rows, batch)]
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE incoming (id uuid, store_id bigint, message_id text, type smallint, name text, visitor_id bigint,"
            " customer_id bigint, product_id text, occurred_at timestamptz, received_at timestamptz, purposes smallint,"
            " is_bot boolean, is_trusted boolean, properties jsonb, context jsonb, api_key_id bigint) ON COMMIT DELETE ROWS"
        )
        connection.commit()
        started = time.perf_counter()
        for rows_of_batch in batches:
            with cursor.copy(f"COPY incoming ({COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(TYPES)
                for row in rows_of_batch:
                    copy.write_row(row)
            cursor.execute(_INSERT)
            connection.commit()
        return rows / (time.perf_counter() - started)


def _rows(store_id: int, count: int) -> list[tuple[object, ...]]:
    now = datetime.now(UTC)
    context = Jsonb({"page": {"path": "/p/1"}, "locale": "de-DE"}, dumps=json.dumps)
    properties = Jsonb({"product_id": "p1", "category": "camping/tents", "price": 19.9, "currency": "EUR"})
    return [
        (
            UUID(int=random.getrandbits(128), version=4), store_id, str(UUID(int=random.getrandbits(128), version=4)), 1,
            "Product Viewed", random.randrange(100_000), None, "p1", now, now, 6, False, True, properties, context, 1,
        )
        for _ in range(count)
    ]  # fmt: skip
