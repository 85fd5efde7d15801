"""CSV files of people and of providers: whatever their separator and encoding, with names of columns brought together."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tracking.payments.settlement import UnreadableSettlement

_ENCODINGS: Final = ("utf-8-sig", "cp1252")
_SEPARATORS: Final = ",;\t|"
_LONGEST_CELL: Final = 1_000_000


@dataclass(frozen=True)
class CsvFile:
    """`headers` in lower case; `rows()` gives (number from 1, {header: text})."""

    path: Path
    encoding: str
    delimiter: str
    headers: tuple[str, ...]
    row_count: int

    def rows(self) -> Iterator[tuple[int, dict[str, str]]]:
        csv.field_size_limit(_LONGEST_CELL)
        with self.path.open(encoding=self.encoding, newline="") as file:
            reader = csv.reader(file, delimiter=self.delimiter)
            next(reader)
            number = 0
            for cells in reader:
                if any(value.strip() for value in cells):
                    number += 1
                    yield number, dict(zip(self.headers, cells, strict=False))


def open_csv(path: Path, delimiter: str = "") -> CsvFile:
    """Raises UnreadableSettlement for what is no CSV file with a header."""
    if not path.is_file():
        raise UnreadableSettlement(f"There is no file {path}.")
    encoding = _encoding_of(path)
    with path.open(encoding=encoding, newline="") as file:
        first = file.readline()
        mark = delimiter or max(_SEPARATORS, key=first.count)
        headers = tuple(name.strip().lower() for name in next(csv.reader([first], delimiter=mark), []))
        count = sum(1 for line in file if line.strip())
    if len(headers) < 2:
        raise UnreadableSettlement(
            f"{path.name} has no header of several columns: its first line is {first.strip()[:80]!r}."
        )
    return CsvFile(path, encoding, mark, headers, count)


def _encoding_of(path: Path) -> str:
    for encoding in _ENCODINGS:
        try:
            with path.open(encoding=encoding) as file:
                for _ in file:
                    pass
        except UnicodeDecodeError:
            continue
        return encoding
    raise UnreadableSettlement(f"{path.name} is no text: save it as CSV in UTF-8.")
