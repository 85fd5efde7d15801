"""What a reader of a data set gives, and the pieces that readers share."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from catalog.services import ProductInput

BATCH_ROWS: Final = 20_000
# An event may have 500 lines and 32 KiB: a longer invoice becomes several orders, "536365", "536365/2", …
MAX_ORDER_LINES: Final = 400

Row = dict[str, Any]
T = TypeVar("T")


class UnreadableDataset(ValueError):
    """The file or folder is missing, or not what the reader expects. Says what is expected."""


class RowReason(StrEnum):
    """Why a row was not imported; the words appear in the quarantine and in the report."""

    NON_PRODUCT = "row_non_product"
    NOT_UNITS = "row_not_units"
    NO_PRICE = "row_no_price"
    STOCK_ADJUSTMENT = "row_stock_adjustment"
    BAD_DEBT_ADJUSTMENT = "row_bad_debt_adjustment"
    REFUND_WITHOUT_PURCHASE = "row_refund_without_purchase"
    UNKNOWN_PRODUCT = "row_unknown_product"
    ORDER_WITHOUT_ITEMS = "row_order_without_items"


@dataclass(frozen=True)
class RejectedRow:
    """`number` counts from 1 in the file. `user_id` is the customer in it, "" for none."""

    number: int
    reason: RowReason
    detail: str
    row: Row
    user_id: str = ""


@dataclass
class RowTally:
    """What became of the rows: `sold` and `refunded` lines are in messages, the rest was rejected, by reason."""

    sold: int = 0
    refunded: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return self.sold + self.refunded + sum(self.rejected.values())


@dataclass(frozen=True)
class StoreFacts:
    """The store that a data set becomes."""

    slug: str
    name: str
    currency: str
    country: str
    time_zone: str


class Dataset(Protocol):
    """`products` and `people` may read the file once each, `messages` reads it once, from the start."""

    @property
    def name(self) -> str: ...

    @property
    def store(self) -> StoreFacts: ...

    @property
    def row_count(self) -> int: ...

    def products(self, progress: Callable[[int], object]) -> Iterable[ProductInput]:
        """What was sold, with median price. `progress` is told of rows read."""
        ...

    def people(self) -> Mapping[str, Mapping[str, Any]]:
        """{customer id: profile fields}; call it after `products`."""
        ...

    def messages(
        self, tally: RowTally, reject: Callable[[RejectedRow], object], progress: Callable[[int], object]
    ) -> Iterator[dict[str, Any]]:
        """Messages of the tracking contract, in order of time."""
        ...


def parquet_file(path: Path, expected: Iterable[str]) -> pq.ParquetFile:
    """Raises UnreadableDataset where there is none, or columns are missing."""
    if not path.is_file():
        raise UnreadableDataset(f"There is no file {path}.")
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise UnreadableDataset(f"{path} is not a Parquet file: {error}.") from error
    if missing := set(expected) - set(file.schema_arrow.names):
        raise UnreadableDataset(f"{path} lacks the columns {', '.join(sorted(missing))}.")
    return file


def rows_of(file: pq.ParquetFile, columns: Mapping[str, str]) -> Iterator[tuple[int, Row]]:
    """(row number from 1, {our name: value}) in batches, so that a file of any length fits. `columns`: theirs → ours."""
    number = 0
    for batch in file.iter_batches(BATCH_ROWS, columns=list(columns)):
        table = pa.Table.from_batches([batch]).rename_columns([columns[name] for name in batch.schema.names])
        for row in _with_microseconds(table).to_pylist():
            number += 1
            yield number, row


def _with_microseconds(table: pa.Table) -> pa.Table:
    """Python's datetime has no nanoseconds."""
    for position, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
            cast = table.column(position).cast(pa.timestamp("us", tz=column.type.tz))
            table = table.set_column(position, column.name, cast)
    return table


def median(prices: Mapping[int, int]) -> int:
    """The lower median of {value: how often}."""
    half, seen = (sum(prices.values()) + 1) // 2, 0
    for price in sorted(prices):
        seen += prices[price]
        if seen >= half:
            return price
    raise ValueError("the median of nothing")


class OpenGroups(Generic[T]):
    """Rows that belong together and stand almost next to each other: groups are given away once the file is past them.

    A till that writes two invoices in one minute mixes their lines. The file is in order of time, so a group is complete
    when nothing was added for `patience`.
    """

    def __init__(self, patience: timedelta) -> None:
        self._patience = patience
        self._groups: OrderedDict[str, tuple[datetime, list[T]]] = OrderedDict()

    def add(self, key: str, at: datetime, member: T) -> None:
        _, members = self._groups.pop(key, (at, []))
        members.append(member)
        self._groups[key] = (at, members)

    def completed(self, now: datetime) -> Iterator[tuple[str, list[T]]]:
        """Groups that nothing was added to for the patience, and that are forgotten here."""
        while self._groups:
            key, (at, members) = next(iter(self._groups.items()))
            if now - at <= self._patience:
                return
            del self._groups[key]
            yield key, members

    def rest(self) -> Iterator[tuple[str, list[T]]]:
        """All that are left, at the end of the file."""
        while self._groups:
            key, (_, members) = self._groups.popitem(last=False)
            yield key, members
