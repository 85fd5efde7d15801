"""Small steps that strategies share: known items of a query, dot products as opinions, who deserves the credit."""

from __future__ import annotations

from functools import lru_cache

import numba
import numpy as np

from algorithms.types import Float32, Float64, Int32, Query, Trigger


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


def distinct(items: Int32) -> Int32:
    """Each once, in the order in which they come."""
    seen = dict.fromkeys(items.tolist())
    return np.fromiter(seen, np.int32, len(seen))


def known_items(query: Query, n_items: int, limit: int) -> Int32:
    """Distinct items of the query that the strategy knows, newest first. Worked out once for a query.

    Items that it does not know count towards `limit`.
    """
    key = (known_items, n_items, limit)
    known: Int32 | None = query.memo.get(key)
    if known is None:
        page = -1 if query.context_item is None else query.context_item
        known = query.memo[key] = _newest(query.items, query.cart, page, n_items, limit)
    return known


@numba.njit(nogil=True, cache=True)
def _newest(past: Int32, cart: Int32, page: int, n_items: int, limit: int) -> Int32:
    """The page's own product, then the cart, then history."""
    m, c = len(past), len(cart)
    distinct = np.empty(min(limit, m + c + 1), np.int32)
    n = 0
    for row in range(m + c, -1, -1):
        if n == len(distinct):
            break
        item = page if row == m + c else cart[row - m] if row >= m else past[row]
        place = 0
        while place < n and distinct[place] != item:
            place += 1
        if place == n and not (row == m + c and page < 0):
            distinct[n] = item
            n += 1
    known = 0
    for place in range(n):
        if 0 <= distinct[place] < n_items:
            distinct[known] = distinct[place]
            known += 1
    return distinct[:known]


@lru_cache(maxsize=256)
def fading(decay: float, length: int) -> Float32:
    """(length,): 1, decay, decay² … Not to be written into."""
    weights = np.asarray(np.float64(decay) ** np.arange(length), np.float32)
    weights.setflags(write=False)
    return weights


def strongest(items: Int32, credit: Float32) -> Trigger | None:
    """The item with the largest positive credit and its share of all positive credit."""
    shares: list[float] = credit.tolist()
    total = sum(share for share in shares if share > 0.0)
    if total <= 0.0:
        return None
    largest = max(shares)
    return Trigger(int(items[shares.index(largest)]), largest / total)


def triggers_of(items: Int32, credit: Float32, targets: Int32) -> list[Trigger | None]:
    """Of each target the item of the query with the largest positive credit, `credit` (len(items), len(targets)), and its share of all
    positive credit. No item is its own trigger."""
    best, share = _loudest(items, credit, targets)
    return [
        Trigger(item, part) if item >= 0 else None
        for item, part in zip(best.tolist(), share.tolist(), strict=True)
    ]


@numba.njit(nogil=True, cache=True)
def _loudest(items: Int32, credit: Float32, targets: Int32) -> tuple[Int32, Float64]:
    best = np.full(len(targets), -1, np.int32)
    share = np.zeros(len(targets), np.float64)
    for t in range(len(targets)):
        total, largest = 0.0, 0.0
        for a in range(len(items)):
            given = np.float64(credit[a, t])
            if given > 0.0 and items[a] != targets[t]:
                total += given
                if given > largest:
                    largest, best[t] = given, items[a]
        if total > 0.0:
            share[t] = largest / total
    return best, share
