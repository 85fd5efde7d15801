from __future__ import annotations

from argparse import ArgumentParser
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from accounts.models import Store
from tracking.folding import fold_new_events, folds, rebuild


class Command(BaseCommand):
    help = "Bring sessions, orders and profiles up to date with the event log; with --rebuild, make them anew from all of it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.epilog = "example: manage.py fold --store demo --rebuild"
        parser.add_argument("--store", metavar="SLUG", help="only this store (default: every store)")
        parser.add_argument(
            "--rebuild", action="store_true", help="empty what was folded and read the whole log again"
        )
        parser.add_argument(
            "--only",
            action="append",
            default=[],
            metavar="FOLD",
            help="only this fold; may be given several times",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        known = [fold.name for fold in folds()]
        if unknown := set(options["only"]) - set(known):
            raise CommandError(f"There is no fold {', '.join(sorted(unknown))}. Known: {', '.join(known)}.")
        stores = Store.objects.order_by("slug")
        if options["store"]:
            stores = stores.filter(slug=options["store"])
            if not stores:
                raise CommandError(f"There is no store {options['store']!r}.")
        failed = []
        for store in stores:
            run = rebuild if options["rebuild"] else fold_new_events
            with tqdm(desc=store.slug, unit=" events", disable=None if options["verbosity"] else True) as bar:
                counts = run(store, only=options["only"], progress=partial(self._advance, bar))
            if options["verbosity"]:
                told = ", ".join(f"{name} {count:,}" for name, count in counts.items())
                self.stdout.write(f"{store.slug}: {told} events folded")
            wanted = options["only"] or known
            failed += [f"{name} of {store.slug}" for name in wanted if name not in counts]
        if failed:
            raise CommandError(
                f"Failed: {', '.join(failed)}. The log says why; they go on from where they were at the next run."
            )

    @staticmethod
    def _advance(bar: Any, name: str, count: int) -> None:
        bar.set_postfix_str(name)
        bar.update(count)
