"""JSON lines: messages of the tracking contract as they are, byte for byte, and flat objects as rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final

import msgspec

from tracking.imports.records import Record
from tracking.ingestion.limits import MAX_EVENT_BYTES
from tracking.vocabulary import EVENT_TYPES

_MAX_LINE_CHARACTERS: Final = 8 * MAX_EVENT_BYTES
_KEPT_CHARACTERS: Final = 2_000
_OF_A_MESSAGE: Final = frozenset(
    {
        "messageId",
        "anonymousId",
        "userId",
        "previousId",
        "originalTimestamp",
        "properties",
        "traits",
        "context",
    }
)
_decode: Final = msgspec.json.Decoder().decode


def read_json_lines(file: IO[str], *, are_rows: bool = False) -> Iterator[Record]:
    """One object a line. `are_rows`: all of them are flat rows, whatever they look like. Empty lines are passed over."""
    number = 0
    while line := file.readline(_MAX_LINE_CHARACTERS):
        number += 1
        where = f"line {number:,}"
        if len(line) == _MAX_LINE_CHARACTERS and not line.endswith("\n"):
            while (rest := file.readline(_MAX_LINE_CHARACTERS)) and not rest.endswith("\n"):
                pass
            yield Record(where, {}, f"longer than {_MAX_LINE_CHARACTERS:,} characters", _kept(line))
        elif text := line.strip("\ufeff \t\r\n"):
            yield _record(where, text, are_rows)


def _record(where: str, text: str, are_rows: bool) -> Record:
    try:
        raw = text.encode()
        value = _decode(raw)
    except UnicodeEncodeError:
        return Record(
            where, {}, "not in the encoding of the file (say --encoding cp1252, or which it is)", _kept(text)
        )
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        value = _lenient(text)
        if value is None:
            return Record(where, {}, f"not readable as JSON ({error})", _kept(text))
    if not isinstance(value, dict):
        return Record(where, {}, f"a {type(value).__name__}, not an object {{…}}", _kept(text))
    if not are_rows and is_message(value):
        return Record(where, raw)
    return Record(where, value)


def is_message(value: Mapping[str, Any]) -> bool:
    """Whether it has the shape of a call of the tracking contract, not of a row of a table."""
    return not _OF_A_MESSAGE.isdisjoint(value) or value.get("type") in EVENT_TYPES


def _lenient(text: str) -> Any:
    """Python's parser takes halves of surrogate pairs, which the validation then tells as such."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _kept(text: str) -> str:
    return text[:_KEPT_CHARACTERS].encode("utf-8", "backslashreplace").decode()
