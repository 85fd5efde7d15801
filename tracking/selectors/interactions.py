"""The log as arrays, for training and segments: who did what with which product, and when.

Only what may be used is read: events with the purpose in their mask (permitted when they happened and when
they came), of people who have not said no since, within the purpose's term; no bots. Purchases are read from
the orders, so that a browser's word alone, or the same order told twice, does not count. Rows come from
PostgreSQL as CSV by COPY and are parsed by Arrow: a million in a few seconds.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.csv
from django.db import connection
from numpy.typing import NDArray

from accounts.models import Store
from accounts.selectors.identity import identity_map
from consent.purposes import Purpose
from consent.selectors.denied import DENIED_NOW_CTE, denied_now_parameters, permitted_now_sql
from profiles.events import INTERACTIONS, PURCHASE
from profiles.fold import SESSION_GAP_SECONDS
from tracking.models import EventType
from tracking.models.order import Order
from tracking.retention import kept_since

ScalarT = TypeVar("ScalarT", bound=np.generic)

CHUNK_ROWS: Final = 100_000
SESSION_CAP_SECONDS: Final = 24 * 3600
_UNKNOWN_BUYER: Final = 2**62
_BLOCK_BYTES: Final = 8 * 1024 * 1024

_EVENTS: Final = f"""
SELECT coalesce(e.visitor_id, 0), coalesce(e.customer_id, 0), extract(epoch FROM e.occurred_at)::float8,
       array_position(%(names)s::text[], e.name) - 1, 0::bigint, e.product_id,
       coalesce((e.properties ->> 'quantity')::float8, 1)
  FROM tracking_event e
 WHERE e.store_id = %(store)s AND e.type = {EventType.TRACK.value} AND e.name = ANY(%(names)s) AND e.name <> '{PURCHASE}'
   AND e.product_id <> '' AND NOT e.is_bot AND e.purposes & %(purpose)s <> 0
   AND e.occurred_at >= %(since)s AND e.occurred_at < %(until)s
   AND {permitted_now_sql("e")}
"""
_PURCHASES: Final = f"""
SELECT coalesce(o.visitor_id, 0), coalesce(o.customer_id, 0), extract(epoch FROM o.placed_at)::float8,
       array_position(%(names)s::text[], '{PURCHASE}') - 1, o.id, line.product_id, line.quantity::float8
  FROM tracking_order o JOIN tracking_orderline line ON line.order_id = o.id
 WHERE o.store_id = %(store)s AND NOT o.is_blocked AND o.purposes & %(purpose)s <> 0
   AND o.status NOT IN ('{Order.Status.UNCONFIRMED}', '{Order.Status.CANCELLED}')
   AND o.placed_at >= %(since)s AND o.placed_at < %(until)s
   AND {permitted_now_sql("o")}
"""
_NAMES: Final = ("visitor", "customer", "occurred_at", "event", "order", "product", "quantity")


@dataclass(frozen=True)
class InteractionColumns:
    """n interactions, in no particular order. `products` is the vocabulary of all chunks so far: codes never
    change.

    `visitor` and `customer` are (n,) int64 keys, 0 for nobody known; the customer is the event's own, else
    the one whom the visitor was at that moment (the kept record of merged ones). `product` (n,) int32 indexes
    `products`; `event` (n,) int8 indexes `profiles.events.INTERACTIONS`; `occurred_at` (n,) float64 Unix seconds;
    `quantity` (n,) float32; `order` (n,) int64 is the key of the order, 0 for what is no purchase.
    """

    visitor: NDArray[np.int64]
    customer: NDArray[np.int64]
    product: NDArray[np.int32]
    event: NDArray[np.int8]
    occurred_at: NDArray[np.float64]
    quantity: NDArray[np.float32]
    order: NDArray[np.int64]
    products: list[str] = field(repr=False)

    def __len__(self) -> int:
        return len(self.visitor)


@dataclass(frozen=True)
class Interactions:
    """All of them in memory, sorted by (session, occurred_at): n rows of `n_subjects` people.

    A subject is a customer over all of their browsers, else a visitor: `subject` (n,) int32 indexes
    `subject_customer` and `subject_visitor` ((n_subjects,) int64, 0 where it is the other). `session` (n,)
    int32 counts visits: gaps of at most 30 minutes, 24 hours at most. `basket` (n,) int32 numbers the orders,
    -1 for what is no purchase. Other columns as in `InteractionColumns`.
    """

    subject: NDArray[np.int32]
    session: NDArray[np.int32]
    product: NDArray[np.int32]
    event: NDArray[np.int8]
    occurred_at: NDArray[np.float64]
    quantity: NDArray[np.float32]
    basket: NDArray[np.int32]
    visitor: NDArray[np.int64]
    subject_customer: NDArray[np.int64]
    subject_visitor: NDArray[np.int64]
    products: list[str] = field(repr=False)

    def __len__(self) -> int:
        return len(self.subject)

    @property
    def n_subjects(self) -> int:
        return len(self.subject_customer)


def stream_interactions(
    store: Store | int,
    since: datetime | None = None,
    until: datetime | None = None,
    permitted_for: Purpose = Purpose.PERSONALISATION,
    chunk_rows: int = CHUNK_ROWS,
) -> Iterator[InteractionColumns]:
    """Interactions with since ≤ time < until (default: as long as the purpose's term, until now), in chunks.
    Memory is bounded by the chunk.

    The query runs while the caller iterates: do not write with the same connection meanwhile.
    """
    store_id = store if isinstance(store, int) else store.pk
    until = until or datetime.now(UTC)
    earliest = kept_since(store_id, permitted_for, until)
    parameters = {
        **denied_now_parameters(store_id, permitted_for),
        "names": list(INTERACTIONS),
        "since": max(since, earliest) if since else earliest,
        "until": until,
    }
    links = identity_map(store_id)
    codes: dict[str, int] = {}
    products: list[str] = []
    with connection.cursor() as cursor:
        query = f"COPY (WITH {DENIED_NOW_CTE} {_EVENTS} UNION ALL {_PURCHASES}) TO STDOUT (FORMAT CSV)"
        statement = cursor.cursor.mogrify(query, parameters)
        with connection.wrap_database_errors, cursor.copy(statement) as copy:
            for block in _blocks(copy):
                for table in _tables(block, chunk_rows):
                    visitor = _column(table, "visitor", np.int64)
                    customer = _column(table, "customer", np.int64)
                    occurred_at = _column(table, "occurred_at", np.float64)
                    linked = links.resolve(visitor, occurred_at)
                    yield InteractionColumns(
                        visitor=visitor,
                        customer=np.where((customer == 0) & (linked > 0), linked, links.people(customer)),
                        product=_encode(table.column("product"), codes, products),
                        event=_column(table, "event", np.int8),
                        occurred_at=occurred_at,
                        quantity=_column(table, "quantity", np.float32),
                        order=_column(table, "order", np.int64),
                        products=products,
                    )


def _blocks(copy: Iterator[bytes]) -> Iterator[bytes]:
    """The answer in blocks of whole rows. Product ids hold no line breaks, so a line is a row."""
    buffer = io.BytesIO()
    for data in copy:
        buffer.write(data)
        # PostgreSQL sends row by row: each piece ends with a line.
        if buffer.tell() >= _BLOCK_BYTES:
            yield buffer.getvalue()
            buffer = io.BytesIO()
    if buffer.tell():
        yield buffer.getvalue()


def _tables(block: bytes, chunk_rows: int) -> Iterator[pa.Table]:
    table = pa.csv.read_csv(
        pa.py_buffer(block),
        read_options=pa.csv.ReadOptions(column_names=_NAMES, block_size=len(block) + 1, use_threads=False),
        convert_options=pa.csv.ConvertOptions(
            column_types={
                "visitor": pa.int64(), "customer": pa.int64(), "occurred_at": pa.float64(), "event": pa.int8(), "order": pa.int64(),
                "product": pa.string(), "quantity": pa.float32(),
            },
            strings_can_be_null=False,
        ),
    )  # fmt: skip
    for start in range(0, table.num_rows, chunk_rows):
        yield table.slice(start, chunk_rows)


def _column(table: pa.Table, name: str, dtype: type[ScalarT]) -> NDArray[ScalarT]:
    values: NDArray[ScalarT] = table.column(name).to_numpy().astype(dtype, copy=False)
    return values


def _encode(column: pa.ChunkedArray, codes: dict[str, int], products: list[str]) -> NDArray[np.int32]:
    """Codes of a column of product ids; new ids are added to the vocabulary."""
    encoded = column.combine_chunks().dictionary_encode()
    mapping = []
    for product_id in encoded.dictionary.to_pylist():
        code = codes.get(product_id)
        if code is None:
            code = codes[product_id] = len(products)
            products.append(product_id)
        mapping.append(code)
    return np.array(mapping, dtype=np.int32)[encoded.indices.to_numpy()]


def read_interactions(
    store: Store | int,
    since: datetime | None = None,
    until: datetime | None = None,
    permitted_for: Purpose = Purpose.PERSONALISATION,
) -> Interactions:
    """The same in one piece (45 bytes a row), with people, visits and baskets numbered. Deterministic: ties
    keep the order of product ids."""
    chunks = list(stream_interactions(store, since, until, permitted_for))
    products = chunks[0].products if chunks else []

    def whole(name: str, dtype: type[ScalarT]) -> NDArray[ScalarT]:
        return np.concatenate([np.empty(0, dtype), *(getattr(chunk, name) for chunk in chunks)])

    visitor, customer = whole("visitor", np.int64), whole("customer", np.int64)
    product, occurred_at = whole("product", np.int32), whole("occurred_at", np.float64)
    # The vocabulary in order of the ids, whatever order the rows came in.
    order_of_ids = np.array(sorted(range(len(products)), key=products.__getitem__), dtype=np.int64)
    rank = np.empty(len(products), dtype=np.int32)
    rank[order_of_ids] = np.arange(len(products), dtype=np.int32)
    product = rank[product] if len(product) else product
    placed = whole("order", np.int64)
    # One key a person: customers above, visitors below zero, and below all of those the orders of whom nobody
    # knows: each is somebody.
    person = np.where(
        customer > 0, customer, np.where(visitor > 0, -visitor, -placed - _UNKNOWN_BUYER * (placed > 0))
    )
    known = person != 0
    people, subject = np.unique(person[known], return_inverse=True)
    columns = {
        "product": product[known],
        "event": whole("event", np.int8)[known],
        "occurred_at": occurred_at[known],
        "quantity": whole("quantity", np.float32)[known],
        "visitor": visitor[known],
    }
    placed = placed[known]
    order = np.lexsort((columns["event"], columns["product"], columns["occurred_at"], subject))
    baskets, basket = np.unique(placed, return_inverse=True)
    numbered = basket.astype(np.int32) - (1 if len(baskets) and baskets[0] == 0 else 0)
    sorted_columns = {name: column[order] for name, column in columns.items()}
    subjects = subject[order].astype(np.int32)
    return Interactions(
        subject=subjects,
        session=number_sessions(subjects, sorted_columns["occurred_at"]),
        basket=np.where(placed == 0, np.int32(-1), numbered)[order],
        subject_customer=np.maximum(people, 0),
        subject_visitor=np.where(people > -_UNKNOWN_BUYER, np.maximum(-people, 0), 0),
        products=[products[code] for code in order_of_ids],
        **sorted_columns,
    )


def number_sessions(subject: NDArray[np.int32], occurred_at: NDArray[np.float64]) -> NDArray[np.int32]:
    """Numbers of visits, (n,) int32 ascending, of rows sorted by (subject, occurred_at): a gap above 30
    minutes or 24 hours since its start begin a new one."""
    n = len(subject)
    if n == 0:
        return np.empty(0, np.int32)
    breaks = np.ones(n, dtype=bool)
    breaks[1:] = (np.diff(subject) != 0) | (np.diff(occurred_at) > SESSION_GAP_SECONDS)
    starts = np.flatnonzero(breaks)
    ends = np.append(starts[1:], n)
    # Chains longer than a day are rare (robots, mostly): only those are walked.
    for start, end in zip(starts, ends, strict=True):
        if occurred_at[end - 1] - occurred_at[start] >= SESSION_CAP_SECONDS:
            opened = occurred_at[start]
            for row in range(start, end):
                if occurred_at[row] - opened >= SESSION_CAP_SECONDS:
                    breaks[row] = True
                    opened = occurred_at[row]
    return (np.cumsum(breaks) - 1).astype(np.int32)
