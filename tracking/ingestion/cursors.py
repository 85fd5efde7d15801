"""Cursors whose statements the server parses and plans once, on the connection that Django has open.

Django's own put the values into the text of each statement, which the server then plans anew, and read times
in Python. For the few statements of a group commit that is three quarters of their time.
"""

from __future__ import annotations

import struct
from typing import Any, Final
from weakref import WeakSet

import psycopg
from django.db import connection
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format
from psycopg.types.array import ListBinaryDumper

_PREPARE_AFTER: Final = 2


class EncodedJson(bytes):
    """JSON that is bytes already."""


class _EncodedJsonDumper(Dumper):
    format = Format.BINARY
    oid = psycopg.adapters.types["jsonb"].oid

    def dump(self, obj: EncodedJson) -> bytes:
        return b"\x01" + obj  # the version of jsonb's binary form


class EncodedRows(bytes):
    """A JSON array of objects, for `json_to_recordset`: read once, so of the type json."""


class _EncodedRowsDumper(Dumper):
    oid = psycopg.adapters.types["json"].oid

    def dump(self, obj: EncodedRows) -> bytes:
        return obj


_TEXT_ARRAY: Final = psycopg.adapters.types["text"].array_oid
# Number of dimensions, "no NULL inside", the elements' type; then length and lower bound of the dimension.
_ARRAY_HEADER: Final = struct.Struct("!iiIii")
_LENGTH: Final = struct.Struct("!i").pack


class _TextListDumper(ListBinaryDumper):
    """Lists of text, such as the ids of a batch, without a call of psycopg's for each element."""

    def dump(self, obj: list[Any]) -> Buffer | None:
        if self.oid != _TEXT_ARRAY or not obj:
            return super().dump(obj)
        parts = [_ARRAY_HEADER.pack(1, 0, psycopg.adapters.types["text"].oid, len(obj), 1)]
        try:
            for text in obj:
                encoded = text.encode()
                parts += (_LENGTH(len(encoded)), encoded)
        except AttributeError:  # None among them
            return super().dump(obj)
        return b"".join(parts)


_known: WeakSet[Any] = WeakSet()


def prepare_statements() -> None:
    """Let the server remember the statements of this thread's connection. It needs a session of its own: no
    pooler that changes servers between transactions."""
    connection.ensure_connection()
    connection.connection.prepare_threshold = _PREPARE_AFTER


class ServerCursors:
    """Gives cursors of the open connection, in its transaction. Errors are psycopg's: wrap them with
    `connection.wrap_database_errors`."""

    def __init__(self) -> None:
        connection.ensure_connection()
        self.raw: psycopg.Connection[Any] = connection.connection
        if self.raw not in _known:
            self.raw.adapters.register_dumper(EncodedJson, _EncodedJsonDumper)
            self.raw.adapters.register_dumper(EncodedRows, _EncodedRowsDumper)
            self.raw.adapters.register_dumper(list, _TextListDumper)
            _known.add(self.raw)

    def cursor(self) -> psycopg.Cursor[Any]:
        cursor = psycopg.Cursor(self.raw)
        cursor.format = Format.BINARY
        return cursor
