"""Which known items are most like each of some candidates, kept so that a change of who is known costs only what it changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from algorithms.neighbour_table import NeighbourTable
from algorithms.types import Array, Bool, Float32, Int32

# Rows, columns and values of a sparse table, in any order.
Entries = tuple[Int32, Int32, Float32]


@dataclass(frozen=True)
class Likest:
    """(c,) candidates, ascending, and for each the items of the (n_items,) known most like it by content."""

    candidates: Int32
    known: Bool
    table: NeighbourTable

    def of_items(self, n_items: int) -> Likest:
        """The same where items have been added, whom nobody knows."""
        return replace(self, known=np.pad(self.known, (0, n_items - len(self.known))))

    def without(self, gone: Bool) -> Int32:
        """Candidates of whose neighbours none is gone: those of the others would have to move up."""
        rows = np.repeat(np.arange(len(self.candidates)), np.diff(self.table.offsets))
        return np.delete(self.candidates, np.unique(rows[gone[self.table.neighbours]]))

    def entries(self, candidates: Int32) -> Entries:
        """Those of some candidates."""
        of, neighbours, similarity = entries_of(self.candidates, self.table)
        chosen = np.isin(of, candidates)
        return of[chosen], neighbours[chosen], similarity[chosen]

    def arrays(self) -> dict[str, Array]:
        return {"candidates": self.candidates, "known": self.known, **self.table.arrays()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Likest | None:
        """None for a version of before these were kept."""
        if "candidates" not in arrays:
            return None
        return cls(
            np.asarray(arrays["candidates"]), np.asarray(arrays["known"]), NeighbourTable.from_arrays(arrays)
        )


def entries_of(candidates: Int32, table: NeighbourTable) -> Entries:
    return np.repeat(candidates, np.diff(table.offsets)), table.neighbours, table.similarity


def strongest_of_each(candidates: Int32, found: Sequence[Entries], k: int) -> NeighbourTable:
    """(len(candidates) rows): the k most similar of all that was found."""
    of, neighbours, similarity = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((-similarity, of))
    of, neighbours, similarity = of[order], neighbours[order], similarity[order]
    starts = np.searchsorted(of, candidates)
    rank = np.arange(len(of)) - starts[np.searchsorted(candidates, of)]
    best = rank < k
    ends = np.searchsorted(of[best], candidates, side="right")
    offsets = np.concatenate([[0], ends]).astype(np.int64)
    return NeighbourTable(neighbours[best], similarity[best], offsets)
