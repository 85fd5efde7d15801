"""A group of drafts of one store into the database, in the caller's transaction.

Gate first: what is not permitted is counted and forgotten, also when it is faulty. Then the faulty ones go to
quarantine and the rest into the log: a few as one JSON value, many by binary COPY into a temporary table, and
from there, in order of the key, with ON CONFLICT DO NOTHING. Unordered, two overlapping inserts can deadlock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID
from weakref import WeakSet

import msgspec
from django.db import connection

from consent.gate import Inquiry, ask_permissions
from consent.policy import GateEvent
from consent.purposes import RECOGNITION
from tracking.ingestion import people
from tracking.ingestion.cursors import EncodedJson, EncodedRows, ServerCursors, prepare_statements
from tracking.ingestion.drafts import Draft, Tally
from tracking.ingestion.quarantine import quarantine
from tracking.ingestion.uuid7 import uuid7s
from tracking.vocabulary import countable_name

_RECOGNITION: Final = int(RECOGNITION)
_EMPTY: Final = b"{}"
_encode: Final = msgspec.json.Encoder().encode

_COLUMNS: Final = (
    "id, store_id, message_id, type, name, visitor_id, customer_id, product_id, occurred_at, received_at, purposes, "
    "is_bot, is_trusted, properties, context, api_key_id"
)
_TYPES: Final = (
    "uuid", "int8", "text", "int2", "text", "int8", "int8", "text", "timestamptz", "timestamptz", "int2",
    "bool", "bool", "jsonb", "jsonb", "int8",
)  # fmt: skip
_INCOMING: Final = """
CREATE TEMPORARY TABLE IF NOT EXISTS etalage_incoming (
    id uuid, store_id bigint, message_id text, type smallint, name text, visitor_id bigint, customer_id bigint, product_id text,
    occurred_at timestamptz, received_at timestamptz, purposes smallint, is_bot boolean, is_trusted boolean,
    properties jsonb, context jsonb, api_key_id bigint
) ON COMMIT DELETE ROWS
"""
# Fewer rows than this cost less as one JSON value in one statement than by way of a table.
_FEW: Final = 128
_INSERT_FEW: Final = f"""
INSERT INTO tracking_event ({_COLUMNS}, xact_id)
SELECT {_COLUMNS}, pg_current_xact_id()::text::bigint
  FROM json_to_recordset(%s) AS incoming (
    id uuid, store_id bigint, message_id text, type smallint, name text, visitor_id bigint, customer_id bigint, product_id text,
    occurred_at timestamptz, received_at timestamptz, purposes smallint, is_bot boolean, is_trusted boolean,
    properties jsonb, context jsonb, api_key_id bigint)
 ORDER BY message_id, id
ON CONFLICT (store_id, message_id) DO NOTHING
"""
_COPY: Final = f"COPY etalage_incoming ({_COLUMNS}) FROM STDIN (FORMAT BINARY)"
_INSERT: Final = f"""
INSERT INTO tracking_event ({_COLUMNS}, xact_id)
SELECT {_COLUMNS}, pg_current_xact_id()::text::bigint FROM etalage_incoming ORDER BY message_id, id
ON CONFLICT (store_id, message_id) DO NOTHING
"""
_COUNT_DISCARDED: Final = """
INSERT INTO tracking_discardcount (store_id, api_key_id, day, event_name, reason, count)
SELECT %s, api_key_id, day, event_name, reason, count
  FROM unnest(%s::bigint[], %s::date[], %s::text[], %s::text[], %s::bigint[])
       AS discarded(api_key_id, day, event_name, reason, count)
ORDER BY api_key_id, day, event_name, reason
ON CONFLICT (store_id, api_key_id, day, event_name, reason) DO UPDATE SET count = tracking_discardcount.count + EXCLUDED.count
"""


class _Row(msgspec.Struct):
    """A row of the log as JSON: its fields are the columns, in their order."""

    id: UUID
    store_id: int
    message_id: str
    type: int
    name: str
    visitor_id: int | None
    customer_id: int | None
    product_id: str
    occurred_at: datetime
    received_at: datetime
    purposes: int
    is_bot: bool
    is_trusted: bool
    properties: msgspec.Raw
    context: msgspec.Raw
    api_key_id: int | None


_prepared: WeakSet[Any] = WeakSet()


def prepare() -> None:
    """Make this thread's connection ready, once in its life and outside of any transaction, which could take
    it back."""
    connection.ensure_connection()
    if connection.connection not in _prepared:
        with connection.cursor() as cursor:
            cursor.execute(_INCOMING)
        prepare_statements()
        _prepared.add(connection.connection)


def write(drafts: Sequence[Draft]) -> Tally:
    """Raises django.db.Error where the database refuses. All drafts are of one store; each gets its verdict
    and its people set.

    Running it again after a rollback is harmless.
    """
    store = drafts[0].arrival.source.store
    tally = Tally()
    cursors = ServerCursors()
    with connection.wrap_database_errors:
        # In one round trip. What is asked about people who turn out not to be permitted is not used.
        with cursors.raw.pipeline():
            inquiry = ask_permissions(cursors, store.pk, [_gate_event(draft) for draft in drafts])
            known = people.ask(cursors, store.pk, drafts)
        permitted = _judge(drafts, inquiry, tally)
        cursor = cursors.cursor()
        people.refuse_merges(cursor, store.pk, permitted)
        accepted = [draft for draft in permitted if draft.rejection is None]
        rejected = [draft for draft in permitted if draft.rejection is not None]
        if accepted:
            people.resolve(cursor, store, accepted, known)
            tally.stored = _append(cursor, store.pk, accepted)
            tally.duplicates = len(accepted) - tally.stored
        if rejected:
            tally.quarantined = quarantine(store.pk, rejected)
        # Last: its rows are shared by all writers of the store, and locked until the commit.
        _count_discarded(cursor, store.pk, drafts)
    return tally


def pass_gate(drafts: Sequence[Draft], tally: Tally) -> list[Draft]:
    """Set what is granted to each draft, count the others in the tally, and give those that may be kept. Reads only; in
    the caller's transaction."""
    store_id = drafts[0].arrival.source.store_id
    inquiry = ask_permissions(connection, store_id, [_gate_event(draft) for draft in drafts])
    return _judge(drafts, inquiry, tally)


def _judge(drafts: Sequence[Draft], inquiry: Inquiry, tally: Tally) -> list[Draft]:
    permitted = []
    for draft, verdict in zip(drafts, inquiry.verdicts(), strict=True):
        draft.granted = verdict.purposes
        if verdict.purposes:
            permitted.append(draft)
        else:
            draft.discard_reason = verdict.reason
            tally.discarded += 1
    return permitted


def _gate_event(draft: Draft) -> GateEvent:
    arrival = draft.arrival
    return GateEvent(
        draft.anonymous_id,
        draft.user_id,
        draft.purposes,
        draft.occurred_at,
        arrival.source.policy,
        draft.client_consent,
        arrival.gpc,
        draft.received_at if arrival.keeps_received_at else None,
    )


def _append(cursor: Any, store_id: int, drafts: Sequence[Draft]) -> int:
    """Number of rows that are new: a message id that the log knows, or that comes twice here, is stored once."""
    for draft, key in zip(drafts, uuid7s(len(drafts)), strict=True):
        draft.id = key
    if len(drafts) < _FEW:
        rows = [_Row(*_values(draft, store_id, msgspec.Raw)) for draft in drafts]
        cursor.execute(_INSERT_FEW, [EncodedRows(_encode(rows))])
        return int(cursor.rowcount)
    if connection.savepoint_ids:
        # In somebody's longer transaction, the table may be missing, or hold rows already.
        cursor.execute(_INCOMING)
        cursor.execute("TRUNCATE etalage_incoming")
    with cursor.copy(_COPY) as copy:
        copy.set_types(_TYPES)
        for draft in drafts:
            copy.write_row(_values(draft, store_id, EncodedJson))
    cursor.execute(_INSERT)
    return int(cursor.rowcount)


def _values(draft: Draft, store_id: int, as_json: Callable[[bytes], Any]) -> tuple[Any, ...]:
    """In the order of the columns."""
    source = draft.arrival.source
    return (
        draft.id,
        store_id,
        draft.message_id,
        draft.type_code,
        draft.name,
        draft.visitor_id,
        draft.customer_id,
        draft.product_id,
        draft.occurred_at,
        draft.received_at,
        draft.granted,
        draft.is_bot,
        source.is_trusted,
        as_json(draft.encoded_properties),
        as_json(draft.encoded_context if draft.granted & _RECOGNITION else _EMPTY),
        source.api_key_id,
    )


def _count_discarded(cursor: Any, store_id: int, drafts: Sequence[Draft]) -> None:
    counts = Counter(
        (
            draft.arrival.source.api_key_id,
            draft.received_at.date(),
            countable_name(draft.message_type, draft.name),
            str(draft.discard_reason),
        )
        for draft in drafts
        if not draft.granted
    )
    if counts:
        keys, days, names, reasons = zip(*counts, strict=True)
        cursor.execute(
            _COUNT_DISCARDED,
            [store_id, list(keys), list(days), list(names), list(reasons), list(counts.values())],
        )
