"""What is held about a person, for a page: the exports of every app, cut to what somebody can read."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import structlog
from django.utils.translation import gettext as _

from accounts.personal_data import Subject, processors
from consent.record_words import in_words

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
    # Who somebody is comes before what they did: the other way round than in an erasure.
    for held in sorted(processors(), key=lambda held: (-held.stage, held.name)):
        try:
            tables = [
                _table(exported.name, exported.description, exported.rows)
                for exported in held.export(subject)
            ]
        except Exception:
            log.exception("holdings.unreadable", processor=held.name)
            found.append(Holding(told(held.label), is_readable=False))
            continue
        if filled := [table for table in tables if table.count]:
            found.append(Holding(told(held.label), filled))
    return found


def _table(name: str, description: str, rows: Any) -> HeldTable:
    read = list(islice(rows, ROWS_COUNTED + 1))
    shown = [dict(row) for row in read[:ROWS_SHOWN]]
    columns = list(dict.fromkeys(column for row in shown for column in row))
    filled = [column for column in columns if any(row.get(column) not in (None, "", [], {}) for row in shown)]
    cells = [[_readable(row.get(column)) for column in filled] for row in shown]
    return HeldTable(
        in_words(name),
        told(description),
        min(len(read), ROWS_COUNTED),
        len(read) > ROWS_COUNTED,
        [in_words(column) for column in filled],
        cells,
    )


def told(words: str) -> str:
    """What a processor calls something, in the reader's language; as it stands where nobody has translated it."""
    return _(words) if words else ""


def _readable(value: Any) -> Any:
    """Structures as text; everything else as it is, for the template to format."""
    match value:
        case bool():
            return _("yes") if value else _("no")
        case dict():
            return "; ".join(f"{in_words(str(name))}: {_readable(each)}" for name, each in value.items())
        case list() | tuple() | set():
            return ", ".join(str(_readable(each)) for each in value)
    return value
