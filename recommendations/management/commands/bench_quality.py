"""Measures recommendation quality on a folder of data: `docs/algorithms.md` says what a folder may hold."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from benchmarks.quality.folders import read
from benchmarks.quality.report import as_json, as_markdown
from benchmarks.quality.run import run
from benchmarks.quality.task import UnreadableFolder
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

        result = run(
            task, seed=options["seed"], trials=options["trials"], names=options["strategies"], progress=bar
        )
        figures = as_markdown(result)
        self.stdout.write(figures)
        if options["write"]:
            flags = " --repeat" if options["repeat"] else ""
            command = f"python manage.py bench_quality --data {folder.name}{flags}"
            write_section(f"Quality: {folder.name}{flags}", command, figures)
        if options["json"]:
            self.stdout.write(json.dumps(as_json(result)))
