"""Files to numbered rows, a few kilobytes at a time."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TextIO

Row = dict[str, Any]
CHUNK_CHARACTERS: Final = 65_536
MAX_VALUE_CHARACTERS: Final = 1_000_000
DELIMITERS: Final = ",;\t|"


class UnreadableFile(ValueError):
    """The file as a whole cannot be read; `row` says where it stopped making sense."""

    def __init__(self, message: str, row: int = 1) -> None:
        super().__init__(message)
        self.row = row


def read_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """(row number, {column: value}) of a file, by its name: .csv, .tsv, .json, .jsonl or .ndjson.

    In CSV row 1 is the header, as spreadsheets count; in JSON the first product is row 1. Raises UnreadableFile.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            match path.suffix.lower():
                case ".csv" | ".tsv":
                    yield from read_csv(file)
                case ".json":
                    yield from read_json_array(file)
                case ".jsonl" | ".ndjson":
                    yield from read_json_lines(file)
                case other:
                    raise UnreadableFile(
                        f"{other or 'No extension'}: a file ending in .csv, .tsv, .json or .jsonl is expected."
                    )
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"The file is not UTF-8 (byte {error.start}): save it as UTF-8.") from error


def read_csv(file: TextIO) -> Iterator[tuple[int, Row]]:
    """Comma, semicolon, tab or bar, whichever the header has most of."""
    header = file.readline()
    file.seek(0)
    delimiter = max(DELIMITERS, key=header.count)
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    try:
        columns = [column.strip() for column in next(reader, [])]
        _check_header(columns)
        for number, values in enumerate(reader, start=2):
            if not any(values):
                continue
            if len(values) != len(columns):
                raise UnreadableFile(f"{len(values)} values for {len(columns)} columns.", number)
            yield number, dict(zip(columns, values, strict=True))
    except csv.Error as error:
        raise UnreadableFile(f"Not readable as CSV: {error}.", reader.line_num) from error


def _check_header(columns: list[str]) -> None:
    if not any(columns):
        raise UnreadableFile("The file is empty: a header with the names of the columns is expected.")
    if repeated := {column for column in columns if columns.count(column) > 1}:
        raise UnreadableFile(f"Column {sorted(repeated)[0]!r} stands in the header twice.")


def read_json_lines(file: TextIO) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise UnreadableFile(f"Not readable as JSON: {error.msg}.", number) from error
        yield number, _object(value, number)


def read_json_array(file: TextIO) -> Iterator[tuple[int, Row]]:
    """Objects of one array, `[{…}, {…}]`, decoded one by one."""
    decoder = json.JSONDecoder()
    buffer = _Buffer(file)
    if buffer.peek() != "[":
        raise UnreadableFile("A JSON array of products is expected: [{…}, {…}].")
    buffer.take(1)
    number = 0
    while buffer.peek() != "]":
        number += 1
        if number > 1:
            if buffer.peek() != ",":
                raise UnreadableFile(
                    "A comma between two products is missing, or the file ends too early.", number
                )
            buffer.take(1)
            buffer.peek()
        yield number, _object(buffer.decode(decoder, number), number)
    buffer.take(1)
    if buffer.peek():
        raise UnreadableFile("Something follows the end of the array.", number)


class _Buffer:
    """What was read of a file and not yet decoded."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text = ""

    def _more(self) -> bool:
        chunk = self._file.read(CHUNK_CHARACTERS)
        self._text += chunk
        return bool(chunk)

    def peek(self) -> str:
        """The next character that is no space; "" at the end of the file."""
        while not self._text.lstrip():
            self._text = ""
            if not self._more():
                return ""
        self._text = self._text.lstrip()
        return self._text[0]

    def take(self, count: int) -> None:
        self._text = self._text[count:]

    def decode(self, decoder: json.JSONDecoder, number: int) -> Any:
        while True:
            try:
                value, end = decoder.raw_decode(self._text)
            except json.JSONDecodeError as error:
                # The value may go on in what has not been read yet.
                if len(self._text) > MAX_VALUE_CHARACTERS or not self._more():
                    raise UnreadableFile(f"Not readable as JSON: {error.msg}.", number) from error
            else:
                self.take(end)
                return value


def _object(value: Any, number: int) -> Row:
    if not isinstance(value, dict):
        raise UnreadableFile("Each product is an object: {…}.", number)
    return value
