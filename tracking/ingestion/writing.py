"""A group of drafts of one store into the database, in the caller's transaction.

Gate first: what is not permitted is counted and forgotten, also when it is faulty. Then the faulty ones go to
quarantine and the rest into the log: binary COPY into a temporary table, and from there, in order of the key,
with ON CONFLICT DO NOTHING. Unordered, two overlapping inserts can deadlock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final
from weakref import WeakSet

import psycopg
from django.db import connection
from psycopg.adapt import Dumper
from psycopg.pq import Format

from consent.gate import permissions_for_batch
from consent.policy import GateEvent
from consent.purposes import RECOGNITION
from tracking.ingestion import people
from tracking.ingestion.drafts import Draft, Tally
from tracking.ingestion.quarantine import quarantine
from tracking.ingestion.uuid7 import uuid7s
from tracking.vocabulary import countable_name

_RECOGNITION: Final = int(RECOGNITION)
_EMPTY: Final = b"{}"

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
_COPY: Final = f"COPY etalage_incoming ({_COLUMNS}) FROM STDIN (FORMAT BINARY)"
_INSERT: Final = f"""
INSERT INTO tracking_event ({_COLUMNS}, xact_id)
SELECT {_COLUMNS}, pg_current_xact_id()::text::bigint FROM etalage_incoming ORDER BY message_id
ON CONFLICT (store_id, message_id) DO NOTHING
"""
_COUNT_DISCARDED: Final = """
INSERT INTO tracking_discardcount (store_id, day, event_name, reason, count)
SELECT %s, day, event_name, reason, count
  FROM unnest(%s::date[], %s::text[], %s::text[], %s::bigint[]) AS discarded(day, event_name, reason, count)
ORDER BY day, event_name, reason
ON CONFLICT (store_id, day, event_name, reason) DO UPDATE SET count = tracking_discardcount.count + EXCLUDED.count
"""


class EncodedJson(bytes):
    """JSON that is bytes already."""


class _EncodedJsonDumper(Dumper):
    format = Format.BINARY
    oid = psycopg.adapters.types["jsonb"].oid

    def dump(self, obj: EncodedJson) -> bytes:
        return b"\x01" + obj  # the version of jsonb's binary form


_prepared: WeakSet[Any] = WeakSet()


def prepare() -> None:
    """Make this thread's connection ready, once in its life and outside of any transaction, which could take
    it back."""
    connection.ensure_connection()
    if connection.connection not in _prepared:
        with connection.cursor() as cursor:
            cursor.execute(_INCOMING)
        _prepared.add(connection.connection)


def write(drafts: Sequence[Draft]) -> Tally:
    """Raises django.db.Error where the database refuses. All drafts are of one store; each gets its verdict
    and its people set.

    Running it again after a rollback is harmless.
    """
    store = drafts[0].arrival.source.store
    tally = Tally()
    with connection.cursor() as cursor:
        permitted = _pass_gate(drafts, tally)
        people.refuse_merges(cursor, store.pk, permitted)
        accepted = [draft for draft in permitted if draft.rejection is None]
        rejected = [draft for draft in permitted if draft.rejection is not None]
        if accepted:
            people.resolve(cursor, store, accepted)
            tally.stored = _append(cursor, store.pk, accepted)
            tally.duplicates = len(accepted) - tally.stored
        if rejected:
            tally.quarantined = quarantine(store.pk, rejected)
        # Last: its rows are shared by all writers of the store, and locked until the commit.
        _count_discarded(cursor, store.pk, drafts)
    return tally


def _pass_gate(drafts: Sequence[Draft], tally: Tally) -> list[Draft]:
    verdicts = permissions_for_batch(
        connection,  # type: ignore[arg-type]  # Django's has the same cursors
        drafts[0].arrival.source.store_id,
        [_gate_event(draft) for draft in drafts],
    )
    permitted = []
    for draft, verdict in zip(drafts, verdicts, strict=True):
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
    )


def _append(cursor: Any, store_id: int, drafts: Sequence[Draft]) -> int:
    """Number of rows that are new: a message id that the log knows, or that comes twice here, is stored once."""
    if connection.savepoint_ids:
        # In somebody's longer transaction, the table may be missing, or hold rows already.
        cursor.execute(f"{_INCOMING}; TRUNCATE etalage_incoming")
    with connection.wrap_database_errors, cursor.copy(_COPY) as copy:
        cursor.cursor.adapters.register_dumper(EncodedJson, _EncodedJsonDumper)
        copy.set_types(_TYPES)
        for draft, key in zip(drafts, uuid7s(len(drafts)), strict=True):
            draft.id = key
            copy.write_row(_row(draft, store_id))
    cursor.execute(_INSERT)
    return int(cursor.rowcount)


def _row(draft: Draft, store_id: int) -> tuple[Any, ...]:
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
        EncodedJson(draft.encoded_properties),
        EncodedJson(draft.encoded_context if draft.granted & _RECOGNITION else _EMPTY),
        source.api_key_id,
    )


def _count_discarded(cursor: Any, store_id: int, drafts: Sequence[Draft]) -> None:
    counts = Counter(
        (draft.received_at.date(), countable_name(draft.message_type, draft.name), str(draft.discard_reason))
        for draft in drafts
        if not draft.granted
    )
    if counts:
        days, names, reasons = zip(*counts, strict=True)
        cursor.execute(
            _COUNT_DISCARDED, [store_id, list(days), list(names), list(reasons), list(counts.values())]
        )
