"""`manage.py audit_data`: what a store's data can carry."""

from __future__ import annotations

import json
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandParser

from algorithms.data_facts import QUANTILES, Spread
from algorithms.needs import Readiness
from recommendations.management.store_argument import add_store_argument, stores_named
from recommendations.selectors.data_audit import COVERAGE_DAYS, DataAudit, data_audit

EXAMPLE: Final = """
examples:
  manage.py audit_data --store demo
  manage.py audit_data --all --json

Counts what training would learn from: interactions that shoppers permit us to use, with products of the catalogue. Changes nothing.
"""
MARKS: Final = {Readiness.READY: "yes", Readiness.THIN: "thin", Readiness.IMPOSSIBLE: "no"}


class Command(BaseCommand):
    help = "Say how much data a store has, how it is spread, what is missing, and which strategies it is enough for."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {"epilog": EXAMPLE, "formatter_class": RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        add_store_argument(parser)
        parser.add_argument(
            "--json", action="store_true", help="print one JSON object a store, for programmes"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        for store in stores_named(options):
            audit = data_audit(store)
            self.stdout.write(json.dumps(audit.as_json()) if options["json"] else "\n".join(_told(audit)))


def _told(audit: DataAudit) -> Iterator[str]:
    facts = audit.facts
    yield f"{audit.store}: {audit.permitted:,} interactions may be used, {100 * audit.in_catalogue:.1f} % with products of the catalogue."
    if audit.obstacle:
        yield audit.obstacle
    yield ""
    yield f"{facts.people:>12,} people          {facts.interactions:>12,} interactions in {facts.days:,.0f} days"
    yield f"{facts.items_met:>12,} products of {facts.items:,} were met; density {100 * facts.density:.4f} %"
    yield f"{facts.sessions:>12,} visits          {facts.baskets:>12,} orders with {facts.purchases:,} lines"
    yield ""
    yield (
        f"{'interactions of a':<20}{'mean':>9}"
        + "".join(f"{_quantile_name(share):>9}" for share in QUANTILES)
        + f"{'Gini':>9}"
    )
    for name, spread in (
        ("person", facts.per_person),
        ("product", facts.per_item),
        ("visit", facts.per_session),
    ):
        yield _spread_row(name, spread)
    yield ""
    yield from _told_coverage(audit)
    yield ""
    yield "Strategies that the data carry:"
    for verdict in audit.strategies:
        lacks = "; ".join(verdict.lacks)
        yield f"{MARKS[verdict.readiness]:>6}  {verdict.name:<22}{lacks}"


def _quantile_name(share: float) -> str:
    return {0.0: "least", 0.5: "median", 1.0: "most"}.get(share, f"{100 * share:.0f} %")


def _spread_row(name: str, spread: Spread) -> str:
    return (
        f"{name:<20}{spread.mean:>9.1f}"
        + "".join(f"{value:>9,.0f}" for value in spread.quantiles)
        + f"{spread.gini:>9.2f}"
    )


def _told_coverage(audit: DataAudit) -> Iterator[str]:
    yield f"Catalogue: {audit.catalogue.active:,} of {audit.catalogue.products:,} products on sale. Of these have:"
    yield "  " + ", ".join(f"{name} {100 * share:.0f} %" for name, share in audit.catalogue.fill.items())
    if audit.unknown_products:
        shown = ", ".join(f"{product} ({count:,})" for product, count in audit.unknown_products[:5])
        yield f"Products of events that the catalogue does not know, most first: {shown}"
    yield ""
    present = ", ".join(f"{name} {count:,}" for name, count in audit.coverage.present.items())
    yield f"Events of the last {COVERAGE_DAYS} days: {present or 'none'}"
    for name, why in audit.coverage.missing.items():
        yield f"  missing: {name} ({why})"
