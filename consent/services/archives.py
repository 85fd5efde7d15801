"""The answer to an access request: one ZIP to read, to keep and to take elsewhere."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from accounts.personal_data import Processor, Subject, processors
from accounts.sealing import seal, unseal
from consent.models import DataSubjectRequest, RequestPart, RequestPolicy
from consent.record_words import in_words
from consent.selectors.holdings import told

ROWS_SHOWN: Final = 200
# A cell that begins so is a formula to a spreadsheet, and events carry what anybody typed.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")

_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d)")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    raise TypeError(f"An export cannot hold a {type(value).__name__}.")


def collect(part: RequestPart, held: Processor, subjects: Iterable[Subject]) -> tuple[bytes, dict[str, int]]:
    """What one processor holds of the people, compressed and sealed, with the number of rows a table."""
    tables: dict[str, dict[str, Any]] = {}
    # Some rows hold sentences ("Opened one of your orders"): they are for whoever asked.
    with translation.override(part.request.language):
        for subject in subjects:
            for exported in held.export(subject):
                table = tables.setdefault(exported.name, {"description": exported.description, "rows": []})
                table["rows"].extend(dict(row) for row in exported.rows)
    content = json.dumps(tables, default=_plain).encode()
    return seal(f"part {part.pk}", zlib.compress(content, 6)), {
        name: len(table["rows"]) for name, table in tables.items()
    }


def _opened(part: RequestPart) -> dict[str, Any]:
    if part.output is None:
        return {}
    tables: dict[str, Any] = json.loads(zlib.decompress(unseal(f"part {part.pk}", bytes(part.output))))
    return tables


def _cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value


def _csv(rows: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def _readable(sections: list[dict[str, Any]], request: DataSubjectRequest, missing: list[str]) -> str:
    with translation.override(request.language):
        for section in sections:
            section["label"] = told(section["label"])
            for table in section["tables"]:
                _prepare(table)
        return render_to_string(
            "privacy/archive.html",
            {
                "sections": sections,
                "request": request,
                "store": request.store,
                "missing": list(map(told, missing)),
                "now": timezone.now(),
            },
        )


def _prepare(table: dict[str, Any]) -> None:
    """What the page shows of a table, in the words of the language that is active."""
    shown = table["rows"][:ROWS_SHOWN]
    columns = list(dict.fromkeys(name for row in shown for name in row))
    table["title"], table["description"] = in_words(table["name"]), told(table["description"])
    table["columns"] = list(map(in_words, columns))
    table["cells"] = [[_readable_cell(row.get(column, "")) for column in columns] for row in shown]
    table["hidden"] = len(table["rows"]) - len(shown)


def _readable_cell(value: Any) -> Any:
    """Times as people write them; the exact ones stand in the files for programs."""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        return date_format(localtime(datetime.fromisoformat(value)), "DATETIME_FORMAT")
    return _cell(value)


def assemble(request: DataSubjectRequest, parts: Iterable[RequestPart]) -> None:
    """Make the archive of what the parts have collected so far; what is missing is named in it."""
    labels = {each.name: each.label for each in processors()}
    done = [part for part in parts if part.output is not None]
    missing = [labels.get(part.processor, part.processor) for part in parts if part.output is None]
    sections: list[dict[str, Any]] = []
    files = io.BytesIO()
    with zipfile.ZipFile(files, "w", zipfile.ZIP_DEFLATED) as archive:
        everything: dict[str, Any] = {}
        for part in done:
            tables = _opened(part)
            everything[part.processor] = tables
            for name, table in tables.items():
                archive.writestr(f"csv/{part.processor}-{name}.csv", _csv(table["rows"]))
            listed = [{"name": name, **table} for name, table in tables.items()]
            sections.append({"label": labels.get(part.processor, part.processor), "tables": listed})
        about = {
            "request": str(request.public_id),
            "store": request.store.name,
            "made_at": timezone.now().isoformat(),
            "missing": missing,
        }
        archive.writestr("data.json", json.dumps({**about, "data": everything}, indent=1, ensure_ascii=False))
        archive.writestr("index.html", _readable(sections, request, missing))
    policy = RequestPolicy.objects.for_store(request.store_id).first() or RequestPolicy()
    request.archive = seal(f"archive {request.public_id}", files.getvalue())
    request.archive_expires_at = timezone.now() + timedelta(days=policy.archive_days)
    request.save(update_fields=["archive", "archive_expires_at"])


def open_archive(request: DataSubjectRequest) -> bytes | None:
    """The ZIP, or None where there is none (any more)."""
    if (
        request.archive is None
        or request.archive_expires_at is None
        or request.archive_expires_at <= timezone.now()
    ):
        return None
    return unseal(f"archive {request.public_id}", bytes(request.archive))


def expire_archives(now: datetime) -> int:
    """Delete exports that nobody may fetch any more. Gives their number."""
    return DataSubjectRequest.all_stores.filter(archive__isnull=False, archive_expires_at__lte=now).update(
        archive=None
    )
