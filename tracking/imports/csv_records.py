"""CSV of any dialect, record by record: a line that makes no sense is told with its number, and the next one is read."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from typing import IO, Final

from tracking.imports.records import Record, UnreadableFile
from tracking.ingestion.limits import MAX_EVENT_BYTES

DELIMITERS: Final = ",;\t|"
# What is longer is no value of an event, but a quotation mark that was never closed.
_MAX_LINE_CHARACTERS: Final = 4 * MAX_EVENT_BYTES
_MAX_FIELD_CHARACTERS: Final = 2 * MAX_EVENT_BYTES
_KEPT_CHARACTERS: Final = 2_000


class _Lines:
    """The lines of a file, numbered from 1; those of the record being read can be handed back."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._returned: deque[str] = deque()
        self.number = 0
        self.taken: list[str] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else self._read()
        if not line:
            raise StopIteration
        self.number += 1
        self.taken.append(line)
        return line

    def _read(self) -> str:
        line = self._file.readline(_MAX_LINE_CHARACTERS)
        if len(line) == _MAX_LINE_CHARACTERS and line[-1] not in "\r\n":
            while (rest := self._file.readline(_MAX_LINE_CHARACTERS)) and rest[-1] not in "\r\n":
                pass
        return line

    def begin(self) -> int:
        """Forget the record before; gives the number of the line that comes next."""
        self.taken = []
        return self.number + 1

    def give_back(self, first: int) -> None:
        """All lines of the record but the first are read again."""
        self._returned.extendleft(reversed(self.taken[1:]))
        self.taken = self.taken[:1]
        self.number = first


def read_csv(file: IO[str], delimiter: str = "") -> tuple[list[str], Iterator[Record]]:
    """Columns and records of a file with a header. `delimiter` "" is whichever of comma, semicolon, tab and bar the header has most of.

    Empty lines are passed over. A line with too few or too many values, an open quotation mark or bytes that are no text
    becomes a record with a fault. Raises UnreadableFile where the header is none.
    """
    lines = _Lines(file)
    columns, delimiter = _header(lines, delimiter)
    return columns, _records(lines, columns, delimiter)


def _records(lines: _Lines, columns: list[str], delimiter: str) -> Iterator[Record]:
    csv.field_size_limit(_MAX_FIELD_CHARACTERS)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        first = lines.begin()
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            text = lines.taken[0] if lines.taken else ""
            # The mark may have swallowed good lines: only the line with the mark is at fault.
            lines.give_back(first)
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            yield _faulty(first, columns, [], f"not readable as CSV ({error})", text)
            continue
        if not any(values):
            continue
        if fault := _fault(values, columns, lines.taken):
            if len(values) != len(columns) and len(lines.taken) > 1:
                lines.give_back(first)
            yield _faulty(first, columns, values, fault, "".join(lines.taken))
            continue
        yield Record(f"line {first:,}", dict(zip(columns, values, strict=True)))


def _header(lines: _Lines, delimiter: str) -> tuple[list[str], str]:
    line = next(lines, "").lstrip("\ufeff")
    delimiter = delimiter or max(DELIMITERS, key=line.count)
    columns = [column.strip() for column in next(csv.reader([line], delimiter=delimiter), [])]
    if not any(columns):
        raise UnreadableFile("The first line must name the columns, and it is empty.")
    if repeated := sorted({column for column in columns if column and columns.count(column) > 1}):
        raise UnreadableFile(f"The first line names the column {repeated[0]!r} twice: rename one of them.")
    if not _is_text(line):
        raise UnreadableFile(
            "The first line is not in the encoding of the file: say --encoding cp1252, or which it is."
        )
    return [column or f"column_{number}" for number, column in enumerate(columns, 1)], delimiter


def _fault(values: Sequence[str], columns: Sequence[str], taken: Sequence[str]) -> str:
    if len(values) != len(columns):
        return f"{len(values)} values for {len(columns)} columns"
    if not all(map(_is_text, taken)):
        broken = next(column for column, value in zip(columns, values, strict=True) if not _is_text(value))
        return f"{broken!r} is not in the encoding of the file (say --encoding cp1252, or which it is)"
    if len(taken[0]) >= _MAX_LINE_CHARACTERS:
        return f"longer than {_MAX_LINE_CHARACTERS:,} characters"
    return ""


def _is_text(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _faulty(line: int, columns: Sequence[str], values: Sequence[str], fault: str, text: str) -> Record:
    """What stands in its place can be believed only where nothing is missing: for erasure, any id will do."""
    told = {column: value for column, value in zip(columns, values, strict=False) if _is_text(value)}
    kept = text[:_KEPT_CHARACTERS].encode("utf-8", "backslashreplace").decode()
    return Record(f"line {line:,}", told, fault, kept)
