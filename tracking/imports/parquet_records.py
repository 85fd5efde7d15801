"""Parquet, row group by row group, with nested lists of products as they are."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from math import isnan
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from tracking.imports.records import Record, UnreadableFile

BATCH_ROWS: Final = 5_000


def open_parquet(file: IO[bytes]) -> pq.ParquetFile:
    """Raises UnreadableFile for what is no Parquet."""
    try:
        return pq.ParquetFile(file, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFile(f"This is no readable Parquet file: {error}.") from error


def read_parquet(file: pq.ParquetFile, skip: int = 0) -> Iterator[Record]:
    """Rows from number `skip` + 1 on; whole row groups before it are not read at all. Raises UnreadableFile on damage."""
    groups = list(range(file.num_row_groups))
    number = 0
    while groups and number + file.metadata.row_group(groups[0]).num_rows <= skip:
        number += file.metadata.row_group(groups.pop(0)).num_rows
    try:
        for batch in file.iter_batches(BATCH_ROWS, row_groups=groups) if groups else ():
            if number + batch.num_rows <= skip:
                number += batch.num_rows
                continue
            for row in _with_microseconds(pa.Table.from_batches([batch])).to_pylist():
                number += 1
                if number > skip:
                    yield Record(f"row {number:,}", {name: _plain(value) for name, value in row.items()})
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFile(f"The file is damaged behind row {number:,}: {error}.") from error


def _with_microseconds(table: pa.Table) -> pa.Table:
    """Python's datetime has no nanoseconds."""
    for position, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
            cast = table.column(position).cast(pa.timestamp("us", tz=column.type.tz), safe=False)
            table = table.set_column(position, column.name, cast)
    return table


def _plain(value: Any) -> Any:
    """As JSON would say it: a decimal is a number, a NaN is nothing."""
    match value:
        case float():
            return None if isnan(value) else value
        case Decimal():
            return float(value) if value.is_finite() else None
        case list():
            return [_plain(inner) for inner in value]
        case dict():
            return {name: _plain(inner) for name, inner in value.items() if inner is not None}
        case bytes():
            return value.decode("utf-8", "backslashreplace")
        case _:
            return value
