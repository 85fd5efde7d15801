"""`items.parquet`: what is known of items, as texts and features."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_matrix, hstack

from algorithms.types import Array, Int32, TrainingData
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

    def of(self, data: TrainingData) -> TrainingData:
        """The log with this knowledge of its items."""
        return replace(data, item_features=self.features, item_texts=self.texts, item_category=self.category)


NOTHING_KNOWN = ItemTable(None, None, None)


def read_items(path: Path, items: ItemNumbers) -> ItemTable:
    """Nothing where there is no such file. Items that the log does not have are left out."""
    return items_of(read_table(path, ("item_id",)), "item_id", items) if path.exists() else NOTHING_KNOWN


def items_of(table: pa.Table, key: str, items: ItemNumbers) -> ItemTable:
    """What the other columns say of the items in column `key`; an empty text says nothing."""
    numbers = items.of(values(table, key))
    rows = np.flatnonzero(numbers >= 0)
    features: list[csr_matrix] = []
    texts = [""] * len(items)
    category: Int32 | None = None
    for name in (name for name in table.column_names if name != key):
        column, kind = values(table, name)[rows], table[name].type
        if _is_text(column, kind):
            for number, text in zip(numbers[rows].tolist(), column.tolist(), strict=True):
                texts[number] = f"{texts[number]} {text}".strip()
            continue
        codes = _bands(column) if pa.types.is_floating(kind) else _codes(column)
        features.append(_one_hot(codes, numbers[rows], len(items)))
        if category is None or "categor" in name.lower():
            category = np.full(len(items), -1, np.int32)
            category[numbers[rows]] = codes
    return ItemTable(hstack(features).tocsr() if features else None, texts if any(texts) else None, category)


def _codes(column: Array) -> Array:
    """Values as numbers from 0, in their order; -1 for an empty text."""
    names, codes = np.unique(column, return_inverse=True)
    if len(names) and names.dtype.kind in "OUS" and names[0] == "":
        codes = codes - 1
    return codes


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
    known = codes >= 0
    ones = np.ones(int(known.sum()), np.float32)
    return csr_matrix((ones, (numbers[known], codes[known])), shape=(n_items, int(codes.max(initial=0)) + 1))
