from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from benchmarks.ingestion.report import as_markdown
from benchmarks.ingestion.run import Plan, measure
from benchmarks.ingestion.scratch import CannotMeasure
from benchmarks.results import write_section


class Command(BaseCommand):
    help = (
        "Measure how many events are taken and how quickly they are acknowledged, against the bare database and an empty view, "
        "on a scratch database of the same server. Writes benchmarks/RESULTS.md."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.epilog = "example: manage.py bench_ingest --preload 4000000 --seconds 10 --json"
        plan = Plan()
        parser.add_argument(
            "--preload", type=int, default=plan.preload_rows, help="events in the log before the measurement"
        )
        parser.add_argument("--seconds", type=float, default=plan.seconds, help="length of each measurement")
        parser.add_argument("--processes", type=int, default=plan.processes, help="web processes")
        parser.add_argument("--threads", type=int, default=plan.threads, help="threads of each web process")
        parser.add_argument("--json", action="store_true", help="print the figures as one JSON object, last")
        parser.add_argument("--no-results", action="store_true", help="leave benchmarks/RESULTS.md as it is")

    def handle(self, *args: Any, **options: Any) -> None:
        plan = Plan(
            preload_rows=options["preload"],
            seconds=options["seconds"],
            processes=options["processes"],
            threads=options["threads"],
        )
        try:
            report = measure(_runtime_url(), plan, self.stdout.write)
        except CannotMeasure as error:
            raise CommandError(str(error)) from error
        text = as_markdown(report)
        if not options["no_results"]:
            arguments = " ".join(["manage.py bench_ingest", *sys.argv[2:]])
            write_section("Ingestion", arguments, text)
        self.stdout.write(f"\n{text}")
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json()))


def _runtime_url() -> str:
    values = connection.settings_dict
    return f"postgres://{values['USER']}:{values['PASSWORD']}@{values['HOST'] or 'localhost'}:{values['PORT'] or 5432}/{values['NAME']}"
