"""`manage.py watch_models`: does the live version still fit what happens?"""

from __future__ import annotations

import json
import sys
from argparse import RawDescriptionHelpFormatter
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandParser
from tqdm import tqdm

from accounts.models import Store
from recommendations.management.store_argument import add_store_argument, stores_named
from recommendations.models import DriftReading
from recommendations.services.drift_watch import drift_watch

EXAMPLE: Final = """
examples:
  manage.py watch_models --store demo
  manage.py watch_models --all --json

Runs by itself twice a day. What drifts goes to the review list, and leaves it when it no longer does.
"""
MARKS: Final = {"ok": "fits", "warn": "DRIFTS", "bad": "DRIFTS FAR", "unknown": "–"}


class Command(BaseCommand):
    help = "Compare what happened since the live version was trained with what it learned from: products, scores, demand, age."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {"epilog": EXAMPLE, "formatter_class": RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        add_store_argument(parser)
        parser.add_argument(
            "--json", action="store_true", help="print one JSON object a store, for programmes"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        stores = stores_named(options)
        for store in tqdm(stores, unit="store", disable=None if len(stores) > 1 else True, file=sys.stderr):
            reading = drift_watch(store)
            self.stdout.write(
                json.dumps(as_json(store, reading)) if options["json"] else _as_text(store, reading)
            )


def as_json(store: Store, reading: DriftReading | None) -> dict[str, Any]:
    if reading is None:
        return {"store": store.slug, "version": None, "level": None, "interactions": 0, "figures": []}
    return {
        "store": store.slug,
        "version": reading.version.number,
        "level": str(reading.level),
        "measured_at": reading.measured_at.isoformat(),
        "interactions": reading.interactions,
        "figures": reading.figures,
    }


def _as_text(store: Store, reading: DriftReading | None) -> str:
    if reading is None:
        return f"{store}: no model is live. Train one: manage.py train --store {store.slug}"
    rows = [
        f"{MARKS[figure['level']]:>11}  {figure['name']:<17} {figure['text']}" for figure in reading.figures
    ]
    return "\n".join(
        [f"{store}: {reading.version}, {reading.interactions:,} interactions since its training.", *rows]
    )
