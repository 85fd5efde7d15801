from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from tqdm import tqdm

from accounts.models import Store
from tracking.quality.detection import DetectionReport, detect_anomalies
from tracking.quality.rollup import rollup_rebuild


class Command(BaseCommand):
    help = (
        "Look for odd volumes, prices and clocks in what arrived, and put them on the review list. Runs every hour by "
        "itself."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.epilog = "example: manage.py detect_anomalies --store demo --json"
        parser.add_argument("--store", metavar="SLUG", help="only this store (default: every store)")
        parser.add_argument(
            "--at",
            type=_moment,
            metavar="TIME",
            help="judge as of this moment, ISO 8601; with --trial, to see what would have been found",
        )
        parser.add_argument(
            "--trial", action="store_true", help="report nothing to the review list, clear nothing"
        )
        parser.add_argument("--rebuild", action="store_true", help="count the whole log anew first")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        stores = Store.objects.order_by("slug")
        if options["store"]:
            stores = stores.filter(slug=options["store"])
            if not stores:
                raise CommandError(f"There is no store {options['store']!r}.")
        reports = []
        for store in tqdm(list(stores), unit=" stores", disable=None, file=self.stderr):
            if options["rebuild"]:
                rollup_rebuild(store)
            reports.append(detect_anomalies(store, at=options["at"], is_trial=options["trial"]))
        if options["json"]:
            self.stdout.write(json.dumps({"stores": [as_json(report) for report in reports]}))
            return
        for report in reports:
            self._tell(report)

    def _tell(self, report: DetectionReport) -> None:
        counts = report.counts
        self.stdout.write(
            f"{report.store}: {report.series} series of {report.hours} hours, {len(report.findings)} findings ({counts.new} new, "
            f"{counts.reopened} open again), {report.cleared} no longer true"
        )
        for finding in report.findings:
            self.stdout.write(f"  {finding.kind.label}: {finding.summary}")


def as_json(report: DetectionReport) -> dict[str, Any]:
    return {
        "store": report.store,
        "at": report.at.isoformat(),
        "series": report.series,
        "hours": report.hours,
        "new": report.counts.new,
        "refreshed": report.counts.refreshed,
        "reopened": report.counts.reopened,
        "left_closed": report.counts.left_closed,
        "cleared": report.cleared,
        "findings": [
            {
                "kind": finding.kind,
                "key": finding.key,
                "severity": finding.severity.name.lower(),
                "summary": finding.summary,
                "details": dict(finding.details),
                "evidence": list(finding.evidence),
            }
            for finding in report.findings
        ],
    }


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else timezone.make_aware(moment)
