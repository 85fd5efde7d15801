"""`manage.py bench_training`: how long each strategy trains, in how much memory, and how both grow."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, BooleanOptionalAction
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from algorithms.registry import STRATEGIES
from algorithms.types import TrainingData
from benchmarks.quality.folders import read
from benchmarks.quality.task import UnreadableFolder
from benchmarks.results import write_section
from benchmarks.training.generator import generated_log
from benchmarks.training.report import as_json, as_markdown
from benchmarks.training.run import CannotMeasure, Plan, measure, steps_of

GENERATED = (37_000, 686_000)
"""Products and events of the log that is generated where no folder is given."""


class Command(BaseCommand):
    help = (
        "Train every strategy on a log of sessions at several sizes and on a generated shop, each in a process of its own, and report "
        "time, peak memory and how both grow. About ten minutes on two cores."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.epilog = (
            "example: manage.py bench_training --data ../shared/data/retailrocket_sessions --write"
        )
        plan = Plan()
        parser.add_argument(
            "--data",
            type=Path,
            help="a folder as bench_quality takes it (default: a generated log of its size)",
        )
        parser.add_argument(
            "--scales",
            type=int,
            nargs="+",
            default=list(plan.scales),
            help="multiples of the log (default: 1 2 4 8)",
        )
        parser.add_argument(
            "--items",
            type=int,
            default=plan.items,
            help="products of the generated shop, 0 = none (default: %(default)s)",
        )
        parser.add_argument(
            "--events",
            type=int,
            default=plan.events,
            help="events of the generated shop (default: %(default)s)",
        )
        parser.add_argument(
            "--strategies", nargs="+", default=list(plan.strategies), metavar="NAME", help="only these"
        )
        parser.add_argument(
            "--budget",
            type=float,
            default=plan.budget_seconds,
            help="seconds that a fit of a larger log may take; a strategy's row ends before (default: %(default)s)",
        )
        parser.add_argument(
            "--log-size",
            type=int,
            nargs=2,
            default=GENERATED,
            metavar=("ITEMS", "EVENTS"),
            help="of the log that is generated where no --data is given (default: 37000 686000)",
        )
        parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
        parser.add_argument("--write", action="store_true", help="put the figures into benchmarks/RESULTS.md")
        parser.add_argument("--progress", action=BooleanOptionalAction, default=True)

    def handle(self, **options: Any) -> None:
        plan = _plan(options)
        data, name = _log(options["data"], options["log_size"])
        with tqdm(
            total=steps_of(data, plan), unit="step", file=sys.stderr, disable=not options["progress"]
        ) as bar:

            def progress(step: str) -> None:
                bar.set_postfix_str(step)
                bar.update()

            try:
                report = measure(data, name, plan, progress)
            except CannotMeasure as error:
                raise CommandError(str(error)) from error
        text = as_markdown(report)
        self.stdout.write(text)
        if options["write"]:
            data_flag = f" --data {options['data'].name}" if options["data"] else ""
            write_section("Training", f"python manage.py bench_training{data_flag}", text)
        if options["json"]:
            self.stdout.write(json.dumps(as_json(report)))


def _plan(options: dict[str, Any]) -> Plan:
    if unknown := sorted(set(options["strategies"]) - set(STRATEGIES)):
        raise CommandError(
            f"There is no strategy {', '.join(unknown)}: choose among {', '.join(STRATEGIES)}."
        )
    if min(options["scales"]) < 1 or len(set(options["scales"])) < len(options["scales"]):
        raise CommandError(f"--scales {options['scales']}: give whole numbers from 1, each once.")
    return Plan(
        scales=tuple(sorted(options["scales"])),
        items=options["items"],
        events=options["events"],
        strategies=tuple(options["strategies"]),
        budget_seconds=options["budget"],
    )


def _log(folder: Path | None, size: Sequence[int]) -> tuple[TrainingData, str]:
    if folder is None:
        return generated_log(size[0], size[1]), "A generated log"
    try:
        return read(folder).train, folder.name
    except UnreadableFolder as error:
        raise CommandError(str(error)) from error
