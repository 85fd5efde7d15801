"""`manage.py simulate`: three months of shopping by simulated shoppers."""

from __future__ import annotations

import json
import time
from argparse import RawDescriptionHelpFormatter
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from accounts.models import Store
from config import simulated_history as history
from storefront.simulation.simulation import Simulation
from storefront.simulation.traits import TARGETS, TraitMeter, outside_of_targets

EXAMPLE = """
examples:
  manage.py simulate
  manage.py simulate --shoppers 500 --days 30 --json
  manage.py simulate --again --seed 2          another crowd on top

Simulated people are marked: their ids begin with "sim", their addresses end in ".example", and the store says that it is
simulated. Without --again a store that was simulated before is left as it is.
"""


class Command(BaseCommand):
    help = "Let simulated shoppers shop for three months: consent, views, carts, orders, shelves seen, and a few privacy requests."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {"epilog": EXAMPLE, "formatter_class": RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--store", default=settings.ETALAGE_STOREFRONT_STORE, help="slug (default: the demo shop's)"
        )
        parser.add_argument("--shoppers", type=int, default=2000, help="how many people (default 2000)")
        parser.add_argument("--days", type=int, default=90, help="how many days, ending now (default 90)")
        parser.add_argument(
            "--seed", type=int, default=1, help="the same seed gives the same crowd (default 1)"
        )
        parser.add_argument("--again", action="store_true", help="simulate although it was done before")
        parser.add_argument("--json", action="store_true", help="print traits and counts as one JSON object")

    def handle(self, *, store: str, shoppers: int, days: int, seed: int, again: bool, **options: Any) -> None:
        if shoppers < 1 or not 1 <= days <= 730:
            raise CommandError("There must be at least one shopper, and 1 to 730 days.")
        shop = Store.objects.filter(slug=store).first()
        if shop is None:
            raise CommandError(
                f"There is no store {store!r}: run `manage.py seed_demo` first, or name another with --store."
            )
        if not shop.is_simulated:
            raise CommandError(
                f"{store} is not marked as simulated: made-up shoppers do not belong into a real shop's data."
            )
        done = history.seeds_done(shop)
        if done and not again:
            self.stdout.write(
                json.dumps({"store": store, "done_before": True})
                if options["json"]
                else "Shoppers have been here before."
            )
            return
        if seed in done:
            raise CommandError(f"The crowd of seed {seed} has been here: give another one with --seed.")
        started = time.monotonic()
        report = self._simulate(shop, shoppers, days, seed)
        report["seconds"] = round(time.monotonic() - started, 1)
        history.mark_done(shop, {"shoppers": shoppers, "days": days, "seed": seed})
        self._print(report, as_json=options["json"])

    def _simulate(self, shop: Store, shoppers: int, days: int, seed: int) -> dict[str, Any]:
        now = datetime.now(UTC)
        products = history.products_of(shop)
        try:
            simulation = Simulation(products, shoppers, days, seed, now, history.personas_of(shop))
        except ValueError as error:
            raise CommandError(str(error)) from error
        history.assign_groups(shop, simulation)
        meter = TraitMeter(
            len(products), {each.product_id: each.category_path.split("/")[0] for each in products}
        )
        with tqdm(total=days, desc="Shopping", unit="day", disable=None, leave=False) as bar:
            taken = history.take_in(
                shop, simulation, observe=meter.observe, progress=lambda count: bar.update()
            )
        with tqdm(desc="Folding", unit="fold", disable=None, leave=False) as bar:

            def say(fold: str) -> None:
                bar.set_postfix_str(fold)
                bar.update()

            history.fold(shop, say)
        orders = simulation.messenger.orders
        history.write_books(shop, orders)
        traits = meter.measure()
        return {
            "store": shop.slug,
            "shoppers": shoppers,
            "days": days,
            "seed": seed,
            "visits": meter.all_visits,
            "orders": len(orders),
            "events": {
                "stored": taken.stored,
                "duplicates": taken.duplicates,
                "quarantined": taken.quarantined,
                "discarded": taken.discarded,
            },
            "privacy_requests": history.make_requests(shop, now),
            "traits": {name: round(value, 4) for name, value in traits.items()},
            "targets": {
                name: {"real": target.figure, "range": [target.low, target.high]}
                for name, target in TARGETS.items()
            },
            "outside_of_targets": outside_of_targets(traits),
        }

    def _print(self, report: dict[str, Any], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(report))
            return
        events = report["events"]
        self.stdout.write(
            f"{report['shoppers']:,} simulated shoppers in {report['days']} days: "
            f"{report['visits']:,} visits, {report['orders']:,} orders.\n"
            f"{events['stored']:,} events stored, {events['discarded']:,} discarded for want of consent, "
            f"{events['quarantined']:,} quarantined, in {report['seconds']} s.\n\n"
            f"  {'Trait':28} {'simulated':>9}   real"
        )
        for name, value in report["traits"].items():
            mark = "  !" if name in report["outside_of_targets"] else ""
            self.stdout.write(f"  {name:28} {value:9.3f}   {TARGETS[name].figure}{mark}")
