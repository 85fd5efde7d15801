from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from accounts.models import Store
from algorithms.small_cells import published
from segments.services import default_segments_create, segments_recompute
from segments.services.recompute import RecomputeReport

STEPS = ("features", "rules", "clusters", "memberships")


class Command(BaseCommand):
    help = "Find the members of every segment anew, and the clusters. A store without segments gets the usual ones."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = "example: manage.py recompute_segments --store demo --json"
        parser.add_argument(
            "--store",
            action="append",
            help="Slug of a store; several times for several. Default: all stores.",
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object per store.")

    def handle(self, *args: Any, **options: Any) -> None:
        stores = Store.objects.order_by("slug")
        if slugs := options["store"]:
            stores = stores.filter(slug__in=slugs)
            if missing := sorted(set(slugs) - {store.slug for store in stores}):
                raise CommandError(f"There is no store {', '.join(missing)}.")
        for store in stores:
            default_segments_create(store=store)
            report = self._recompute(store)
            self.stdout.write(json.dumps(_as_json(report), default=str) if options["json"] else _tell(report))

    def _recompute(self, store: Store) -> RecomputeReport:
        with tqdm(total=len(STEPS), desc=store.slug, unit="step", file=self.stderr, disable=None) as bar:

            def step(name: str) -> None:
                bar.set_postfix_str(name)
                bar.update(1)

            return segments_recompute(store=store, step=step)


def _as_json(report: RecomputeReport) -> dict[str, Any]:
    """For other programmes, so outside of the system: sizes of fewer than ten people are null."""
    sizes = {slug: published(size) for slug, size in report.sizes.items()}
    return {**asdict(report), "shoppers": published(report.shoppers), "sizes": sizes}


def _tell(report: RecomputeReport) -> str:
    lines = [
        f"{report.store}: {report.shoppers} shoppers as of {report.as_of:%Y-%m-%d}, in {report.seconds:.1f} s"
    ]
    lines += [
        f"  {size:>8}  {slug}" for slug, size in sorted(report.sizes.items(), key=lambda item: -item[1])
    ]
    return "\n".join(lines)
