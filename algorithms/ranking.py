"""From a row of scores to a list, and to the place of an item in it. Ranks start at 1."""

from __future__ import annotations

import numba
import numpy as np

from algorithms.types import Bool, Float32, Float64, Int32, Int64

BINS = 512


def top_k(scores: Float32, k: int) -> Int32:
    """(min(k, items above 0),): items by falling score, ties to the lower number; "no opinion" (0) is never listed."""
    return _top_k(np.ascontiguousarray(scores, np.float32), k)


def top_k_rows(scores: Float32, rows: Int64, k: int) -> Int32:
    """(len(rows), k): `top_k` of those rows of `scores` (q, n_items), padded with -1."""
    return _top_k_rows(np.ascontiguousarray(scores, np.float32), np.asarray(rows, np.int64), k)


@numba.njit(nogil=True, cache=True)
def insert(best: Float32, items: Int32, n: int, strength: float | np.floating, item: int) -> int:
    """Put an item into a list kept by falling strength, equals by rising number; gives the new length, `len(best)` at most.

    For Numba kernels: sorting there costs seconds of compilation.
    """
    place = n
    if n == len(best):
        place = n - 1
        if n == 0 or strength < best[place] or (strength == best[place] and item > items[place]):
            return n
    while place > 0 and (
        best[place - 1] < strength or (best[place - 1] == strength and items[place - 1] > item)
    ):
        best[place], items[place] = best[place - 1], items[place - 1]
        place -= 1
    best[place], items[place] = strength, item
    return min(n + 1, len(best))


@numba.njit(nogil=True, cache=True)
def _top_k(scores: Float32, k: int) -> Int32:
    items = np.empty(k, np.int32)
    best = np.empty(k, np.float32)
    n = 0
    for item in range(len(scores)):
        if scores[item] > 0.0 and (n < k or (k > 0 and scores[item] > best[k - 1])):
            n = insert(best, items, n, scores[item], item)
    return items[:n].copy()


@numba.njit(nogil=True, cache=True)
def _top_k_rows(scores: Float32, rows: Int64, k: int) -> Int32:
    lists = np.full((len(rows), k), -1, np.int32)
    for n in range(len(rows)):
        best = _top_k(scores[rows[n]], k)
        lists[n, : len(best)] = best
    return lists


def strongest_places(strength: Float32, k: int) -> Int64:
    """(min(k, n),): places of the k largest values ≥ 0, in no order; of equals those that stand first."""
    if len(strength) <= k:
        return np.arange(len(strength))
    return _strongest_places(np.ascontiguousarray(strength, np.float32), k)


@numba.njit(nogil=True, cache=True)
def _strongest_places(strength: Float32, k: int) -> Int64:
    """Values are counted into bins, and only those of the bin in which the k-th falls are sorted."""
    top = np.float32(0.0)
    for value in strength:
        top = max(top, value)
    factor = np.float32(BINS) / top if top > 0.0 else np.float32(0.0)
    counts = np.zeros(BINS + 1, np.int64)
    for value in strength:
        counts[int(value * factor)] += 1
    last, within = BINS, counts[BINS]
    while within < k:
        last -= 1
        within += counts[last]
    bin_values = np.empty(counts[last], np.float32)
    n = 0
    for value in strength:
        if int(value * factor) == last:
            bin_values[n] = value
            n += 1
    bin_values.sort()
    bar = bin_values[within - k]
    places = np.empty(k, np.int64)
    n = 0
    for place in range(len(strength)):
        if strength[place] > bar:
            places[n] = place
            n += 1
    for place in range(len(strength)):
        if n == k:
            break
        if strength[place] == bar:
            places[n] = place
            n += 1
    return places


@numba.njit(nogil=True, cache=True)
def below_kth(strength: Float32, k: int) -> np.float32:
    """A value that at least k (≤ n) of these values ≥ 0 reach, less than 1/512 of the largest below the k-th; 0 where that is unknown."""
    top = np.float32(0.0)
    for value in strength:
        top = max(top, value)
    if top <= 0.0:
        return np.float32(0.0)
    factor = np.float32(BINS) / top
    counts = np.zeros(BINS + 1, np.int64)
    for value in strength:
        counts[int(value * factor)] += 1
    last, within = BINS, counts[BINS]
    while within < k and last > 0:
        last -= 1
        within += counts[last]
    return np.float32(last / factor * 0.99999)


def mean_ranks(scores: Float32, cases: Int64, targets: Int32, left_out: Bool | None = None) -> Float64:
    """(t,): rank of item targets[x] in row cases[x] of `scores` (q, n_items); equals share the mean of their places.

    `left_out` (q, n_items) are items that do not stand in the ranking.
    """
    excluded = np.zeros((0, 0), np.bool_) if left_out is None else left_out
    return _mean_ranks(scores, cases, targets, excluded)


@numba.njit(nogil=True, cache=True)
def _mean_ranks(scores: Float32, cases: Int64, targets: Int32, excluded: Bool) -> Float64:
    ranks = np.empty(len(targets), np.float64)
    for t in range(len(targets)):
        row = scores[cases[t]]
        own = row[targets[t]]
        above = 0
        equal = 0
        for item in range(len(row)):
            if row[item] >= own and not (len(excluded) and excluded[cases[t], item]):
                above += row[item] > own
                equal += row[item] == own
        ranks[t] = above + (equal + 1) / 2
    return ranks
