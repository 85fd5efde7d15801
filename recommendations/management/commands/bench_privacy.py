"""`manage.py bench_privacy`: how long erasing, exporting and the other rights take."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from argparse import ArgumentParser
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from tqdm import tqdm

from benchmarks.ingestion.scratch import CannotMeasure
from benchmarks.privacy.plan import Plan
from benchmarks.privacy.report import as_markdown
from benchmarks.privacy.run import measure
from benchmarks.results import write_section

LEAST_CUSTOMERS = 200


class Command(BaseCommand):
    help = (
        "Measure how long it takes to erase people, to export what is held of them, to correct and to restrict, and to verify the "
        "ledgers, in a generated shop with a trained model, and whether other people's data makes it longer. Works on a scratch "
        "database and keyspace of the same servers, dropped afterwards; about five minutes."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.epilog = "example: manage.py bench_privacy --events 100000 --customers 10000 --no-small --json"
        plan = Plan()
        parser.add_argument(
            "--events", type=int, default=plan.events, help="events in the log (default: %(default)s)"
        )
        parser.add_argument("--customers", type=int, default=plan.customers, help="default: %(default)s")
        parser.add_argument("--products", type=int, default=plan.products, help="default: %(default)s")
        parser.add_argument(
            "--people",
            type=int,
            default=plan.people,
            help="people of each size to erase (default: %(default)s)",
        )
        parser.add_argument(
            "--versions",
            type=int,
            default=plan.versions,
            help="model versions that are kept (default: %(default)s)",
        )
        parser.add_argument(
            "--no-small", action="store_true", help="leave out the shop of a tenth that tells how times grow"
        )
        parser.add_argument("--json", action="store_true", help="print the figures as one JSON object, last")
        parser.add_argument("--write", action="store_true", help="put the report into benchmarks/RESULTS.md")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["customers"] < LEAST_CUSTOMERS:
            raise CommandError(
                f"--customers {options['customers']}: at least {LEAST_CUSTOMERS} are needed to measure some."
            )
        plan = Plan(
            events=options["events"],
            customers=options["customers"],
            products=options["products"],
            people=options["people"],
            versions=options["versions"],
            audit_entries=options["customers"] // 2,
            has_small_shop=not options["no_small"],
        )
        ended = signal.signal(signal.SIGTERM, _interrupt)
        try:
            with tqdm(unit="step", disable=None) as bar:

                def step(what: str) -> None:
                    bar.update()
                    bar.set_description(what)

                report = measure(_runtime_url(), plan, step)
        except CannotMeasure as error:
            raise CommandError(str(error)) from error
        finally:
            signal.signal(signal.SIGTERM, ended)
        text = as_markdown(report)
        self.stdout.write(f"\n{text}")
        if options["write"]:
            write_section("Privacy", shlex.join(["manage.py", *sys.argv[1:]]), text)
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json()))


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    """Ended from outside, the scratch database is dropped all the same."""
    raise KeyboardInterrupt


def _runtime_url() -> str:
    values = connection.settings_dict
    return f"postgres://{values['USER']}:{values['PASSWORD']}@{values['HOST'] or 'localhost'}:{values['PORT'] or 5432}/{values['NAME']}"
