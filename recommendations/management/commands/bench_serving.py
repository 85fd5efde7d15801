"""`manage.py bench_serving`: how many shelves, how quickly, how fresh."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from benchmarks.ingestion.scratch import CannotMeasure
from benchmarks.results import write_section
from benchmarks.serving.report import as_markdown
from benchmarks.serving.run import Plan, measure


class Command(BaseCommand):
    help = (
        "Measure shelves a second and their times against an empty REST view on the same server, with generated shops and real models, "
        "on a scratch database of the same server. Progress goes to standard error."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.epilog = "example: manage.py bench_serving --products 10000 --freshness --write"
        plan = Plan()
        parser.add_argument(
            "--products",
            type=int,
            nargs="+",
            default=list(plan.products),
            help="size of each shop (default: %(default)s)",
        )
        parser.add_argument("--seconds", type=float, default=plan.seconds, help="length of each measurement")
        parser.add_argument("--processes", type=int, default=plan.processes, help="web processes")
        parser.add_argument("--threads", type=int, default=plan.threads, help="threads of each web process")
        parser.add_argument(
            "--connections",
            type=int,
            nargs="+",
            default=list(plan.connections),
            help="that ask at once (default: %(default)s)",
        )
        parser.add_argument(
            "--placements",
            nargs="+",
            choices=plan.placements,
            default=list(plan.placements),
            help="shelves that are asked for; mix is home, product and cart in turn, visit all shelves of the pages that shoppers come by, "
            "which the goals are about (default: all)",
        )
        parser.add_argument(
            "--freshness",
            action="store_true",
            help="also from an event to the first shelf of another process that it changed",
        )
        parser.add_argument("--json", action="store_true", help="print the figures as one JSON object, last")
        parser.add_argument("--write", action="store_true", help="put the figures into benchmarks/RESULTS.md")

    def handle(self, *args: Any, **options: Any) -> None:
        if min(options["products"]) < 250:
            raise CommandError(
                f"--products {min(options['products'])}: a shop needs at least 250 to be measured."
            )
        plan = Plan(
            products=tuple(options["products"]),
            seconds=options["seconds"],
            processes=options["processes"],
            threads=options["threads"],
            connections=tuple(options["connections"]),
            placements=tuple(options["placements"]),
            has_freshness=options["freshness"],
        )
        try:
            report = measure(_runtime_url(), plan, self.stderr.write)
        except CannotMeasure as error:
            raise CommandError(str(error)) from error
        text = as_markdown(report)
        if options["write"]:
            write_section("Serving", " ".join(["manage.py bench_serving", *sys.argv[2:]]), text)
        self.stdout.write(f"\n{text}")
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json()))


def _runtime_url() -> str:
    values = connection.settings_dict
    return f"postgres://{values['USER']}:{values['PASSWORD']}@{values['HOST'] or 'localhost'}:{values['PORT'] or 5432}/{values['NAME']}"
