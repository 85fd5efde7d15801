from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from accounts.models import Store
from tracking.quality.duplicates import DuplicateReport, find_duplicates, report_duplicates

SHOWN = 20


class Command(BaseCommand):
    help = (
        "Find customers who may be one person, by what their e-mail addresses, phone numbers, addresses and browsers have in "
        "common, and put them on the review list. Merges nothing. Runs every night by itself."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.epilog = "example: manage.py find_duplicates --store demo --json"
        parser.add_argument("--store", metavar="SLUG", help="only this store (default: every store)")
        parser.add_argument("--trial", action="store_true", help="only tell; leave the review list as it is")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        stores = Store.objects.order_by("slug")
        if options["store"]:
            stores = stores.filter(slug=options["store"])
            if not stores:
                raise CommandError(
                    f"There is no store {options['store']!r}: name one of "
                    f"{', '.join(Store.objects.values_list('slug', flat=True)) or 'none'}."
                )
        find = find_duplicates if options["trial"] else report_duplicates
        reports = {
            store.slug: find(store)
            for store in tqdm(list(stores), unit=" stores", disable=None, file=self.stderr)
        }
        if options["json"]:
            self.stdout.write(json.dumps({slug: asdict(report) for slug, report in reports.items()}))
            return
        for slug, report in reports.items():
            self._tell(slug, report)

    def _tell(self, slug: str, report: DuplicateReport) -> None:
        self.stdout.write(
            f"{slug}: {len(report.candidates)} pairs of {report.customers} customers may be one person "
            f"({report.findings.new} new on the review list, {report.resolved} no longer likely)"
        )
        for found in report.candidates[:SHOWN]:
            self.stdout.write(f"  {found.first} and {found.second}: {found.score:.0%}, {found.in_words}")
        if (left := len(report.candidates) - SHOWN) > 0:
            self.stdout.write(f"  and {left} more, on the review list")
        for lead, count in report.shared_by_many.items():
            self.stdout.write(f"  passed over: {count} values of {lead} that too many records share")
