"""Small steps that strategies share: known items of a query, dot products as opinions, who deserves the credit."""

from __future__ import annotations

import numpy as np

from algorithms.types import Float32, Int32, Query, Trigger


def unit_rows(vectors: Float32) -> Float32:
    """Rows brought to length 1; rows of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


def opinions(shoppers: Float32, items: Float32) -> Float32:
    """(q, n_items): dot products of (q, d) and (n_items, d), those below 0 cut to "no opinion"."""
    scores = shoppers @ items.T
    return np.asarray(np.maximum(scores, 0.0, out=scores), np.float32)


def known_items(query: Query, n_items: int, limit: int) -> Int32:
    """Distinct items of the query that the strategy knows, newest first."""
    items = query.newest_items(limit)
    return items[(items >= 0) & (items < n_items)]


def strongest(items: Int32, credit: Float32) -> Trigger | None:
    """The item with the largest positive credit and its share of all positive credit."""
    credit = np.maximum(credit, 0.0)
    if not credit.any():
        return None
    best = int(credit.argmax())
    return Trigger(int(items[best]), float(credit[best] / credit.sum()))
