from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from accounts.models import Store
from catalog.imports.run import ImportReport, import_catalog


class Command(BaseCommand):
    help = "Import products from a CSV, TSV, JSON or JSON lines file: all of them, or none and a list of what is wrong, by row."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = "example: manage.py import_catalog demo products.csv --dry-run"
        parser.add_argument("store", help="Slug of the store.")
        parser.add_argument("path", type=Path, help="File ending in .csv, .tsv, .json or .jsonl, UTF-8.")
        parser.add_argument("--dry-run", action="store_true", help="Check everything, store nothing.")
        parser.add_argument(
            "--deactivate-missing",
            action="store_true",
            help="The file is the whole catalogue: take out what it does not name.",
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, *args: Any, **options: Any) -> None:
        store = Store.objects.filter(slug=options["store"]).first()
        if store is None:
            raise CommandError(f"There is no store {options['store']!r}.")
        path: Path = options["path"]
        if not path.is_file():
            raise CommandError(f"There is no file {path}.")
        with tqdm(desc="Products", unit="row", file=self.stderr, disable=None) as bar:
            report = import_catalog(
                store=store,
                path=path,
                is_dry_run=options["dry_run"],
                deactivates_missing=options["deactivate_missing"],
                progress=bar.update,
            )
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(report)))
        else:
            self._tell(report, options["dry_run"])
        if report.error_count:
            raise CommandError(
                f"Nothing was imported: {report.error_count} {'error' if report.error_count == 1 else 'errors'}."
            )

    def _tell(self, report: ImportReport, is_dry_run: bool) -> None:
        for error in report.errors:
            self.stderr.write(str(error))
        if report.error_count > len(report.errors):
            self.stderr.write(f"… and {report.error_count - len(report.errors)} more.")
        if not report.error_count:
            result = report.result
            verb = "would be" if is_dry_run else "were"
            self.stdout.write(
                f"{report.rows} rows: {result.created} products {verb} created, {result.updated} updated, "
                f"{result.unchanged} unchanged, {report.deactivated} taken out."
            )


def _as_json(report: ImportReport) -> dict[str, Any]:
    return {
        "rows": report.rows,
        "is_stored": report.is_stored,
        **asdict(report.result),
        "deactivated": report.deactivated,
        "error_count": report.error_count,
        "errors": [asdict(error) for error in report.errors],
    }
