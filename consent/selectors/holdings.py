"""What is held about a person, for a page: the exports of every app, cut to what somebody can read."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import structlog

from accounts.personal_data import Subject, processors

ROWS_SHOWN: Final = 5
ROWS_COUNTED: Final = 2000

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class HeldTable:
    """`count` stops at ROWS_COUNTED, and `is_more` says that there are more. `rows` are cells in the order of `columns`."""

    name: str
    description: str
    count: int
    is_more: bool
    columns: list[str]
    rows: list[list[Any]]


@dataclass(frozen=True)
class Holding:
    """What one app holds; `is_readable` is false where it could not be read just now."""

    label: str
    tables: list[HeldTable] = field(default_factory=list)
    is_readable: bool = True


def holdings(subject: Subject) -> list[Holding]:
    """One for each processor, empty tables left out. One that fails is shown as such and hides no other."""
    found = []
    for held in processors():
        try:
            tables = [
                _table(exported.name, exported.description, exported.rows)
                for exported in held.export(subject)
            ]
        except Exception:
            log.exception("holdings.unreadable", processor=held.name)
            found.append(Holding(held.label, is_readable=False))
            continue
        if filled := [table for table in tables if table.count]:
            found.append(Holding(held.label, filled))
    return found


def _table(name: str, description: str, rows: Any) -> HeldTable:
    read = list(islice(rows, ROWS_COUNTED + 1))
    shown = [dict(row) for row in read[:ROWS_SHOWN]]
    columns = list(dict.fromkeys(column for row in shown for column in row))
    filled = [column for column in columns if any(row.get(column) not in (None, "", [], {}) for row in shown)]
    cells = [[row.get(column) for column in filled] for row in shown]
    label = name.replace("_", " ")
    return HeldTable(
        label, description, min(len(read), ROWS_COUNTED), len(read) > ROWS_COUNTED, filled, cells
    )
