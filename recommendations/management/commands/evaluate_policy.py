"""Checks off-policy estimates on logs of policies that really ran: `docs/algorithms.md` says how."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from benchmarks.policies.open_bandit import UnreadableLog, read
from benchmarks.policies.report import as_json, as_markdown
from benchmarks.policies.run import run
from benchmarks.results import write_section


class Command(BaseCommand):
    help = (
        "Estimate each logged policy from the other's log (inverse propensity, doubly robust and more), beside what was logged when it "
        "ran itself. Reads the Open Bandit Dataset: random_NAME.parquet and bts_NAME.parquet."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = "example: manage.py evaluate_policy --data ../shared/data/open_bandit --json"
        parser.add_argument("--data", type=Path, required=True, help="the folder")
        parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
        parser.add_argument(
            "--resamples", type=int, default=1000, help="bootstrap samples for the intervals (default 1000)"
        )
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--write", action="store_true", help="put the figures into benchmarks/RESULTS.md")
        parser.add_argument("--progress", action=argparse.BooleanOptionalAction, default=True)

    def handle(self, **options: Any) -> None:
        folder: Path = options["data"]
        if options["resamples"] < 1:
            raise CommandError(f"--resamples is {options['resamples']}: need at least 1.")
        try:
            campaigns = read(folder)
        except UnreadableLog as error:
            raise CommandError(str(error)) from error

        def bar(steps: Iterable[Any]) -> Iterable[Any]:
            return tqdm(steps, desc="campaigns", leave=False, disable=not options["progress"])

        found = run(campaigns, seed=options["seed"], resamples=options["resamples"], progress=bar)
        figures = as_markdown(found, options["resamples"])
        self.stdout.write(figures)
        if options["write"]:
            command = f"python manage.py evaluate_policy --data {folder.name}"
            write_section(f"Off-policy estimates: {folder.name}", command, figures)
        if options["json"]:
            self.stdout.write(json.dumps(as_json(folder.name, found)))
