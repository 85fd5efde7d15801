"""Sparse counts of item pairs that can be added to and taken from exactly.

A table is what training keeps of sessions or baskets, so it must give back what a session put in: every contribution is
rounded to a multiple of `UNIT`, sums of which a float64 holds exactly up to 2^41. Hence appending is equal to training
on everything, forgetting is equal to never having seen it, and a pair known from one shopper alone ends at exactly 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numba
import numpy as np
from scipy.sparse import csr_matrix

from algorithms.types import Array, Float32, Float64, Int32, Int64

UNIT = 2.0**-12


@dataclass(frozen=True)
class PairCounts:
    """Row i lists the items that occur with i and how much: counts[offsets[i]:offsets[i + 1]], neighbours ascending."""

    neighbours: Int32
    counts: Float64  # multiples of UNIT, > 0
    offsets: Int64  # (n_items + 1,)
    occurrences: Float64  # (n_items,) how often each item occurs at all

    @property
    def n_items(self) -> int:
        return len(self.occurrences)

    def row(self, item: int) -> tuple[Int32, Float64]:
        span = slice(self.offsets[item], self.offsets[item + 1])
        return self.neighbours[span], self.counts[span]

    def plus(self, other: PairCounts) -> PairCounts:
        """The sum; `other` may know more items."""
        return self._combined(other, 1.0)

    def minus(self, other: PairCounts) -> PairCounts:
        """The difference; pairs that end at 0 are gone. `other` must be part of this one."""
        return self._combined(other, -1.0)

    def _combined(self, other: PairCounts, sign: float) -> PairCounts:
        n = max(self.n_items, other.n_items)
        total = self.matrix(n) + sign * other.matrix(n)
        total.eliminate_zeros()
        total.sort_indices()
        occurrences = np.zeros(n)
        occurrences[: self.n_items] = self.occurrences
        occurrences[: other.n_items] += sign * other.occurrences
        return PairCounts(
            total.indices.astype(np.int32), total.data, total.indptr.astype(np.int64), occurrences
        )

    def matrix(self, n_items: int | None = None) -> csr_matrix:
        """(n_items, n_items) CSR of the counts; `n_items` may ask for more rows and columns than are known."""
        n = n_items or self.n_items
        offsets = np.concatenate([self.offsets, np.full(n - self.n_items, self.offsets[-1])])
        return csr_matrix((self.counts, self.neighbours, offsets), shape=(n, n))

    def arrays(self) -> dict[str, Array]:
        return {
            "neighbours": self.neighbours,
            "counts": self.counts,
            "offsets": self.offsets,
            "occurrences": self.occurrences,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> PairCounts:
        return cls(arrays["neighbours"], arrays["counts"], arrays["offsets"], arrays["occurrences"])


def count_pairs(
    items: Int32, offsets: Int64, n_items: int, *, forward: Float64, backward: Float64
) -> PairCounts:
    """Count, in sequences items[offsets[s]:offsets[s + 1]], pairs of different items that stand g ≤ window apart.

    `forward[g - 1]` is added to (i, j) where j stands g places after i, `backward[g - 1]` where it stands g before.
    """
    forward, backward = _in_units(forward), _in_units(backward)
    items = np.ascontiguousarray(items, np.int32)
    neighbours, counts, row_offsets = _count_pairs(items, offsets, n_items, forward, backward)
    occurrences = np.bincount(items, minlength=n_items).astype(np.float64)
    return PairCounts(neighbours, counts, row_offsets, occurrences)


def _in_units(contribution: Float64) -> Float64:
    return np.round(np.asarray(contribution, np.float64) / UNIT) * UNIT


@numba.njit(nogil=True, cache=True)
def _count_pairs(
    items: Int32, offsets: Int64, n_items: int, forward: Float64, backward: Float64
) -> tuple[Int32, Float64, Int64]:
    rows, row_starts, sequence_of = _rows_by_item(items, offsets, n_items)
    neighbours = np.empty(max(4 * len(items), 16), np.int32)
    counts = np.empty(len(neighbours), np.float64)
    row_offsets = np.zeros(n_items + 1, np.int64)
    sums = np.zeros(n_items, np.float64)
    touched = np.empty(n_items, np.int32)
    filled = 0
    for i in range(n_items):
        n_touched = 0
        for r in rows[row_starts[i] : row_starts[i + 1]]:
            start, end = offsets[sequence_of[r]], offsets[sequence_of[r] + 1]
            for other in range(max(start, r - len(backward)), min(end, r + len(forward) + 1)):
                j = items[other]
                gain = forward[other - r - 1] if other > r else backward[r - other - 1] if other < r else 0.0
                if j == i or gain == 0.0:
                    continue
                if sums[j] == 0.0:
                    touched[n_touched] = j
                    n_touched += 1
                sums[j] += gain
        while filled + n_touched > len(neighbours):
            neighbours = np.concatenate((neighbours, np.empty_like(neighbours)))
            counts = np.concatenate((counts, np.empty_like(counts)))
        for j in np.sort(touched[:n_touched]):
            neighbours[filled], counts[filled] = j, sums[j]
            sums[j] = 0.0
            filled += 1
        row_offsets[i + 1] = filled
    return neighbours[:filled].copy(), counts[:filled].copy(), row_offsets


@numba.njit(nogil=True, cache=True)
def _rows_by_item(items: Int32, offsets: Int64, n_items: int) -> tuple[Int64, Int64, Int32]:
    """Rows sorted by item, where each item's rows start, and the sequence of each row."""
    starts = np.zeros(n_items + 1, np.int64)
    for item in items:
        starts[item + 1] += 1
    for i in range(n_items):
        starts[i + 1] += starts[i]
    rows = np.empty(len(items), np.int64)
    sequence_of = np.empty(len(items), np.int32)
    fill = starts[:-1].copy()
    for s in range(len(offsets) - 1):
        for r in range(offsets[s], offsets[s + 1]):
            rows[fill[items[r]]] = r
            fill[items[r]] += 1
            sequence_of[r] = s
    return rows, starts, sequence_of


@numba.njit(nogil=True, cache=True)
def counts_of(items: Int32, others: Int32, neighbours: Int32, counts: Float64, offsets: Int64) -> Float32:
    """(len(items), len(others)): how much each of `others` occurs with each of the items."""
    found = np.zeros((len(items), len(others)), np.float32)
    for a in range(len(items)):
        end = offsets[items[a] + 1]
        for b in range(len(others)):
            low, high = offsets[items[a]], end
            while low < high:
                middle = (low + high) // 2
                if neighbours[middle] < others[b]:
                    low = middle + 1
                else:
                    high = middle
            if low < end and neighbours[low] == others[b]:
                found[a, b] = counts[low]
    return found
