from __future__ import annotations

import json
from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.loader import render_to_string

from accounts.models import Store
from consent.processing_record import ProcessingRecord, processing_record

EXAMPLE = """
examples:
  manage.py processing_record --store demo
  manage.py processing_record --store demo --json > processing.json
  manage.py processing_record --store demo --output processing.html
"""
SUFFIXES = (".html", ".json", ".csv")


class Command(BaseCommand):
    help = "The record of processing activities (GDPR Art. 30) of a store, from what code, notice and store declare."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {"epilog": EXAMPLE, "formatter_class": RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--store", required=True, help="Slug.")
        parser.add_argument("--json", action="store_true", help="One JSON object on standard output.")
        parser.add_argument(
            "--output", type=Path, help="A file; its ending says what is written: .html, .json or .csv."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        store = Store.objects.filter(slug=options["store"]).first()
        if store is None:
            known = ", ".join(Store.objects.order_by("slug").values_list("slug", flat=True)) or "none yet"
            raise CommandError(f"There is no store {options['store']!r}. Stores: {known}.")
        record = processing_record(store)
        output: Path | None = options["output"]
        if output is not None:
            self._write(record, output)
        elif options["json"]:
            self.stdout.write(json.dumps(record.as_json(), ensure_ascii=False))
        else:
            self._say(record)

    def _write(self, record: ProcessingRecord, output: Path) -> None:
        if output.suffix not in SUFFIXES:
            raise CommandError(f"{output.name}: name it {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}.")
        text = {
            ".html": lambda: render_to_string("privacy/processing_record.html", {"record": record}),
            ".json": lambda: json.dumps(record.as_json(), indent=1, ensure_ascii=False),
            ".csv": record.as_csv,
        }[output.suffix]()
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{output} could not be written: {error.strerror}.") from None
        self.stdout.write(f"Written to {output}.")

    def _say(self, record: ProcessingRecord) -> None:
        self.stdout.write(f"{record.store}: {record.controller or 'controller not said'}")
        for activity in record.activities:
            recipients = ", ".join(activity.recipients) or "nobody"
            self.stdout.write(
                f"  {activity.name}: {activity.legal_basis}, {activity.retention_days} days, passed on to {recipients}"
            )
        self.stdout.write(f"  {len(record.holdings)} tables and caches hold data about people.")
        for gap in record.gaps():
            self.stdout.write(self.style.WARNING(f"  Not said yet: {gap}"))
