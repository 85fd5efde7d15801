from __future__ import annotations

import json
from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Store
from consent.anchors import anchor_heads, anchor_path
from consent.verification import Report, verify_all

EXAMPLE = """
examples:
  manage.py verify_audit_log
  manage.py verify_audit_log --store demo --json
  manage.py verify_audit_log --anchor

Anchors stand in ETALAGE_ANCHOR_DIR: keep a copy of that folder where the database's keepers cannot write.
"""


class Command(BaseCommand):
    help = "Prove the audit log and the consent ledger: finds change, insertion, deletion and a cut tail. Exits with 1 on a finding."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {"epilog": EXAMPLE, "formatter_class": RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--store", help="Slug; all stores by default.")
        parser.add_argument("--json", action="store_true", help="One JSON object on the last line.")
        parser.add_argument(
            "--anchor",
            action="store_true",
            help="Then write the heads to the anchor file, where everything is intact.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        stores = Store.objects.order_by("pk")
        if options["store"]:
            stores = stores.filter(slug=options["store"])
            if not stores:
                raise CommandError(f"There is no store {options['store']!r}.")
        reports = {store: verify_all(store) for store in stores}
        for store, of_store in reports.items():
            for report in of_store:
                self._say(store, report)
            if options["anchor"] and all(report.is_intact for report in of_store) and anchor_heads(store):
                self.stdout.write(f"{store.slug}: heads anchored in {anchor_path(store)}")
        is_intact = all(report.is_intact for of_store in reports.values() for report in of_store)
        if options["json"]:
            stores_json = {
                store.slug: [report.as_json() for report in of_store] for store, of_store in reports.items()
            }
            self.stdout.write(json.dumps({"is_intact": is_intact, "stores": stores_json}))
        if not is_intact:
            raise CommandError("A ledger does not verify: see the findings above.", returncode=1)

    def _say(self, store: Store, report: Report) -> None:
        verdict = self.style.SUCCESS("intact") if report.is_intact else self.style.ERROR("NOT INTACT")
        anchored = f"anchored up to {report.anchored_sequence}" if report.anchors else "never anchored"
        self.stdout.write(
            f"{store.slug} {report.ledger}: {report.entries} entries, {report.erased} erased, {anchored}: {verdict}"
        )
        for finding in report.findings:
            self.stdout.write(f"  entry {finding.sequence}: {finding.kind}: {finding.detail}")
