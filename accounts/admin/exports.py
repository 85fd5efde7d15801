"""A list as CSV: what is filtered on the screen, streamed, with spreadsheets' formulas made harmless."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.text import slugify

from accounts import auditing
from accounts.current_store import staff_user
from accounts.models import Store

# An ORM path is read with the query; a function is given the row.
ExportColumn = str | Callable[[Any], Any]

_CHUNK_ROWS = 2_000
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class _Echo:
    """A file whose `write` gives the line back: what a streamed csv.writer needs."""

    def write(self, line: str) -> str:
        return line


def cell(value: Any) -> str | int | float:
    """A value as a cell: times in UTC (ISO 8601), lists and objects as JSON, a text that a spreadsheet would run quoted."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    text = (
        json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else str(value)
    )
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def lines(rows: QuerySet[Any], columns: Mapping[str, ExportColumn]) -> Iterator[str]:
    """CSV lines with a header; reads `_CHUNK_ROWS` rows at a time, so that memory stays flat."""
    writer = csv.writer(_Echo())
    yield writer.writerow(columns.keys())
    paths = [column for column in columns.values() if isinstance(column, str)]
    if len(paths) == len(columns):
        for values in rows.values_list(*paths).iterator(chunk_size=_CHUNK_ROWS):
            yield writer.writerow([cell(value) for value in values])
        return
    for row in rows.iterator(chunk_size=_CHUNK_ROWS):
        yield writer.writerow([cell(_value(row, column)) for column in columns.values()])


def _value(row: Any, column: ExportColumn) -> Any:
    if not isinstance(column, str):
        return column(row)
    for name in column.split("__"):
        row = None if row is None else getattr(row, name)
    return row


def csv_response(
    request: HttpRequest,
    *,
    store: Store,
    name: str,
    rows: QuerySet[Any],
    columns: Mapping[str, ExportColumn],
    is_recorded: bool,
) -> StreamingHttpResponse:
    """`is_recorded`: rows about people; the download is written to the audit log with its filters and its size first."""
    if is_recorded:
        details = {"rows": rows.count(), "filters": sorted(request.GET.keys())}
        with transaction.atomic():
            auditing.record(
                store=store, actor=staff_user(request), action="admin.export", target=name, details=details
            )
    response = StreamingHttpResponse(lines(rows, columns), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{store.slug}-{slugify(name)}.csv"'
    response["Cache-Control"] = "private, no-store"
    return response
