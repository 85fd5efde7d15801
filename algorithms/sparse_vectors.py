"""Likeness of sparse vectors, one shopper at a time: what scipy does for many at once, without its cost for each.

Vectors are rows of a CSR matrix. `dense` (≥ d,) is a thread's scratch (`algorithms.scratch`): all 0, before and after.
"""

from __future__ import annotations

import numba
import numpy as np

from algorithms.types import Array, Float32, Int32


@numba.njit(nogil=True, cache=True)
def weighted_sum(
    rows: Int32, importance: Float32, data: Float32, indices: Int32, offsets: Array, dense: Float32
) -> tuple[Int32, Float32]:
    """Σ_a importance[a] · row(rows[a]), brought to length 1: its columns that are not 0, and their values."""
    room = 0
    for row in rows:
        room += offsets[row + 1] - offsets[row]
    columns = np.empty(room, np.int32)
    n = 0
    for a in range(len(rows)):
        for p in range(offsets[rows[a]], offsets[rows[a] + 1]):
            if dense[indices[p]] == 0.0 and importance[a] * data[p] != 0.0:
                columns[n] = indices[p]
                n += 1
            dense[indices[p]] += importance[a] * data[p]
    length = 0.0
    for k in range(n):
        length += dense[columns[k]] ** 2
    scale = np.float32(1.0 / np.sqrt(length)) if length > 0.0 else np.float32(0.0)
    values = np.empty(n, np.float32)
    for k in range(n):
        values[k] = dense[columns[k]] * scale
    for k in range(n):
        dense[columns[k]] = np.float32(0.0)
    return columns[:n], values


@numba.njit(nogil=True, cache=True)
def products(
    columns: Int32,
    values: Float32,
    data: Float32,
    indices: Int32,
    offsets: Array,
    minimum: float,
    n_rows: int,
) -> Float32:
    """(n_rows,): dot products with every row of a matrix that is given by column (CSR of its transpose); below `minimum` 0."""
    scores = np.zeros(n_rows, np.float32)
    for k in range(len(columns)):
        for p in range(offsets[columns[k]], offsets[columns[k] + 1]):
            scores[indices[p]] += values[k] * data[p]
    for row in range(n_rows):
        if scores[row] < minimum:
            scores[row] = 0.0
    return scores


@numba.njit(nogil=True, cache=True)
def products_of(
    columns: Int32, values: Float32, rows: Int32, data: Float32, indices: Int32, offsets: Array, minimum: float,
    dense: Float32,
) -> Float32:  # fmt: skip
    """(c,): the same with these rows alone, of the matrix by row."""
    for k in range(len(columns)):
        dense[columns[k]] = values[k]
    scores = np.zeros(len(rows), np.float32)
    for c in range(len(rows)):
        total = np.float32(0.0)
        for p in range(offsets[rows[c]], offsets[rows[c] + 1]):
            total += dense[indices[p]] * data[p]
        if total >= minimum:
            scores[c] = total
    for k in range(len(columns)):
        dense[columns[k]] = np.float32(0.0)
    return scores


@numba.njit(nogil=True, cache=True)
def products_between(
    rows: Int32, others: Int32, data: Float32, indices: Int32, offsets: Array, dense: Float32
) -> Float32:
    """(len(rows), len(others)): dot products of each row with each other."""
    found = np.zeros((len(rows), len(others)), np.float32)
    for b in range(len(others)):
        start, end = offsets[others[b]], offsets[others[b] + 1]
        for p in range(start, end):
            dense[indices[p]] = data[p]
        for a in range(len(rows)):
            total = np.float32(0.0)
            for p in range(offsets[rows[a]], offsets[rows[a] + 1]):
                total += dense[indices[p]] * data[p]
            found[a, b] = total
        for p in range(start, end):
            dense[indices[p]] = np.float32(0.0)
    return found
