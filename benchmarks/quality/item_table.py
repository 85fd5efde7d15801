"""`items.parquet`: what is known of items, as texts and features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix, hstack

from algorithms.types import Array, Int32
from benchmarks.quality.columns import ItemNumbers, read_table, values

MOST_VALUES = 2000
"""A text column with more different values, or with sentences in it, is text; with fewer it is a category."""
SENTENCE_WORDS = 4.0
PRICE_BANDS = 10


@dataclass(frozen=True)
class ItemTable:
    """In the order of item numbers."""

    features: csr_matrix | None
    texts: list[str] | None
    category: Int32 | None


def read_items(path: Path, items: ItemNumbers) -> ItemTable:
    """Nothing where there is no such file. Items that the log does not have are left out."""
    if not path.exists():
        return ItemTable(None, None, None)
    table = read_table(path, ("item_id",))
    numbers = items.of(values(table, "item_id"))
    rows = np.flatnonzero(numbers >= 0)
    features: list[csr_matrix] = []
    texts = [""] * len(items)
    category: Int32 | None = None
    for name in (name for name in table.column_names if name != "item_id"):
        column, kind = values(table, name)[rows], table[name].type
        if _is_text(column, kind):
            for number, text in zip(numbers[rows].tolist(), column.tolist(), strict=True):
                texts[number] = f"{texts[number]} {text}".strip()
            continue
        codes = _bands(column) if pa.types.is_floating(kind) else np.unique(column, return_inverse=True)[1]
        features.append(_one_hot(codes, numbers[rows], len(items)))
        if category is None or "categor" in name.lower():
            category = np.full(len(items), -1, np.int32)
            category[numbers[rows]] = codes
    return ItemTable(hstack(features).tocsr() if features else None, texts if any(texts) else None, category)


def _is_text(column: Array, kind: pa.DataType) -> bool:
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return False
    words = np.mean([len(text.split()) for text in column[:2000]]) if len(column) else 0.0
    return bool(words >= SENTENCE_WORDS or len(np.unique(column)) > MOST_VALUES)


def _bands(column: Array) -> Array:
    known = np.isfinite(column)
    if not known.any():
        return np.zeros(len(column), np.int64)
    edges = np.unique(np.quantile(column[known], np.linspace(0, 1, PRICE_BANDS + 1)[1:-1]))
    return np.where(known, np.digitize(np.nan_to_num(column), edges) + 1, 0)


def _one_hot(codes: Array, numbers: Array, n_items: int) -> csr_matrix:
    ones = np.ones(len(codes), np.float32)
    return csr_matrix((ones, (numbers, codes)), shape=(n_items, int(codes.max(initial=0)) + 1))
