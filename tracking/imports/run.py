"""Taking a file in: in transactions of some thousand rows, each of which remembers how far it came."""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any, BinaryIO, Final

from django.db import Error, InterfaceError, connection
from django.utils import timezone

from accounts.models import ApiKey, Store
from tracking.imports.csv_records import read_csv
from tracking.imports.files import ImportFile
from tracking.imports.json_records import read_json_lines
from tracking.imports.messages import MessageMaker, Reading
from tracking.imports.parquet_records import open_parquet, read_parquet
from tracking.imports.records import Record, UnreadableFile
from tracking.ingestion.drafts import Tally
from tracking.ingestion.importing import ImportedRow, RowFault, check_rows, ingest_rows
from tracking.models import ImportRun

BATCH_ROWS: Final = 2_000
MAX_FAULTS_SHOWN: Final = 20
_LOCK: Final = 4_543_565  # first half of the advisory lock's key; the second is the run's id
_BATCH_TRIES: Final = 3

# Told of rows done, and of the bytes of the file behind the reader (0 for Parquet, which is read here and there).
Progress = Callable[[int, int], object]


class AlreadyRunning(Exception):
    """Another process is importing the same file."""


class Interrupted(Exception):
    """The database went away. What was told as stored is stored; the same command goes on behind it."""


@dataclass(frozen=True)
class ImportOptions:
    """How a file is read. `delimiter` "" finds out."""

    reading: Reading = field(default_factory=Reading)
    delimiter: str = ""


@dataclass
class FileReport:
    """What became of a file. `rows` are those of the whole file so far, `skipped_rows` those that an earlier run had read.

    `stored` + `duplicates` + `quarantined` + `discarded` are events: the lines of an order are several rows and one event.
    """

    file: str
    format: str
    is_dry_run: bool
    state: str = ImportRun.State.RUNNING
    run: int | None = None
    columns: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    skipped_rows: int = 0
    events: Tally = field(default_factory=Tally)
    faults: dict[str, int] = field(default_factory=dict)
    examples: list[RowFault] = field(default_factory=list)
    seconds: float = 0.0
    peak_memory_mb: int = 0

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "state": str(self.state)}


def import_events(
    *,
    store: Store,
    source: ApiKey,
    file: ImportFile,
    options: ImportOptions,
    started_by: str,
    is_again: bool = False,
    batch_rows: int = BATCH_ROWS,
    progress: Progress = lambda rows, position: None,
) -> FileReport:
    """Store the events of a file, going on where an earlier run of the same file and options was broken off.

    A file that is done is left alone, unless `is_again`; what it holds is known by its message ids either way. Raises
    UnreadableFile and UnusableMapping for what is wrong with the whole, AlreadyRunning, Interrupted.
    """
    started = time.monotonic()
    run = _run_of(store, source, file, options, started_by)
    with _only_here(run):
        if is_again and run.state != ImportRun.State.RUNNING:
            _begin_again(run)
        report = FileReport(file.name, file.format, is_dry_run=False, run=run.pk, skipped_rows=run.rows_read)
        if run.state != ImportRun.State.DONE:
            _take(run, store, source, file, options, report, batch_rows, progress)
        _tell(report, run, started)
    return report


def check_events(
    *,
    store: Store,
    source: ApiKey,
    file: ImportFile,
    options: ImportOptions,
    batch_rows: int = BATCH_ROWS,
    progress: Progress = lambda rows, position: None,
) -> FileReport:
    """What an import would do, row by row, without storing anything. Raises as `import_events`, but for the last two."""
    started = time.monotonic()
    report = FileReport(file.name, file.format, is_dry_run=True)
    faults: Counter[str] = Counter()
    with _messages(file, options, 0) as (maker, messages, below):
        for batch in _batches(messages, batch_rows):
            tally, found = check_rows(store, source, [row for row, _ in batch])
            report.events.add(tally)
            faults.update(str(fault.reason) for fault in found)
            report.examples += found[: MAX_FAULTS_SHOWN - len(report.examples)]
            done = sum(count for _, count in batch)
            report.rows += done
            progress(done, below.tell())
        report.columns = dict(maker.targets)
    report.state = ImportRun.State.DONE
    report.faults = dict(faults.most_common())
    report.seconds = round(time.monotonic() - started, 1)
    report.peak_memory_mb = _peak_memory_mb()
    return report


def options_of(source: ApiKey | None, file: ImportFile, options: ImportOptions) -> dict[str, Any]:
    """Whatever decides what a file's rows become, as plain values: another reading of the same file is another run."""
    reading = options.reading
    return {
        "source": source.pk if source else None,
        "format": file.format,
        "encoding": file.encoding,
        "delimiter": options.delimiter,
        "columns": dict(reading.naming.columns),
        "events": dict(reading.naming.events),
        "event": reading.naming.event,
        "zone": str(reading.zone),
        "time_format": reading.time_format,
        "decimal_mark": reading.decimal_mark,
        "ids": "row" if reading.ids_by_row else "content",
    }


def _run_of(
    store: Store, source: ApiKey, file: ImportFile, options: ImportOptions, started_by: str
) -> ImportRun:
    read_with = options_of(source, file, options)
    digest = hashlib.sha256(json.dumps(read_with, sort_keys=True).encode()).hexdigest()
    run, _ = ImportRun.objects.for_store(store).get_or_create(
        content_digest=file.digest,
        options_digest=digest,
        defaults={
            "store": store,
            "api_key": source,
            "file_name": file.name[:255],
            "file_format": file.format + (".gz" if file.is_gzip else ""),
            "options": read_with,
            "started_by": started_by[:254],
        },
    )
    return run


def _begin_again(run: ImportRun) -> None:
    run.rows_read = run.stored = run.duplicates = run.quarantined = run.discarded = 0
    run.faults, run.state, run.finished_at = {}, ImportRun.State.RUNNING, None
    run.save()


@contextmanager
def _only_here(run: ImportRun) -> Iterator[None]:
    """Holds for as long as this connection does: whoever is killed lets go."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOCK, run.pk % 2**31])
        if not cursor.fetchone()[0]:
            raise AlreadyRunning(f"{run.file_name} is being imported by another process (run {run.pk}).")
    try:
        run.refresh_from_db()
        yield
    finally:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCK, run.pk % 2**31])
        except Error:
            # The connection is gone, and the lock with it.
            connection.close()


def _check_lock(run: ImportRun) -> None:
    """In a batch's transaction. A connection that was lost is replaced unnoticed, without the lock that it held: another
    process may be taking the file by now, and would count on from the same row. Raises InterfaceError."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid = %s AND objsubid = 2"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND pid = pg_backend_pid() AND granted",
            [_LOCK, run.pk % 2**31],
        )
        if cursor.fetchone() is None:
            raise InterfaceError("the connection was lost, and with it the lock on the file")


def _take(
    run: ImportRun,
    store: Store,
    source: ApiKey,
    file: ImportFile,
    options: ImportOptions,
    report: FileReport,
    batch_rows: int,
    progress: Progress,
) -> None:
    _mark(run, ImportRun.State.RUNNING)
    try:
        with _messages(file, options, run.rows_read) as (maker, messages, below):
            report.columns = maker.targets
            for batch in _batches(messages, batch_rows):
                done = sum(count for _, count in batch)
                _store(run, store, source, [row for row, _ in batch], done)
                report.rows += done
                progress(done, below.tell())
            report.columns = dict(maker.targets)
        _mark(run, ImportRun.State.DONE)
    except (KeyboardInterrupt, SystemExit):
        _mark(run, ImportRun.State.STOPPED)
        raise
    except Error as error:
        connection.close()
        raise Interrupted(
            f"The database went away behind row {run.rows_read:,}: {str(error).strip()}"
        ) from error
    except Exception as error:
        _mark(run, ImportRun.State.FAILED, str(error))
        raise


def _batches(
    messages: Iterator[tuple[ImportedRow, int]], size: int
) -> Iterator[list[tuple[ImportedRow, int]]]:
    """What stands before the damage of a file is given before the damage is told."""
    damage: UnreadableFile | None = None
    batch: list[tuple[ImportedRow, int]] = []
    while damage is None:
        try:
            batch.append(next(messages))
        except StopIteration:
            break
        except UnreadableFile as error:
            damage = error
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
    if damage is not None:
        raise damage


def _mark(run: ImportRun, state: ImportRun.State, error: str = "") -> None:
    run.state, run.error = state, error[:500]
    run.finished_at = None if state == ImportRun.State.RUNNING else timezone.now()
    run.save(update_fields=["state", "error", "finished_at", "updated_at"])


def _store(run: ImportRun, store: Store, source: ApiKey, rows: list[ImportedRow], done: int) -> None:
    """One batch, and in the same transaction how far the run is with it."""
    before = {name: getattr(run, name) for name in _COUNTED}

    def alongside(tally: Tally, faults: Counter[str]) -> None:
        # From what was before: after a deadlock this is called a second time.
        run.rows_read = before["rows_read"]
        _check_lock(run)
        run.rows_read = before["rows_read"] + done
        for name in ("stored", "duplicates", "quarantined", "discarded"):
            setattr(run, name, before[name] + getattr(tally, name))
        run.faults = dict(Counter(before["faults"]) + faults)
        run.save(update_fields=[*_COUNTED, "updated_at"])

    ingest_rows(store, source, rows, alongside=alongside)


_COUNTED: Final = ("rows_read", "stored", "duplicates", "quarantined", "discarded", "faults")


@contextmanager
def _messages(
    file: ImportFile, options: ImportOptions, skip: int
) -> Iterator[tuple[MessageMaker, Iterator[tuple[ImportedRow, int]], BinaryIO]]:
    """What makes the messages, the messages behind `skip` records, and the file below them."""
    with _records(file, options, skip) as (columns, records, below):
        maker = MessageMaker(options.reading, file.digest, columns)
        yield maker, maker.rows(records), below


@contextmanager
def _records(
    file: ImportFile, options: ImportOptions, skip: int
) -> Iterator[tuple[list[str], Iterator[Record], BinaryIO]]:
    if file.format == "parquet":
        with file.open() as (unpacked, below):
            parquet = open_parquet(unpacked)
            yield list(parquet.schema_arrow.names), read_parquet(parquet, skip), below
        return
    with file.open_text() as (text, below):
        if file.format == "csv":
            columns, records = read_csv(text, options.delimiter)
        else:
            naming = options.reading.naming
            are_rows = bool(naming.columns or naming.event)
            columns, records = [], read_json_lines(text, are_rows=are_rows)
        yield columns, _damage_told(islice(records, skip, None), file), below


def _damage_told(records: Iterator[Record], file: ImportFile) -> Iterator[Record]:
    try:
        yield from records
    except (OSError, EOFError, UnicodeError) as error:
        raise UnreadableFile(f"{file.name} is damaged: {error}. What stands before is imported.") from error


def _tell(report: FileReport, run: ImportRun, started: float) -> None:
    report.state = run.state
    report.rows = run.rows_read
    report.events = Tally(run.stored, run.duplicates, run.quarantined, run.discarded)
    report.faults = dict(run.faults)
    report.seconds = round(time.monotonic() - started, 1)
    report.peak_memory_mb = _peak_memory_mb()


def _peak_memory_mb() -> int:
    """The most memory that this process has held, in megabytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024))
