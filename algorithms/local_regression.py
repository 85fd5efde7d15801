"""Each item regressed on the few items that are most like it: what EASE does where a dense inverse would be too large.

In the manner of SLIM with a fixed support (Ning and Karypis, "SLIM: Sparse Linear Methods for Top-N Recommender Systems", ICDM 2011). With
G = XᵀX and N the k items with the largest cosine to j:

    (G_NN + λI) w = G_Nj

Rows are shared out among threads; what comes out does not depend on how.
"""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
from scipy.sparse import csr_matrix

from algorithms.neighbour_table import NeighbourTable
from algorithms.ranking import insert
from algorithms.threads import by_parts
from algorithms.types import Float32, Int32, Int64

WORTH_READING: Final = 24
"""A row is read through up to so many entries for each pair that is looked for in it."""


def regress_on_neighbours(
    touched: csr_matrix, targets: Int32, k: int, regularization: float
) -> NeighbourTable:
    """Row t: the k items that speak for targets[t] and their weights w. `touched` is X, (n_users, n_items) float32 CSR.

    Raises numpy.linalg.LinAlgError where a system has no solution, which takes a `regularization` of 0 or less.
    """
    offsets, columns, gram = gram_of(touched)
    size = _diagonal(offsets, columns, gram)
    parts = by_parts(
        lambda part: _ridge_on_neighbours(part, offsets, columns, gram, size, k, regularization), targets
    )
    return NeighbourTable.joined(parts)


def gram_of(touched: csr_matrix) -> tuple[Int64, Int32, Float32]:
    """XᵀX in CSR form: offsets (n_items + 1,), columns ascending in each row, values. One copy of it is in memory at a time."""
    by_item = touched.T.tocsr()
    item_offsets, user_offsets = by_item.indptr.astype(np.int64), touched.indptr.astype(np.int64)
    parts = by_parts(
        lambda part: _gram_rows(
            part, item_offsets, by_item.indices, by_item.data, user_offsets, touched.indices, touched.data
        ),
        np.arange(touched.shape[1], dtype=np.int32),
    )
    offsets = np.concatenate([[0], np.cumsum(np.concatenate([part[2] for part in parts]))]).astype(np.int64)
    columns, values = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.float32)
    filled = len(columns)
    while parts:  # from the last: what has been copied is given back at once
        own_columns, own_values, _ = parts.pop()
        start = filled - len(own_columns)
        columns[start:filled], values[start:filled] = own_columns, own_values
        filled = start
    return offsets, columns, values


@numba.njit(nogil=True, cache=True)
def _gram_rows(
    rows: Int32,
    item_offsets: Int64, users: Int32, strengths: Float32,  # X by item
    user_offsets: Int64, items: Int32, values: Float32,  # X by user
) -> tuple[Int32, Float32, Int64]:  # fmt: skip
    n_items = len(item_offsets) - 1
    columns, products = np.empty(1024, np.int32), np.empty(1024, np.float32)
    counts = np.zeros(len(rows), np.int64)
    sums = np.zeros(n_items, np.float32)
    is_there = np.zeros(n_items, np.bool_)
    met = np.empty(n_items, np.int32)
    filled = 0
    for r in range(len(rows)):
        n = 0
        for p in range(item_offsets[rows[r]], item_offsets[rows[r] + 1]):
            user = users[p]
            for q in range(user_offsets[user], user_offsets[user + 1]):
                if not is_there[items[q]]:
                    is_there[items[q]] = True
                    met[n] = items[q]
                    n += 1
                sums[items[q]] += strengths[p] * values[q]
        while filled + n > len(columns):
            columns = np.concatenate((columns, np.empty_like(columns)))
            products = np.concatenate((products, np.empty_like(products)))
        for item in np.sort(met[:n]):
            columns[filled], products[filled] = item, sums[item]
            sums[item], is_there[item] = 0.0, False
            filled += 1
        counts[r] = n
    return columns[:filled].copy(), products[:filled].copy(), counts


@numba.njit(nogil=True, cache=True)
def _diagonal(offsets: Int64, columns: Int32, gram: Float32) -> Float32:
    size = np.zeros(len(offsets) - 1, np.float32)
    for i in range(len(size)):
        for p in range(offsets[i], offsets[i + 1]):
            if columns[p] == i:
                size[i] = gram[p]
    return size


@numba.njit(nogil=True, cache=True)
def _ridge_on_neighbours(
    targets: Int32, offsets: Int64, columns: Int32, gram: Float32, size: Float32, k: int, regularization: float
) -> tuple[Int32, Float32, Int64]:  # fmt: skip
    """Neighbours, weights, and where each target's end."""
    place = np.full(len(size), -1, np.int32)
    best, near = np.empty(k, np.float32), np.empty(k, np.int32)
    items, weights = np.empty(len(targets) * k, np.int32), np.empty(len(targets) * k, np.float32)
    ends = np.zeros(len(targets) + 1, np.int64)
    filled = 0
    for t in range(len(targets)):
        j = targets[t]
        n = 0
        for p in range(offsets[j], offsets[j + 1]):
            if columns[p] != j and gram[p] > 0.0:
                n = insert(best, near, n, gram[p] / np.sqrt(size[columns[p]]), columns[p])
        ends[t + 1] = filled + n
        if not n:
            continue
        _by_length(near, n, offsets)
        for a in range(n):
            place[near[a]] = a
        shared = np.zeros(n, np.float32)
        for p in range(offsets[j], offsets[j + 1]):
            if place[columns[p]] >= 0:
                shared[place[columns[p]]] = gram[p]
        system = _system(near[:n], place, offsets, columns, gram)
        for a in range(n):
            place[near[a]] = -1
            system[a, a] = size[near[a]] + regularization
        items[filled : filled + n] = near[:n]
        weights[filled : filled + n] = np.linalg.solve(system, shared)
        filled += n
    return items[:filled].copy(), weights[:filled].copy(), ends


@numba.njit(nogil=True, cache=True)
def _by_length(near: Int32, n: int, offsets: Int64) -> None:
    """Sort by how many items each was seen with: pairs are looked for in the shorter of their two rows."""
    for a in range(1, n):
        item = near[a]
        length = offsets[item + 1] - offsets[item]
        b = a
        while b > 0 and offsets[near[b - 1] + 1] - offsets[near[b - 1]] > length:
            near[b] = near[b - 1]
            b -= 1
        near[b] = item


@numba.njit(nogil=True, cache=True)
def _system(near: Int32, place: Int32, offsets: Int64, columns: Int32, gram: Float32) -> Float32:
    """G_NN but for its diagonal. A row is read through where that is less work than to look each pair up in it."""
    n = len(near)
    system = np.zeros((n, n), np.float32)
    for a in range(n):
        start, end = offsets[near[a]], offsets[near[a] + 1]
        if end - start <= WORTH_READING * (n - a):
            for p in range(start, end):
                b = place[columns[p]]
                if b > a:
                    system[a, b] = system[b, a] = gram[p]
            continue
        for b in range(a + 1, n):
            low, high = start, end
            while low < high:
                middle = (low + high) // 2
                if columns[middle] < near[b]:
                    low = middle + 1
                else:
                    high = middle
            if low < end and columns[low] == near[b]:
                system[a, b] = system[b, a] = gram[low]
    return system
