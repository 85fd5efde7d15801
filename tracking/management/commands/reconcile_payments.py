from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from accounts.models import Store
from benchmarks.results import write_section
from tracking.payments import READERS
from tracking.payments.judging import DEFAULT_TOLERANCE
from tracking.payments.settlement import ReadOptions, Settlement, UnreadableSettlement
from tracking.services.reconciliation import Expectations, ReconciliationReport, payments_reconcile

EXAMPLES = """examples:
  manage.py reconcile_payments balance-2026-10.csv --store demo
  manage.py reconcile_payments bank.csv --format generic --column order_id=Bestellung --column amount=Betrag --decimal-mark ,
  manage.py reconcile_payments ../shared/data/olist_sample --format olist --store olist

Read again, a file changes nothing. What differs stands in the admin under Data quality, Review list."""


class Command(BaseCommand):
    help = "Compare orders with a payment provider's settlement file; what differs goes to the review list."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {"epilog": EXAMPLES, "formatter_class": RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="CSV of the provider, or a folder for olist")
        parser.add_argument(
            "--format", choices=["auto", *READERS], default="auto", help="default: told by the header"
        )
        parser.add_argument("--store", metavar="SLUG", help="needed where there are several stores")
        parser.add_argument(
            "--provider", default="", help="name that the payments are kept under (default: the format)"
        )
        parser.add_argument(
            "--column",
            action="append",
            default=[],
            type=_pair,
            metavar="OURS=THEIRS",
            help="generic: which column is order_id, amount, currency, settled_at, reference, kind, fee, source, method",
        )
        parser.add_argument(
            "--order-key", default="order_id", help="stripe: key of the metadata that holds the order id"
        )
        parser.add_argument("--delimiter", default="", help="default: told by the header")
        parser.add_argument("--decimal-mark", choices=[".", ","], default=".")
        parser.add_argument(
            "--amounts",
            choices=["major", "minor"],
            default="",
            help="19.99 or 1999 (default: told by the file)",
        )
        parser.add_argument(
            "--tolerance",
            type=int,
            default=DEFAULT_TOLERANCE,
            metavar="MINOR_UNITS",
            help=f"differences up to this are rounding (default {DEFAULT_TOLERANCE})",
        )
        parser.add_argument(
            "--grace-days",
            type=int,
            default=3,
            help="how long after its order a payment may come (default 3)",
        )
        parser.add_argument(
            "--method",
            action="append",
            default=[],
            help="only orders paid this way must stand in the file; several times",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument(
            "--results", action="store_true", help="write the counts to benchmarks/RESULTS.md"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        store = _store(options["store"])
        wanted = Expectations(options["tolerance"], options["grace_days"], frozenset(options["method"]))
        try:
            settlement = _open(options["file"], options["format"], _read_options(store, options))
            with tqdm(total=settlement.row_count, unit=" lines", disable=None, file=self.stderr) as bar:
                report = payments_reconcile(
                    store=store,
                    settlement=settlement,
                    expectations=wanted,
                    progress=lambda step, count: bar.update(count) if step == "lines" else None,
                )
        except UnreadableSettlement as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(as_json(report)) if options["json"] else tell(report))
        if options["results"]:
            command = " ".join(["manage.py reconcile_payments", *sys.argv[2:]])
            write_section(f"Reconciliation: {store.slug}", command, f"```\n{tell(report)}\n```")


def _store(slug: str | None) -> Store:
    stores = Store.objects.order_by("slug")
    if slug:
        stores = stores.filter(slug=slug)
    known = list(stores[:2])
    if not known:
        raise CommandError(f"There is no store {slug!r}." if slug else "There is no store yet.")
    if len(known) > 1:
        raise CommandError("There are several stores: say which with --store SLUG.")
    return known[0]


def _read_options(store: Store, options: dict[str, Any]) -> ReadOptions:
    return ReadOptions(
        currency=store.currency,
        zone=ZoneInfo(store.time_zone),
        columns=dict(options["column"]),
        delimiter=options["delimiter"],
        decimal_mark=options["decimal_mark"],
        amounts=options["amounts"],
        order_key=options["order_key"],
        provider=options["provider"],
    )


def _open(path: Path, name: str, options: ReadOptions) -> Settlement:
    if name != "auto":
        return READERS[name](path, options)
    if path.is_dir():
        return READERS["olist"](path, options)
    if not options.columns:
        try:
            return READERS["stripe"](path, options)
        except UnreadableSettlement:
            pass
    return READERS["generic"](path, options)


def as_json(report: ReconciliationReport) -> dict[str, Any]:
    told = asdict(report)
    for name in ("period_start", "period_end"):
        told[name] = told[name].isoformat() if told[name] else None
    told["outcomes"] = dict(report.outcomes)
    return {**told, "compared": report.compared, "matched_share": report.matched_share}


def tell(report: ReconciliationReport) -> str:
    period = ""
    if report.period_start and report.period_end:
        period = f", {report.period_start:%Y-%m-%d} to {report.period_end:%Y-%m-%d}"
    lines = [
        f"{report.store}, {report.provider}{period}: {report.payments:,} payments and refunds ({report.new:,} new, "
        f"{report.known:,} known)"
    ]
    if report.changed:
        lines.append(f"{report.changed:>10,} known lines say something else now: they are left as they were")
    lines += [f"{count:>10,} lines passed over: {name}" for name, count in report.other.items()]
    lines += [
        f"{count:>10,} {outcome.replace('_', ' ')}" for outcome, count in sorted(report.outcomes.items())
    ]
    if report.matched_share is not None:
        lines.append(
            f"{100 * report.matched_share:>9.2f} % of the {report.compared:,} orders with payments match"
        )
    found = report.findings
    lines.append(
        f"Review list: {found.new:,} new, {found.refreshed + found.reopened:,} told again, {report.cleared:,} no longer true"
    )
    if report.bad_row_count:
        lines.append(f"{report.bad_row_count:,} rows cannot be read, the first of them:")
        lines += [f"  row {row['row']}: {row['reason']}" for row in report.bad_rows[:10]]
    return "\n".join(lines)


def _pair(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not mark or not value:
        raise ArgumentTypeError(f"{text!r} is no OURS=THEIRS, such as amount=Betrag")
    return name.strip(), value.strip()
