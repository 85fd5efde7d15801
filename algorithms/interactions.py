"""One view of a history for training and serving alike: distinct items, how long ago, and how strongly.

Age counts occasions, not days: the items of the newest occasion have age 0, those of the one before age 1 and so on. An
occasion is one moment, a click or a whole basket; one that only repeats newer items does not count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from scipy.sparse import csr_matrix

from algorithms.types import Float32, Float64, Int32, Int64, Query, TrainingData

DAY_SECONDS = 86_400.0
ALL_ITEMS = LONGEST = 2**31 - 1


@dataclass(frozen=True)
class History:
    """Distinct items of one shopper, newest first."""

    items: Int32
    ages: Int32  # occasions since, ascending from 0
    strength: Float32  # log2(1 + sum of event weights): 1 for one event of weight 1
    moments: Float64  # Unix seconds of the newest event with the item

    def decayed(self, decay: float) -> Float32:
        """strength · decay^age."""
        return np.asarray(self.strength * np.float64(decay) ** self.ages, np.float32)

    def halved(self, half_life_days: float, now: float) -> Float32:
        """0.5^(days since / half_life_days), whatever the strength."""
        days = np.maximum(now - self.moments, 0.0) / DAY_SECONDS
        return np.asarray(0.5 ** (days / half_life_days), np.float32)


def history_of(query: Query, n_items: int, limit: int) -> History:
    """The newest `limit` distinct items that are known: the page's own product first, then the cart, then the past.

    Worked out once for a query: several strategies ask, for scores and again for every trigger. Most know all of its items and may
    read all of it, and so share one.
    """
    if n_items > _highest_item(query):
        n_items = ALL_ITEMS
    known = _kept(query, n_items, LONGEST)
    return known if len(known.items) <= limit else _kept(query, n_items, limit)


def _highest_item(query: Query) -> int:
    known: int | None = query.memo.get(_highest_item)
    if known is None:
        page = -1 if query.context_item is None else query.context_item
        known = max(int(query.items.max(initial=-1)), int(query.cart.max(initial=-1)), page)
        query.memo[_highest_item] = known
    return known


def _kept(query: Query, n_items: int, limit: int) -> History:
    key = (history_of, n_items, limit)
    known: History | None = query.memo.get(key)
    if known is None:
        page = -1 if query.context_item is None else query.context_item
        columns = _history(
            query.items, query.weights, query.timestamps, query.cart, page, query.now, n_items, limit
        )
        known = query.memo[key] = History(*columns)
    return known


def user_histories(data: TrainingData, limit: int = 2**31 - 1) -> tuple[Int64, History]:
    """(n_users + 1,) offsets and the histories of all users, one after the other."""
    order = np.lexsort((data.timestamp, data.user))
    offsets = np.searchsorted(data.user[order], np.arange(data.n_users + 1)).astype(np.int64)
    ends, items, ages, mass, rows = _all_newest_first(
        data.item[order],
        data.weight[order].astype(np.float64),
        data.timestamp[order],
        offsets,
        limit,
        data.n_items,
    )
    return ends, History(items, ages, np.log2(1.0 + mass).astype(np.float32), data.timestamp[order][rows])


def recency_weighted(data: TrainingData, decay: float, limit: int = 2**31 - 1) -> csr_matrix:
    """(n_users, n_items) CSR float32 of strength · decay^age, > 0; what it makes vanish is left out."""
    offsets, history = user_histories(data, limit)
    matrix = csr_matrix((history.decayed(decay), history.items, offsets), shape=(data.n_users, data.n_items))
    matrix.data[matrix.data < 1e-4] = 0.0
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix


@numba.njit(nogil=True, cache=True)
def _newest_first(
    items: Int32, weights: Float64, moments: Float64, limit: int, place: Int32
) -> tuple[Int32, Int32, Float64, Int64]:
    """Distinct items, their ages, sums of weights and newest rows. Rows are sorted by moment; reading stops at `limit` items.

    `place` (n_items,) is scratch: -1 everywhere, before and after.
    """
    size = min(limit, len(items))
    distinct = np.empty(size, np.int32)
    ages = np.empty(size, np.int32)
    mass = np.zeros(size, np.float64)
    rows = np.empty(size, np.int64)
    n, age = 0, -1
    occasion = np.inf
    for row in range(len(items) - 1, -1, -1):
        item = items[row]
        if place[item] >= 0:
            mass[place[item]] += weights[row]
            continue
        if n == size:
            break
        if moments[row] != occasion:
            occasion = moments[row]
            age += 1
        place[item] = n
        distinct[n], ages[n], mass[n], rows[n] = item, age, weights[row], row
        n += 1
    for a in range(n):
        place[distinct[a]] = -1
    return distinct[:n], ages[:n], mass[:n], rows[:n]


@numba.njit(nogil=True, cache=True)
def _history(
    past: Int32, weights: Float32, timestamps: Float64, cart: Int32, page: int, now: float, n_items: int, limit: int
) -> tuple[Int32, Int32, Float32, Float64]:  # fmt: skip
    """Distinct items, ages, strengths and moments of one shopper: the page is the newest occasion, the cart the one before it."""
    m, c = len(past), len(cart)
    size = min(limit, m + c + 1)
    distinct, ages = np.empty(size, np.int32), np.empty(size, np.int32)
    mass, newest = np.zeros(size, np.float64), np.empty(size, np.float64)
    last = max(now, timestamps[m - 1]) if m else now
    n, age, occasion = 0, -1, np.inf
    for row in range(m + c, -1, -1):
        if row == m + c:
            item, weight, moment = page, 1.0, last + 2.0
        elif row >= m:
            item, weight, moment = cart[row - m], 1.0, last + 1.0
        else:
            item, weight, moment = past[row], np.float64(weights[row]), timestamps[row]
        if item < 0 or item >= n_items:
            continue
        place = 0
        while place < n and distinct[place] != item:
            place += 1
        if place < n:
            mass[place] += weight
            continue
        if n == size:
            break
        if moment != occasion:
            occasion = moment
            age += 1
        distinct[n], ages[n], mass[n], newest[n] = item, age, weight, moment
        n += 1
    return distinct[:n], ages[:n], np.log2(1.0 + mass[:n]).astype(np.float32), newest[:n]


@numba.njit(nogil=True, cache=True)
def _all_newest_first(
    items: Int32, weights: Float64, moments: Float64, offsets: Int64, limit: int, n_items: int
) -> tuple[Int64, Int32, Int32, Float64, Int64]:
    ends = np.zeros(len(offsets), np.int64)
    distinct, ages = np.empty_like(items), np.empty_like(items)
    mass, rows = np.empty(len(items), np.float64), np.empty(len(items), np.int64)
    place = np.full(n_items, -1, np.int32)
    n = 0
    for u in range(len(offsets) - 1):
        span = slice(offsets[u], offsets[u + 1])
        own, age, strength, newest = _newest_first(items[span], weights[span], moments[span], limit, place)
        end = n + len(own)
        distinct[n:end], ages[n:end], mass[n:end], rows[n:end] = own, age, strength, newest + offsets[u]
        n = end
        ends[u + 1] = n
    return ends, distinct[:n].copy(), ages[:n].copy(), mass[:n].copy(), rows[:n].copy()
