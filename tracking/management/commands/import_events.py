from __future__ import annotations

import getpass
import json
import signal
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from accounts.models import ApiKey, Scope, Store, User
from consent.purposes import ALL, slugs
from tracking.folding import fold_new_events
from tracking.imports.columns import Naming, UnusableMapping
from tracking.imports.files import FORMATS, ImportFile, import_file
from tracking.imports.messages import Reading
from tracking.imports.records import UnreadableFile
from tracking.imports.run import (
    AlreadyRunning,
    FileReport,
    ImportOptions,
    Interrupted,
    check_events,
    import_events,
)
from tracking.imports.sources import SourceDeclaration, find_source, import_source
from tracking.models import ImportRun
from tracking.planning import refresh_statistics

EXAMPLES = """
examples:
  manage.py import_events events.csv --store demo --dry-run
  manage.py import_events 2025-*.jsonl.gz --source "Old shop" --legal-basis consent --consent-source declared --purpose analytics
  manage.py import_events orders.csv --event "Order Completed" --map customer_no=user_id --map bought_at=timestamp \\
      --time-zone Europe/Amsterdam --decimal ,
  zcat log.gz | manage.py import_events - --mapping mapping.json

Broken off at any point, the same command goes on where it was. mapping.json: {"columns": {"theirs": "ours"}, "events": {"theirs":
"Product Viewed"}}. docs/imports.md has the whole of it.
"""
PROBLEMS: Final = (UnreadableFile, UnusableMapping, AlreadyRunning, Interrupted)


class Command(BaseCommand):
    help = "Import events from CSV, JSON lines or Parquet (or these within gzip), with the API's validation, consent gate and quarantine."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs |= {"epilog": EXAMPLES, "formatter_class": RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE", help="files, or - for standard input")
        parser.add_argument(
            "--store", metavar="SLUG", help="default: the only store, or that of the demo shop"
        )
        parser.add_argument("--dry-run", action="store_true", help="check every row, store nothing")
        parser.add_argument("--again", action="store_true", help="read a file anew that is imported already")
        parser.add_argument("--no-fold", action="store_true", help="leave sessions and orders to the worker")
        parser.add_argument("--as", dest="actor", metavar="EMAIL", help="member of the team who imports")
        parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
        _add_source(parser)
        _add_reading(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        store = _store(options["store"])
        declared = _declaration(options)
        import_options = ImportOptions(_reading(options, store), _delimiter(options["delimiter"]))
        actor = _actor(options["actor"])
        is_dry_run = options["dry_run"]
        source = _undone_source(store, declared) if is_dry_run else import_source(store, declared)
        reports, problems = [], []
        with _interruptible():
            for path in options["files"]:
                try:
                    with import_file(path, format=options["format"], encoding=options["encoding"]) as file:
                        reports.append(self._one(store, source, file, import_options, actor, options))
                except PROBLEMS as error:
                    problems.append(f"{path}: {error}")
                    if isinstance(error, Interrupted):
                        break
                except KeyboardInterrupt:
                    raise CommandError(f"Stopped in {path}. The same command goes on where it was.") from None
            folded = {} if is_dry_run or options["no_fold"] else self._fold(store, reports)
        if options["json"]:
            files = [report.as_json() for report in reports]
            document = {"store": store.slug, "files": files, "problems": problems, "folded": folded}
            self.stdout.write(json.dumps(document, default=str))
        else:
            for report in reports:
                self.stdout.write(_told(report, declared))
        if problems:
            raise CommandError("\n".join(problems))

    def _one(
        self,
        store: Store,
        source: ApiKey,
        file: ImportFile,
        import_options: ImportOptions,
        actor: str,
        options: Mapping[str, Any],
    ) -> FileReport:
        with _bar(file, self.stderr) as advance:
            if options["dry_run"]:
                return check_events(
                    store=store, source=source, file=file, options=import_options, progress=advance
                )
            return import_events(
                store=store,
                source=source,
                file=file,
                options=import_options,
                started_by=actor,
                is_again=options["again"],
                progress=advance,
            )

    def _fold(self, store: Store, reports: list[FileReport]) -> dict[str, int]:
        if not any(report.events.stored and report.rows > report.skipped_rows for report in reports):
            return {}
        refresh_statistics()
        with tqdm(desc="Folding", unit=" events", file=self.stderr, disable=None) as bar:
            folded = fold_new_events(store, progress=lambda fold, count: bar.update(count))
        refresh_statistics()
        return dict(folded)


def _add_source(parser: CommandParser) -> None:
    group = parser.add_argument_group("where the events come from, and why they may be stored")
    group.add_argument(
        "--source", default="File imports", metavar="NAME", help="name of the source in the admin"
    )
    group.add_argument(
        "--legal-basis",
        choices=ApiKey.LegalBasis.values,
        default=ApiKey.LegalBasis.CONTRACT,
        help="with contract (the default) only what is necessary is stored: orders",
    )
    group.add_argument(
        "--consent-source",
        choices=ApiKey.ConsentSource.values,
        default=ApiKey.ConsentSource.LEDGER,
        help="who knows what people permitted: our ledger (default), each row (client), or --purpose (declared)",
    )
    group.add_argument(
        "--purpose", action="append", choices=slugs(ALL), help="with declared: what all of it may be used for"
    )


def _add_reading(parser: CommandParser) -> None:
    group = parser.add_argument_group("how the files are read")
    group.add_argument(
        "--map", action="append", default=[], metavar="COLUMN=PROPERTY", help="what a column is"
    )
    group.add_argument(
        "--event-map",
        action="append",
        default=[],
        metavar="THEIRS=OURS",
        help="what an event is called with us",
    )
    group.add_argument("--mapping", type=Path, metavar="FILE", help="both, as JSON")
    group.add_argument("--event", default="", metavar="NAME", help="the event of rows that name none")
    group.add_argument(
        "--time-zone",
        default="UTC",
        metavar="ZONE",
        help="of times without one (default: UTC; store: the shop's)",
    )
    group.add_argument(
        "--time-format", default="", metavar="FORMAT", help="of times, as in %%d/%%m/%%Y %%H:%%M"
    )
    group.add_argument("--decimal", choices=[".", ","], default="", help="the decimal mark of numbers")
    group.add_argument("--delimiter", default="", help="of CSV: , ; | or tab (default: by the first line)")
    group.add_argument("--encoding", default="", help="of text (default: by the byte order mark, else utf-8)")
    group.add_argument("--format", choices=FORMATS, default="", help="default: by the file's first bytes")
    group.add_argument(
        "--ids",
        choices=["content", "row"],
        default="content",
        help="rows that say the same are one event (content, default), or each is one (row)",
    )


def _store(slug: str | None) -> Store:
    stores = {store.slug: store for store in Store.objects.order_by("slug")}
    if slug is None and len(stores) == 1:
        return next(iter(stores.values()))
    found = stores.get(slug or settings.ETALAGE_STOREFRONT_STORE)
    if found is None:
        known = ", ".join(stores) or "none: run manage.py seed_demo"
        asked = f"There is no store {slug!r}" if slug else "Say which store with --store"
        raise CommandError(f"{asked}. Stores: {known}.")
    return found


def _declaration(options: Mapping[str, Any]) -> SourceDeclaration:
    declared = SourceDeclaration(
        options["source"].strip(),
        options["legal_basis"],
        options["consent_source"],
        tuple(options["purpose"] or ()),
    )
    is_declared = declared.consent_source == ApiKey.ConsentSource.DECLARED
    if not declared.name:
        raise CommandError("--source needs a name, such as --source 'Old shop'.")
    if is_declared and not declared.purposes:
        raise CommandError(
            "--consent-source declared needs --purpose: what the people of this file permitted."
        )
    if declared.purposes and not is_declared:
        raise CommandError("--purpose counts with --consent-source declared only.")
    return declared


def _undone_source(store: Store, declared: SourceDeclaration) -> ApiKey:
    """What the source will be: a dry run stores nothing, not even the source."""
    return find_source(store, declared) or ApiKey(
        store=store,
        name=declared.name,
        scopes=[Scope.WRITE_SECRET],
        legal_basis=declared.legal_basis,
        consent_source=declared.consent_source,
        declared_purposes=list(declared.purposes),
    )


def _reading(options: Mapping[str, Any], store: Store) -> Reading:
    zone = store.time_zone if options["time_zone"] == "store" else options["time_zone"]
    try:
        hung = ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise CommandError(
            f"There is no time zone {zone!r}: name one as in Europe/Amsterdam, or store."
        ) from None
    return Reading(
        naming=_naming(options),
        zone=hung,
        time_format=options["time_format"],
        decimal_mark=options["decimal"],
        ids_by_row=options["ids"] == "row",
    )


def _naming(options: Mapping[str, Any]) -> Naming:
    columns: dict[str, str] = {}
    events: dict[str, str] = {}
    if path := options["mapping"]:
        try:
            document = json.loads(path.read_text(encoding="utf-8-sig"))
            columns |= document.get("columns", {})
            events |= document.get("events", {})
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise CommandError(
                f'{path} is no mapping ({error}): {{"columns": {{"theirs": "ours"}}, "events": {{…}}}}.'
            ) from error
    columns |= _pairs(options["map"], "--map COLUMN=PROPERTY")
    events |= _pairs(options["event_map"], "--event-map THEIRS=OURS")
    if odd := next(
        (value for value in [*columns.values(), *events.values()] if not isinstance(value, str)), None
    ):
        raise CommandError(f"A column and an event are mapped to a name, not to {odd!r}.")
    return Naming(columns, events, options["event"].strip())


def _pairs(said: list[str], wanted: str) -> dict[str, str]:
    pairs = {}
    for each in said:
        theirs, mark, ours = each.rpartition("=")
        if not mark or not theirs or not ours:
            raise CommandError(f"{each!r} is no mapping: write {wanted}.")
        pairs[theirs] = ours
    return pairs


def _delimiter(said: str) -> str:
    delimiter = {"tab": "\t", "\\t": "\t"}.get(said, said)
    if len(delimiter) > 1:
        raise CommandError(f"--delimiter is one character or tab, not {said!r}.")
    return delimiter


def _actor(email: str | None) -> str:
    if email is None:
        return getpass.getuser()
    user = User.objects.filter(email__iexact=email, is_active=True).first()
    if user is None:
        raise CommandError(f"There is no account {email!r}.")
    return str(user.email)


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM stops as Ctrl-C does: after what is stored is remembered."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:
        # Called from a thread: whoever runs it stops it in another way.
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _bar(file: ImportFile, stream: Any) -> Iterator[Any]:
    """By the bytes read; of Parquet, which is read here and there, by rows."""
    by_rows = file.format == "parquet"
    with tqdm(
        total=None if by_rows else file.size_bytes,
        desc=file.name,
        unit=" rows" if by_rows else "B",
        unit_scale=not by_rows,
        file=stream if stream.isatty() else sys.stderr,
        disable=None,
    ) as bar:

        def advance(rows: int, position: int) -> None:
            bar.update(rows if by_rows else max(position - bar.n, 0))

        yield advance


def _told(report: FileReport, declared: SourceDeclaration) -> str:
    events = report.events
    lines = [_headline(report)]
    lines += [
        f"{report.rows:>12,} rows read"
        + (f", {report.skipped_rows:,} of them before" if report.skipped_rows else ""),
        f"{events.stored:>12,} events {'would be ' if report.is_dry_run else ''}stored, {events.duplicates:,} there already",
        f"{events.discarded:>12,} discarded for want of permission",
        f"{events.quarantined:>12,} {'would be ' if report.is_dry_run else ''}quarantined",
    ]
    lines += [f"{count:>12,}   {reason.replace('_', ' ')}" for reason, count in report.faults.items()]
    lines += [f"  {fault.detail}" for fault in report.examples]
    if len(report.examples) < events.quarantined and report.is_dry_run:
        lines.append(f"  … and {events.quarantined - len(report.examples):,} more.")
    if events.discarded and declared.legal_basis == ApiKey.LegalBasis.CONTRACT:
        lines.append(
            "  With the legal basis contract only what is necessary is kept. Where the people have permitted more, say so:\n"
            "  --legal-basis consent --consent-source declared --purpose analytics --purpose personalisation"
        )
    if report.columns:
        told = ", ".join(f"{theirs} → {ours}" for theirs, ours in report.columns.items() if theirs != ours)
        lines.append(f"  columns: {told or 'as they are named'}")
    return "\n".join(lines)


def _headline(report: FileReport) -> str:
    if report.is_dry_run:
        return f"{report.file} ({report.format}), nothing was stored: {report.seconds:.1f} s, {report.peak_memory_mb} MB at most."
    if report.state == ImportRun.State.DONE and report.skipped_rows == report.rows:
        return f"{report.file} was imported before (run {report.run}); --again reads it anew."
    return f"{report.file} ({report.format}) is imported, run {report.run}: {report.seconds:.1f} s, {report.peak_memory_mb} MB at most."
