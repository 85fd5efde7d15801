"""Columns of Parquet files as arrays, with errors that name the file and what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from algorithms.types import Array, Float64
from benchmarks.quality.task import UnreadableFolder


def read_table(path: Path, required: tuple[str, ...]) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise UnreadableFolder(f"{path} cannot be read as Parquet: {error}") from error
    if missing := [name for name in required if name not in table.column_names]:
        raise UnreadableFolder(
            f"{path} has no column {', '.join(missing)}; it has {', '.join(table.column_names)}"
        )
    return table


def values(table: pa.Table, name: str) -> Array:
    """A column as an array; texts become numpy strings."""
    column = table[name].combine_chunks()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array([value if value is not None else "" for value in column.to_pylist()])
    return column.to_numpy(zero_copy_only=False)


def seconds(table: pa.Table, name: str) -> Float64:
    """A column of times as Unix seconds; numbers above 10^11 are taken for milliseconds."""
    column = table[name]
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        moments = column.cast(pa.timestamp("ms")).combine_chunks().to_numpy(zero_copy_only=False)
        return moments.astype("datetime64[ms]").astype(np.float64) / 1000.0
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array(values(table, name), "datetime64[ms]").astype(np.float64) / 1000.0
    moments = column.combine_chunks().to_numpy(zero_copy_only=False).astype(np.float64)
    return moments / 1000.0 if len(moments) and np.nanmax(moments) > 1e11 else moments


class ItemNumbers:
    """Items as numbers in a random order: in public files they often follow first appearance, and ties would leak it."""

    def __init__(self, ids: Array, rng: np.random.Generator) -> None:
        self.ids = np.unique(ids)
        self._numbers = rng.permutation(len(self.ids)).astype(np.int32)

    def __len__(self) -> int:
        return len(self.ids)

    def of(self, ids: Array) -> Array:
        """(n,) int32; -1 for an unknown id."""
        if not len(self.ids):
            return np.full(len(ids), -1, np.int32)
        place = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return np.where(self.ids[place] == ids, self._numbers[place], np.int32(-1))
