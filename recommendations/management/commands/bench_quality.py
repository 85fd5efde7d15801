"""Measures recommendation quality on a folder of data: `docs/algorithms.md` says what a folder may hold."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from algorithms.splits import Leak
from benchmarks.quality import new_items, new_items_report
from benchmarks.quality.folders import read
from benchmarks.quality.report import as_json, as_markdown
from benchmarks.quality.run import Progress, run
from benchmarks.quality.task import Task, UnreadableFolder
from benchmarks.results import write_section


class Command(BaseCommand):
    help = "Rank all items for the test cases of a folder, by every strategy and by their tuned blend."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = "example: manage.py bench_quality --data ../shared/data/retailrocket_sessions --json"
        parser.add_argument("--data", type=Path, required=True, help="the folder")
        parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
        parser.add_argument(
            "--repeat", action="store_true", help="interactions: items already seen may be recommended again"
        )
        parser.add_argument("--strategies", nargs="*", default=[], metavar="NAME", help="only these")
        parser.add_argument(
            "--trials", type=int, default=80, help="random mixes tried for the weights (default 80)"
        )
        parser.add_argument(
            "--peers",
            action="store_true",
            help="measure implicit (cosine, BM25, ALS, BPR) and LightFM too, as they come and tuned on the same slice",
        )
        parser.add_argument(
            "--new-items",
            action="store_true",
            help="hold 15 %% of the items out and rank them among themselves, against LightFM",
        )
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--write", action="store_true", help="put the figures into benchmarks/RESULTS.md")
        parser.add_argument("--progress", action=argparse.BooleanOptionalAction, default=True)

    def handle(self, **options: Any) -> None:
        folder: Path = options["data"]
        try:
            task = read(folder, seed=options["seed"], repeat=options["repeat"])
        except UnreadableFolder as error:
            raise CommandError(str(error)) from error

        def bar(steps: Iterable[Any], what: str) -> Iterable[Any]:
            return tqdm(steps, desc=what, leave=False, disable=not options["progress"])

        if options["new_items"]:
            self._new_items(task, folder, options, bar)
            return
        try:
            result = run(
                task, seed=options["seed"], trials=options["trials"], names=options["strategies"],
                peers=options["peers"], progress=bar,
            )  # fmt: skip
        except Leak as error:
            raise CommandError(f"{folder.name}: {error}.") from error
        figures = as_markdown(result)
        self.stdout.write(figures)
        if options["write"]:
            flags = "".join(f" --{flag}" for flag in ("repeat", "peers") if options[flag])
            command = f"python manage.py bench_quality --data {folder.name}{flags}"
            write_section(
                f"Quality: {folder.name}{' --repeat' if options['repeat'] else ''}", command, figures
            )
        if options["json"]:
            self.stdout.write(json.dumps(as_json(result)))

    def _new_items(self, task: Task, folder: Path, options: dict[str, Any], bar: Progress[Any]) -> None:
        try:
            result = new_items.run(task, seed=options["seed"], progress=bar)
        except UnreadableFolder as error:
            raise CommandError(str(error)) from error
        figures = new_items_report.as_markdown(result)
        self.stdout.write(figures)
        if options["write"]:
            command = f"python manage.py bench_quality --data {folder.name} --new-items"
            write_section(f"New items: {folder.name}", command, figures)
        if options["json"]:
            self.stdout.write(json.dumps(new_items_report.as_json(result)))
