"""Small steps that strategies share: known items of a query, dot products as opinions, who deserves the credit."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numba
import numpy as np

from algorithms.ranking import top_k
from algorithms.types import Float32, Int32, Query, Trigger

LIKELY_PER_ITEM = 60
"""Of each item of a query so many nearest items are looked at where all would be too many."""
MAX_LISTS = 30_000
"""Lists that a strategy remembers: 240 bytes each."""


def unit_rows(vectors: Float32) -> Float32:
    """Rows brought to length 1; rows of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


def opinions(shoppers: Float32, items: Float32) -> Float32:
    """(q, n_items): dot products of (q, d) and (n_items, d), those below 0 cut to "no opinion"."""
    scores = shoppers @ items.T
    return np.asarray(np.maximum(scores, 0.0, out=scores), np.float32)


def opinions_of(shopper: Float32, vectors: Float32, items: Int32) -> Float32:
    """(c,): the same for one shopper (d,) and these items alone."""
    return _dots(np.ascontiguousarray(shopper, np.float32), vectors, items)


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _dots(shopper: Float32, vectors: Float32, items: Int32) -> Float32:
    scores = np.empty(len(items), np.float32)
    for c in range(len(items)):
        row = vectors[items[c]]
        total = np.float32(0.0)
        for d in range(len(shopper)):
            total += row[d] * shopper[d]
        scores[c] = max(total, np.float32(0.0))
    return scores


class NearestLists:
    """Of items that shoppers touched, those nearest to them by a strategy's own measure: worked out when an item is first met.

    A shopper's opinion of an item is a sum over what they touched, so that whatever they like best is near to something there.
    `row(item)` gives (n_items,) likeness to the item, higher is nearer. Belongs to one fitted strategy. Thread-safe.
    """

    def __init__(self, row: Callable[[int], Float32], length: int = LIKELY_PER_ITEM) -> None:
        self._row, self._length = row, length
        self._lists: dict[int, Int32] = {}
        self._lock = threading.Lock()

    def of(self, item: int) -> Int32:
        known = self._lists.get(item)
        if known is None:
            known = top_k(self._row(item), self._length)
            with self._lock:
                if len(self._lists) >= MAX_LISTS:
                    self._lists.clear()
                self._lists[item] = known
        return known

    def joined(self, items: Int32) -> Int32:
        """The lists of these items and the items themselves; some may stand there twice."""
        return np.concatenate([items, *(self.of(item) for item in items.tolist())])


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
