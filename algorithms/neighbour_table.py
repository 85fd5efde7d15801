"""A table of neighbours: for each item those most like it, with their similarity. CSR, neighbours by falling similarity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numba
import numpy as np

from algorithms.interactions import History
from algorithms.ranking import insert
from algorithms.scoring import triggers_of
from algorithms.scratch import zeros
from algorithms.sparse_sums import rows_added
from algorithms.types import Array, Float32, Int32, Int64, Opinion, Trigger


@dataclass(frozen=True)
class NeighbourTable:
    neighbours: Int32
    similarity: Float32
    offsets: Int64  # (n_items + 1,)

    @property
    def n_items(self) -> int:
        return len(self.offsets) - 1

    def row(self, item: int) -> tuple[Int32, Float32]:
        span = slice(self.offsets[item], self.offsets[item + 1])
        return self.neighbours[span], self.similarity[span]

    def opinion(self, items: Int32, importance: Float32) -> Opinion:
        """Σ_a importance[a] · similarity(items[a], ·), where it is above 0."""
        return rows_added(
            items, importance, self.offsets, self.neighbours, self.similarity, zeros(self.n_items)
        )

    def triggers(self, history: History, importance: Float32, targets: Int32) -> list[Trigger | None]:
        """Of each target the item of the history that added most to its score."""
        credit = _credit(history.items, importance, self.neighbours, self.similarity, self.offsets, targets)
        return triggers_of(history.items, credit, targets)

    def similarity_of(self, source: int, item: int) -> float:
        neighbours, similarity = self.row(source)
        at = np.flatnonzero(neighbours == item)
        return float(similarity[at[0]]) if len(at) else 0.0

    def transposed(self, n_items: int, numbers: Int32) -> NeighbourTable:
        """(n_items rows): row i lists the numbers[r] of those rows r in which i is listed, with the same similarity."""
        rows = np.repeat(numbers, np.diff(self.offsets))
        order = np.lexsort((rows, self.neighbours))
        offsets = np.searchsorted(self.neighbours[order], np.arange(n_items + 1)).astype(np.int64)
        return NeighbourTable(rows[order].astype(np.int32), self.similarity[order], offsets)

    def with_rows(self, items: Int32, fresh: NeighbourTable) -> NeighbourTable:
        """This table, but for the rows of `items` (ascending), which are the rows of `fresh` in that order."""
        row_of = np.repeat(np.arange(self.n_items), np.diff(self.offsets))
        kept = ~np.isin(row_of, items)
        rows = np.concatenate([row_of[kept], np.repeat(items, np.diff(fresh.offsets))])
        return _from_rows(
            rows,
            np.concatenate([self.neighbours[kept], fresh.neighbours]),
            np.concatenate([self.similarity[kept], fresh.similarity]),
            self.n_items,
        )

    def with_columns(self, items: Int32, fresh: NeighbourTable) -> NeighbourTable:
        """This table, but for the entries that point to `items`, which are those of `fresh` (of as many rows)."""
        kept = ~np.isin(self.neighbours, items)
        rows = np.repeat(np.arange(self.n_items), np.diff(self.offsets))[kept]
        return _from_rows(
            np.concatenate([rows, np.repeat(np.arange(self.n_items), np.diff(fresh.offsets))]),
            np.concatenate([self.neighbours[kept], fresh.neighbours]),
            np.concatenate([self.similarity[kept], fresh.similarity]),
            self.n_items,
        )

    def arrays(self) -> dict[str, Array]:
        return {"neighbours": self.neighbours, "similarity": self.similarity, "offsets": self.offsets}

    @classmethod
    def joined(cls, parts: Sequence[tuple[Int32, Float32, Int64]]) -> NeighbourTable:
        """One table of consecutive rows, made in parts: neighbours, similarity and offsets of each, from 0."""
        lengths = np.concatenate([np.diff(ends) for _, _, ends in parts])
        return cls(
            np.concatenate([neighbours for neighbours, _, _ in parts]),
            np.concatenate([similarity for _, similarity, _ in parts]),
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> NeighbourTable:
        return cls(arrays["neighbours"], arrays["similarity"], arrays["offsets"])


def _from_rows(rows: Int64, neighbours: Int32, similarity: Float32, n_items: int) -> NeighbourTable:
    order = np.argsort(rows, kind="stable")
    offsets = np.searchsorted(rows[order], np.arange(n_items + 1)).astype(np.int64)
    return NeighbourTable(neighbours[order], similarity[order], offsets)


@numba.njit(nogil=True, cache=True)
def _credit(
    items: Int32, importance: Float32, neighbours: Int32, similarity: Float32, offsets: Int64, targets: Int32
) -> Float32:
    """(len(items), len(targets)): what each item added to the score of each target."""
    credit = np.zeros((len(items), len(targets)), np.float32)
    for a in range(len(items)):
        for p in range(offsets[items[a]], offsets[items[a] + 1]):
            for t in range(len(targets)):
                if neighbours[p] == targets[t]:
                    credit[a, t] = importance[a] * similarity[p]
    return credit


@numba.njit(nogil=True, cache=True)
def most_similar(
    rows: Int32,
    offsets: Int64, columns: Int32, values: Float32,  # (n_items, d) CSR
    column_offsets: Int64, items: Int32, column_values: Float32,  # the same by column
    k: int, threshold: float,
) -> tuple[Int32, Float32, Int64]:  # fmt: skip
    """For each of `rows` the k other rows of the sparse matrix with the largest dot product above `threshold`."""
    neighbours = np.empty(len(rows) * k, np.int32)
    similarity = np.empty(len(rows) * k, np.float32)
    ends = np.zeros(len(rows) + 1, np.int64)
    sums = np.zeros(len(offsets) - 1, np.float32)
    touched = np.empty(len(offsets) - 1, np.int32)
    best, near = np.empty(k, np.float32), np.empty(k, np.int32)
    filled = 0
    for r in range(len(rows)):
        n = 0
        for p in range(offsets[rows[r]], offsets[rows[r] + 1]):
            column = columns[p]
            for q in range(column_offsets[column], column_offsets[column + 1]):
                if sums[items[q]] == 0.0:
                    touched[n] = items[q]
                    n += 1
                sums[items[q]] += values[p] * column_values[q]
        sums[rows[r]] = 0.0
        found = 0
        for t in range(n):
            strength = sums[touched[t]]
            sums[touched[t]] = 0.0
            if strength > 0.0 and strength >= threshold:
                found = insert(best, near, found, strength, touched[t])
        neighbours[filled : filled + found] = near[:found]
        similarity[filled : filled + found] = best[:found]
        filled += found
        ends[r + 1] = filled
    return neighbours[:filled].copy(), similarity[:filled].copy(), ends
