"""The import of a product file: everything, or nothing and the reasons why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from django.db import transaction

from accounts.models import Store
from catalog.imports.formats import UnreadableFile, read_rows
from catalog.imports.rows import BadRow, product_of
from catalog.services import ProductInput, UpsertResult, products_deactivate_others, products_upsert

MAX_REPORTED_ERRORS: Final = 100


@dataclass(frozen=True)
class RowError:
    row: int
    column: str
    problem: str

    def __str__(self) -> str:
        return (
            f"row {self.row}: {self.column}: {self.problem}"
            if self.column
            else f"row {self.row}: {self.problem}"
        )


@dataclass
class ImportReport:
    """`errors` holds the first 100; `error_count` all. With any error, or as a dry run, nothing was stored."""

    rows: int = 0
    result: UpsertResult = field(default_factory=UpsertResult)
    deactivated: int = 0
    errors: list[RowError] = field(default_factory=list)
    error_count: int = 0
    is_stored: bool = False

    def add_error(self, row: int, column: str, problem: str) -> None:
        self.error_count += 1
        if len(self.errors) < MAX_REPORTED_ERRORS:
            self.errors.append(RowError(row, column, problem))


def import_catalog(
    *,
    store: Store,
    path: Path,
    is_dry_run: bool = False,
    deactivates_missing: bool = False,
    progress: Callable[[int], object] = lambda rows: None,
) -> ImportReport:
    """Read the file in one pass and store it in one transaction. `progress(1)` is called for each row.

    Every row is checked against the database's own rules even in a dry run, which is rolled back at the end.
    """
    report = ImportReport()
    seen: dict[str, int] = {}
    with transaction.atomic():
        report.result = products_upsert(
            store=store, products=_valid_products(store, path, report, seen, progress)
        )
        if deactivates_missing and not report.error_count:
            report.deactivated = products_deactivate_others(store=store, keep=seen)
        report.is_stored = not report.error_count and not is_dry_run
        if not report.is_stored:
            transaction.set_rollback(True)
    return report


def _valid_products(
    store: Store, path: Path, report: ImportReport, seen: dict[str, int], progress: Callable[[int], object]
) -> Iterator[ProductInput]:
    try:
        for number, row in read_rows(path):
            report.rows += 1
            progress(1)
            try:
                product = product_of(row, default_currency=store.currency)
            except BadRow as error:
                for column, problem in error.problems.items():
                    report.add_error(number, column, problem)
                continue
            first = seen.setdefault(product.external_id, number)
            if first != number:
                report.add_error(
                    number, "external_id", f"{product.external_id!r} stands in row {first} already."
                )
                continue
            yield product
    except UnreadableFile as error:
        report.add_error(error.row, "", str(error))
