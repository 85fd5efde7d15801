from __future__ import annotations

import json
import shlex
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from tqdm import tqdm

from benchmarks.ingestion.plan import Plan
from benchmarks.ingestion.report import as_markdown
from benchmarks.ingestion.run import measure
from benchmarks.ingestion.scratch import CannotMeasure
from benchmarks.results import write_section

SOAK_SECONDS = 600.0


def _numbers(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        numbers = ()
    if not numbers or numbers[0] < 1:
        raise ArgumentTypeError(f"{text!r} is no list of numbers from 1 on, such as 1,10,100.")
    return numbers


class Command(BaseCommand):
    help = (
        "Measure how many events are taken and how quickly they are acknowledged, against the bare database, an empty view "
        "and the same without the consent gate, in one run. Works on a scratch database and keyspace of the same servers, "
        "dropped afterwards; wants a machine that does nothing else, and about seven minutes."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.epilog = "example: manage.py bench_ingest --write --soak"
        plan = Plan()
        parser.add_argument(
            "--preload", type=int, default=plan.preload_rows, help="events in the log before the measurement"
        )
        parser.add_argument(
            "--copy-rows", type=int, default=plan.copy_rows, help="rows of the bare COPY, each round"
        )
        parser.add_argument("--seconds", type=float, default=plan.seconds, help="length of each measurement")
        parser.add_argument("--rounds", type=int, default=plan.rounds, help="rounds of what is compared")
        parser.add_argument(
            "--batch-sizes", type=_numbers, default=plan.batch_sizes, help="events a request, as 1,10,100"
        )
        parser.add_argument(
            "--connections", type=_numbers, default=plan.connections, help="connections, as 1,16,64"
        )
        parser.add_argument("--processes", type=int, default=plan.processes, help="web processes")
        parser.add_argument("--threads", type=int, default=plan.threads, help="threads of each web process")
        parser.add_argument(
            "--soak",
            type=float,
            nargs="?",
            const=SOAK_SECONDS,
            default=0.0,
            metavar="SECONDS",
            help=f"watch the memory under load as well, {SOAK_SECONDS:.0f} seconds unless said",
        )
        parser.add_argument("--json", action="store_true", help="print the figures as one JSON object, last")
        parser.add_argument("--write", action="store_true", help="put the report into benchmarks/RESULTS.md")

    def handle(self, *args: Any, **options: Any) -> None:
        plan = Plan(
            preload_rows=options["preload"],
            copy_rows=options["copy_rows"],
            seconds=options["seconds"],
            rounds=options["rounds"],
            batch_sizes=options["batch_sizes"],
            connections=options["connections"],
            processes=options["processes"],
            threads=options["threads"],
            soak_seconds=options["soak"],
        )
        ended = signal.signal(signal.SIGTERM, _interrupt)
        try:
            with tqdm(total=plan.steps, unit="step", disable=None) as bar:

                def step(what: str) -> None:
                    bar.update()
                    bar.set_description(what)

                report = measure(
                    _runtime_url(), plan, bar.write if not bar.disable else self.stdout.write, step
                )
        except CannotMeasure as error:
            raise CommandError(str(error)) from error
        finally:
            signal.signal(signal.SIGTERM, ended)
        text = as_markdown(report)
        self.stdout.write(f"\n{text}")
        if options["write"]:
            write_section("Ingestion", shlex.join(["manage.py", *sys.argv[1:]]), text)
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json()))


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    """Ended from outside, the scratch database is dropped all the same."""
    raise KeyboardInterrupt


def _runtime_url() -> str:
    values = connection.settings_dict
    return f"postgres://{values['USER']}:{values['PASSWORD']}@{values['HOST'] or 'localhost'}:{values['PORT'] or 5432}/{values['NAME']}"
