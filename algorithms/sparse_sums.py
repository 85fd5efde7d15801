"""Sums over the rows of sparse tables, for one query: only what is met is touched, given and cleared.

`sums` (≥ n_items,) is a thread's scratch (`algorithms.scratch`): all 0, before and after.
"""

from __future__ import annotations

import numba
import numpy as np

from algorithms.types import Float32, Float64, Int32, Int64


@numba.njit(nogil=True, cache=True)
def drained(touched: Int32, n: int, sums: Float32) -> tuple[Int32, Float32]:
    """The items of touched[:n] whose sum is above 0, each once, with their sums; which are 0 afterwards."""
    items, scores = np.empty(n, np.int32), np.empty(n, np.float32)
    found = 0
    for t in range(n):
        total = sums[touched[t]]
        sums[touched[t]] = np.float32(0.0)
        if total > 0.0:  # met again it is 0
            items[found], scores[found] = touched[t], total
            found += 1
    return items[:found], scores[:found]


@numba.njit(nogil=True, cache=True)
def rows_added(
    items: Int32, importance: Float32, offsets: Int64, neighbours: Int32, values: Float32, sums: Float32
) -> tuple[Int32, Float32]:  # fmt: skip
    """Σ_a importance[a] · row(items[a]) of a CSR table, where it is above 0."""
    room = 0
    for item in items:
        room += offsets[item + 1] - offsets[item]
    touched = np.empty(room, np.int32)
    n = 0
    for a in range(len(items)):
        for p in range(offsets[items[a]], offsets[items[a] + 1]):
            neighbour = neighbours[p]
            if sums[neighbour] == 0.0:
                touched[n] = neighbour
                n += 1
            sums[neighbour] += importance[a] * values[p]
    return drained(touched, n, sums)


@numba.njit(nogil=True, cache=True)
def damped_rows_added(
    items: Int32, importance: Float32, offsets: Int64, neighbours: Int32, counts: Float64, damping: Float32,
    sums: Float32,
) -> tuple[Int32, Float32]:  # fmt: skip
    """Σ_a importance[a] · counts(items[a], j) · damping[j], where it is above 0."""
    room = 0
    for item in items:
        room += offsets[item + 1] - offsets[item]
    touched = np.empty(room, np.int32)
    n = 0
    for a in range(len(items)):
        for p in range(offsets[items[a]], offsets[items[a] + 1]):
            neighbour = neighbours[p]
            if sums[neighbour] == 0.0:
                touched[n] = neighbour
                n += 1
            sums[neighbour] += importance[a] * counts[p] * damping[neighbour]
    return drained(touched, n, sums)
