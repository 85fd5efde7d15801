"""Of each item those nearest to it by a strategy's own measure: where to look for what a shopper likes best, in a large catalogue.

A shopper's opinion of an item is a sum over what they touched, so that whatever they like best is near to something there. The lists
are made once, when a version is saved, kept with it and memory-mapped; scores of what they name are worked out exactly by whoever
asks. An item that comes later brings its own list, and joins the lists of those that it names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

import numba
import numpy as np
from threadpoolctl import threadpool_limits

from algorithms.ranking import insert
from algorithms.scoring import unit_rows
from algorithms.threads import by_parts, thread_count
from algorithms.types import Array, Float32, Int32, Int64

LENGTH: Final = 48
"""Of each item of a query so many nearest items are looked at."""
FROM: Final = 8
"""So many of the newest items of a query: older ones weigh little."""
LATER: Final = 16
"""An item's list takes in so many that came later, each of which asks for a place with the first so many of its own list."""
BLOCK_NUMBERS: Final = 8_000_000
"""Scores that are worked out at once in each thread: 32 MB."""
ALL_BELOW: Final = 8_000
CELLS_READ: Final = 16
LONGEST_READ: Final = 1_000
SAMPLE_OF_CELL: Final = 30
ROUNDS: Final = 4
ROWS: Final = 4096
LONGER: Final = 4
"""Of sparse vectors so many times the length of a list are compared exactly."""
NOBODY: Final = -1


@dataclass(frozen=True)
class NearestLists:
    """Rows name items, the nearest first, and are filled up with `NOBODY`; an item may name itself."""

    trained: Int32  # (n_items, LENGTH)
    later: Int32 | None = None  # (n_items, LATER)

    def joined(self, items: Int32) -> Int32:
        """The lists of the first `FROM` of these items, and all the items themselves; some may stand there twice."""
        return _joined(items, self.trained, _NONE if self.later is None else self.later)

    def with_items(self, fresh: Int32) -> NearestLists:
        """With the lists of further items: `fresh` (m, LENGTH), numbered from the number of rows."""
        n = len(self.trained)
        trained = np.concatenate([self.trained, fresh])
        later = np.full((len(trained), LATER), NOBODY, np.int32)
        if self.later is not None:
            later[:n] = self.later
        _join(later, trained, np.arange(n, len(trained), dtype=np.int32))
        return NearestLists(trained, later)

    def arrays(self) -> dict[str, Array]:
        later = {} if self.later is None else {"nearest_later": self.later}
        return {"nearest": self.trained, **later}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> NearestLists | None:
        """None for a version that an earlier release saved: lists are made again where they are asked for."""
        return cls(arrays["nearest"], arrays.get("nearest_later")) if "nearest" in arrays else None

    def renewed(self, items: Int64, fresh: Int32) -> NearestLists:
        """With the lists `fresh` (len(items), LENGTH) of items that are not what they were; lists of others name them only if these do."""
        is_gone = np.zeros(len(self.trained), np.bool_)
        is_gone[items] = True
        later = np.full((len(self.trained), LATER), NOBODY, np.int32)
        if self.later is not None:
            later = np.where(is_gone[self.later] & (self.later >= 0), NOBODY, self.later)
        trained = np.where(is_gone[self.trained] & (self.trained >= 0), NOBODY, self.trained)
        trained[items] = fresh
        _join(later, trained, items.astype(np.int32))
        return replace(self, trained=trained, later=later)


_NONE = np.empty((0, LATER), np.int32)


def by_products(vectors: Float32, items: Array) -> Int32:
    """(len(items), LENGTH): for each of `items` those of `vectors` (n_items, d) with the largest product above 0.

    All are compared up to `ALL_BELOW`. Above, those of the cells that lie nearest (`_Cells`), and the longest vectors, which have large
    products with many. Blocks have the same size whatever the number of threads, so that sums of floats come out the same.
    """
    known = np.flatnonzero(vectors.any(axis=1)).astype(np.int32)  # others have no product with anything
    lists = np.full((len(items), LENGTH), NOBODY, np.int32)
    if not len(known):
        return lists
    columns = np.ascontiguousarray(vectors if len(known) == len(vectors) else vectors[known])
    with threadpool_limits(limits=1, user_api="blas"):  # threads are shared out by blocks
        if len(known) <= ALL_BELOW:
            _compare_all(vectors, columns, known, items, lists)
        else:
            _compare_cells(vectors, columns, known, items, lists)
    return lists


def _compare_all(vectors: Float32, columns: Float32, known: Int32, items: Array, lists: Int32) -> None:
    size = max(16, BLOCK_NUMBERS // len(known))

    def fill(start: int) -> None:
        rows = np.ascontiguousarray(vectors[items[start : start + size]])
        _largest(rows @ columns.T, known, lists, np.arange(start, min(start + size, len(items))))

    _in_threads(fill, range(0, len(items), size))


def _compare_cells(vectors: Float32, columns: Float32, known: Int32, items: Array, lists: Int32) -> None:
    cells = _Cells.of(columns)
    arranged, numbers = columns[cells.order], known[cells.order]
    is_long = np.zeros(len(arranged), np.bool_)
    is_long[np.argsort(-np.linalg.norm(arranged, axis=1), kind="stable")[:LONGEST_READ]] = True
    long = np.flatnonzero(is_long)
    middles = np.add.reduceat(arranged, cells.offsets[:-1]) / np.diff(cells.offsets)[:, None]
    cell_of = np.full(int(max(known.max(), items.max(initial=0))) + 1, NOBODY, np.int32)
    cell_of[known] = cells.cell

    def fill(cell: int) -> None:
        places = np.flatnonzero(cell_of[items] == cell)
        if not len(places):
            return
        rows = np.ascontiguousarray(vectors[items[places]])
        near = np.argsort(-(middles @ rows.mean(axis=0)), kind="stable")[:CELLS_READ]
        read = np.concatenate([np.arange(cells.offsets[c], cells.offsets[c + 1]) for c in near])
        read = np.concatenate([read[~is_long[read]], long])
        _largest(rows @ arranged[read].T, numbers[read], lists, places)

    _in_threads(fill, range(len(middles)))


@dataclass(frozen=True)
class _Cells:
    """Vectors parted by direction: spherical k-means (Dhillon and Modha 2001), a few rounds on a sample. No cell is empty."""

    cell: Int32  # (n,)
    order: Int64  # (n,) vectors cell by cell
    offsets: Int64  # (cells + 1,)

    @classmethod
    def of(cls, vectors: Float32) -> _Cells:
        units = unit_rows(vectors)
        count = int(2 * np.sqrt(len(units)))
        rng = np.random.default_rng(0)
        sample = units[rng.choice(len(units), min(len(units), SAMPLE_OF_CELL * count), replace=False)]
        middles = sample[:count].copy()
        for _ in range(ROUNDS):
            cell = _nearest_middle(sample, middles)
            order = np.argsort(cell, kind="stable")
            filled, starts = np.unique(cell[order], return_index=True)
            middles[filled] = unit_rows(np.add.reduceat(sample[order], starts))
        _, cell = np.unique(_nearest_middle(units, middles), return_inverse=True)
        order = np.argsort(cell, kind="stable")
        offsets = np.searchsorted(cell[order], np.arange(int(cell.max()) + 2))
        return cls(cell.astype(np.int32), order, offsets)


def _nearest_middle(units: Float32, middles: Float32) -> Int64:
    nearest = np.empty(len(units), np.int64)

    def fill(start: int) -> None:
        nearest[start : start + ROWS] = (units[start : start + ROWS] @ middles.T).argmax(axis=1)

    _in_threads(fill, range(0, len(units), ROWS))
    return nearest


def _in_threads(work: Callable[[int], None], parts: Iterable[int]) -> None:
    with ThreadPoolExecutor(thread_count(), thread_name_prefix="nearest") as pool:
        list(pool.map(work, parts))


def by_terms(
    items: Int32, by_item: tuple[Array, Int32, Float32], by_term: tuple[Array, Int32, Float32], minimum: float, budget: int
) -> Int32:  # fmt: skip
    """(len(items), LENGTH): for each of `items` those with the largest product of sparse vectors, `minimum` at least.

    `by_item` and `by_term` are offsets, indices and data of the matrix by row and by column. Items are compared that share one of
    its rarest terms: terms are read, rare ones first, until `budget` places where they stand have been met.
    """
    parts = by_parts(lambda part: _by_terms(part, *by_item, *by_term, minimum, budget), items)
    return np.concatenate(parts) if parts else np.empty((0, LENGTH), np.int32)


@numba.njit(nogil=True, cache=True)
def _joined(items: Int32, trained: Int32, later: Int32) -> Int32:
    first = min(FROM, len(items))
    found = np.empty(len(items) + first * (trained.shape[1] + later.shape[1]), np.int32)
    n = 0
    for item in items:
        found[n] = item
        n += 1
    for a in range(first):
        for near in trained[items[a]]:
            if near >= 0:
                found[n] = near
                n += 1
        if len(later):
            for near in later[items[a]]:
                if near >= 0:
                    found[n] = near
                    n += 1
    return found[:n]


@numba.njit(nogil=True, cache=True)
def _join(later: Int32, trained: Int32, items: Int32) -> None:
    for item in items:
        for host in trained[item, :LATER]:
            if host < 0 or host == item:
                continue
            for place in range(later.shape[1]):
                if later[host, place] == item:
                    break
                if later[host, place] < 0:
                    later[host, place] = item
                    break


@numba.njit(nogil=True, cache=True)
def _largest(scores: Float32, numbers: Int32, lists: Int32, places: Int64) -> None:
    """Into row places[r] of `lists`: the numbers of the columns with the largest scores above 0 of row r."""
    best, near = np.empty(lists.shape[1], np.float32), np.empty(lists.shape[1], np.int32)
    for row in range(len(scores)):
        n, bar = 0, np.float32(0.0)
        for column in range(scores.shape[1]):
            if scores[row, column] > bar:
                n = insert(best, near, n, scores[row, column], numbers[column])
                if n == len(best):
                    bar = best[n - 1]
        lists[places[row], :n] = near[:n]


@numba.njit(nogil=True, cache=True)
def _by_terms(
    items: Int32,
    offsets: Array, terms: Int32, values: Float32,
    term_offsets: Array, holders: Int32, holder_values: Float32,
    minimum: float, budget: int,
) -> Int32:  # fmt: skip
    lists = np.full((len(items), LENGTH), NOBODY, np.int32)
    sums = np.zeros(len(offsets) - 1, np.float32)
    dense = np.zeros(len(term_offsets) - 1, np.float32)
    touched = np.empty(len(offsets) - 1, np.int32)
    likely, guess = np.empty(LENGTH * LONGER, np.int32), np.empty(LENGTH * LONGER, np.float32)
    near, best = np.empty(LENGTH, np.int32), np.empty(LENGTH, np.float32)
    for row in range(len(items)):
        start, end = offsets[items[row]], offsets[items[row] + 1]
        order = np.empty(end - start, np.int64)
        for p in range(start, end):  # the rarest first
            dense[terms[p]] = values[p]
            place = p - start
            while place > 0 and _holders(term_offsets, terms[order[place - 1]]) > _holders(
                term_offsets, terms[p]
            ):
                order[place] = order[place - 1]
                place -= 1
            order[place] = p
        n, met = 0, 0
        for p in order:
            length = _holders(term_offsets, terms[p])
            if met > 0 and n > LENGTH and met + length > budget:
                break
            first = term_offsets[terms[p]]
            for q in range(first, first + length):
                if sums[holders[q]] == 0.0:
                    touched[n] = holders[q]
                    n += 1
                sums[holders[q]] += values[p] * holder_values[q]
            met += length
        found = 0
        for t in range(n):
            found = insert(guess, likely, found, sums[touched[t]], touched[t])
            sums[touched[t]] = np.float32(0.0)
        listed = 0
        for place in range(found):
            total = np.float32(0.0)
            for p in range(offsets[likely[place]], offsets[likely[place] + 1]):
                total += dense[terms[p]] * values[p]
            if total >= minimum:
                listed = insert(best, near, listed, total, likely[place])
        lists[row, :listed] = near[:listed]
        for p in range(start, end):
            dense[terms[p]] = np.float32(0.0)
    return lists


@numba.njit(nogil=True, cache=True)
def _holders(term_offsets: Array, term: int) -> int:
    return int(term_offsets[term + 1] - term_offsets[term])
