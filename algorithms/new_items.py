"""New items, ranked among themselves: in one ranking with the others they drown, whatever the method.

Nobody has touched them yet, so they speak through the known items that are most like them by content ("attribute-to-feature"
cold start, Gantner et al., "Learning Attribute-to-Feature Mappings for Cold-Start Recommendations", ICDM 2010; here without a
mapping: neighbours by content, as in Sarwar et al. 2001, carry their co-occurrence over). With t(i, j) ∝ cosine(i, j)^sharpness
over the `neighbours` known items nearest to i, summing to 1 (an item that has been touched is its own nearest):

    content(i)  cosine of the shopper's history and i, as `content` has it
    carried(i)  Σ_j t(i, j) · demand(j) / n(j) · Σ_a strength_a · query_decay^age_a · count(q_a, j) / √n(q_a)
    mapped(i)   what the contents of i say of its factors, for the shopper's (`mapped_factors`; off at first, see below)
    demand(i)   Σ_j t(i, j) · demand(j),  demand(j) = interactions with j of late, halved every half_life_days

count(a, j) is how often both stood in one session, 1/√gap apart; n(j) how often j was there at all: what goes along with the
shopper's items, in proportion to how wanted it is now. Each voice is divided by its largest, weighted and added.

`mapped` is the best single voice where attributes decide, and together with `carried` the best pair (docs/algorithms.md). It waits for
a full training as factors do, so that with it finished sessions are not appended in between.

New is what appeared in the last `new_days` where that is known (the newest `most` items), else what was touched fewer than `few` times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

import numba
import numpy as np
from scipy.sparse import csr_matrix

from algorithms.content import ContentTFIDF
from algorithms.cooccurrence import PairCounts, count_pairs
from algorithms.interactions import DAY_SECONDS, History, history_of
from algorithms.likest import Likest, entries_of, strongest_of_each
from algorithms.mapped_factors import MappedFactors
from algorithms.needs import Need
from algorithms.neighbour_table import NeighbourTable, most_similar
from algorithms.popularity import Trending
from algorithms.scoring import strongest
from algorithms.scratch import zeros
from algorithms.sparse_sums import damped_rows_added
from algorithms.taste import liked
from algorithms.types import (
    JSON,
    Array,
    Bool,
    Float32,
    Float64,
    Int32,
    Int64,
    ItemDescriptions,
    Opinion,
    Query,
    SparseStrategy,
    TrainingData,
    Trigger,
)


@dataclass(frozen=True)
class NewItemsParameters:
    content_weight: float = 1.0
    carried_weight: float = 1.0
    demand_weight: float = 0.5
    mapped_weight: float = 0.0
    neighbours: int = 30
    sharpness: float = 3.0
    window: int = 20
    half_life_days: float = 7.0
    query_decay: float = 0.8
    query_length: int = 30
    new_days: float = 45.0
    few: int = 5
    most: int = 5_000


class NewItems(SparseStrategy):
    name: ClassVar[str] = "new_items"
    needs: ClassVar[tuple[Need, ...]] = (Need("items_with_text", 2, 20), Need("new_items", 1, 8))

    content_: ContentTFIDF
    counts_: PairCounts
    demand_: Trending
    created_: Float64  # (n_items,) Unix seconds; empty where nobody knows
    mapped_: MappedFactors | None = None

    def __init__(self, **parameters: JSON) -> None:
        self.settings = NewItemsParameters(**parameters)

    def fit(self, data: TrainingData, rng: np.random.Generator) -> Self:
        content = ContentTFIDF().fit(data, rng)
        demand = Trending(self.settings.half_life_days).fit(data, rng)
        created = np.zeros(0) if data.item_created is None else np.asarray(data.item_created, np.float64)
        learned = self._learn(content, self._count(data), demand, created)
        if self.settings.mapped_weight:
            learned.mapped_ = MappedFactors.learn(data, content.vectors_, rng)
        _ = learned._likest  # the dearest part: once here, rather than in each process that reads the version
        return learned

    def _count(self, data: TrainingData) -> PairCounts:
        apart = 1.0 / np.sqrt(np.arange(1.0, self.settings.window + 1.0))
        items = np.ascontiguousarray(data.item, np.int32)
        return count_pairs(items, data.session_offsets, data.n_items, forward=apart, backward=apart)

    def _learn(
        self,
        content: ContentTFIDF,
        counts: PairCounts,
        demand: Trending,
        created: Float64,
        before: Likest | None = None,
    ) -> Self:
        self.content_, self.counts_, self.demand_, self.created_ = content, counts, demand, created
        self._before = before
        occurrences = np.maximum(counts.occurrences, 1.0)
        self._source = (occurrences**-0.5).astype(np.float32)
        self._pull = (demand.score(_NOBODY) / occurrences).astype(np.float32)
        return self

    # What follows is worked out when it is first asked for: a version that is read takes items and sessions in before it scores.

    @cached_property
    def _new(self) -> Int32:
        """Items that are new, or were when this was trained: `score_new` looks at the clock."""
        if not len(self.created_):
            return np.flatnonzero(self.counts_.occurrences < self.settings.few).astype(np.int32)
        since = self.demand_.reference_time_ - self.settings.new_days * DAY_SECONDS
        newest = np.argsort(-self.created_, kind="stable")[: self.settings.most]
        return np.sort(newest[self.created_[newest] >= since]).astype(np.int32)

    @cached_property
    def _rows(self) -> tuple[Int64, Int32, Float32]:
        """The candidates' vectors: offsets, columns, values."""
        rows = self.content_.vectors_[self._new]
        return rows.indptr.astype(np.int64), rows.indices.astype(np.int32), rows.data

    @cached_property
    def _wanted(self) -> Float32:
        return _carried(self._nearest, self.demand_.score(_NOBODY))

    @cached_property
    def _likest(self) -> Likest:
        """The known items most like each candidate. What was worked out before is kept: only items that have been met since
        are compared with all candidates, and only new candidates, and those that lost a neighbour, with all items."""
        known = self.counts_.occurrences > 0
        if self._before is None:
            return Likest(self._new, known, self._compared(self._new, known))
        before = self._before.of_items(self.n_items)
        came, gone = known & ~before.known, before.known & ~known
        kept = np.intersect1d(self._new, before.without(gone), assume_unique=True)
        fresh = np.setdiff1d(self._new, kept, assume_unique=True)
        found = [before.entries(kept)]
        if len(fresh):
            found.append(entries_of(fresh, self._compared(fresh, known)))
        if came.any() and len(kept):
            found.append(entries_of(kept, self._compared(kept, came)))
        return Likest(self._new, known, strongest_of_each(self._new, found, self.settings.neighbours))

    def _compared(self, items: Int32, known: Bool) -> NeighbourTable:
        """(len(items) rows): the most similar of the known."""
        vectors = self.content_.vectors_
        by_term = _without_rows(vectors, np.flatnonzero(~known)).T.tocsr()
        return NeighbourTable(*most_similar(
            items,
            vectors.indptr.astype(np.int64), vectors.indices, vectors.data,
            by_term.indptr.astype(np.int64), by_term.indices, by_term.data.astype(np.float32),
            self.settings.neighbours, self.content_.settings.minimum_similarity,
        ))  # fmt: skip

    @cached_property
    def _nearest(self) -> NeighbourTable:
        """(c rows): for each candidate the known items most like it, with t(i, j) of the module's formula."""
        likest = self._likest.table
        table = csr_matrix(
            (likest.similarity**self.settings.sharpness, likest.neighbours, likest.offsets),
            shape=(len(self._new), self.n_items),
        )
        own = (self.counts_.occurrences[self._new] > 0).astype(np.float32)
        table += csr_matrix((own, (np.arange(len(self._new)), self._new)), shape=table.shape)
        total = np.maximum(np.asarray(table.sum(axis=1)).ravel(), 1e-12)
        table.data /= np.repeat(total, np.diff(table.indptr))
        return NeighbourTable(
            table.indices.astype(np.int32), table.data.astype(np.float32), table.indptr.astype(np.int64)
        )

    @property
    def n_items(self) -> int:
        return self.content_.n_items

    def opinion(self, query: Query) -> Opinion:
        items, scores = self.score_new(query)
        said = scores > 0.0
        return items[said], scores[said]

    def score_new(self, query: Query) -> tuple[Int32, Float32]:
        """(c,) items that are new now, ascending, and their scores: all that `score` says, without the zeros."""
        settings = self.settings
        history = history_of(query, self.n_items, settings.query_length)
        importance = history.decayed(settings.query_decay)
        is_new = self._is_new(query.now)
        total = np.zeros(int(is_new.sum()), np.float32)
        for weight, voice in (
            (settings.content_weight, self._content(query)),
            (settings.carried_weight, self._carried(history, importance)),
            (settings.mapped_weight, self._mapped(query)),
            (settings.demand_weight, self._wanted),
        ):
            opinion = voice[is_new]
            top = opinion.max(initial=0.0)
            if weight and top > 0.0:
                total += np.float32(weight / top) * opinion
        return self._new[is_new], total

    def _is_new(self, now: float) -> Bool:
        """(c,) of the candidates: what appears later than now is not there yet."""
        if not len(self.created_):
            return np.ones(len(self._new), np.bool_)
        age = now - self.created_[self._new]
        return np.asarray((age >= 0.0) & (age <= self.settings.new_days * DAY_SECONDS))

    def _content(self, query: Query) -> Float32:
        items, importance = liked(query, self.n_items, self.settings.query_length, self.settings.query_decay)
        if not len(items):
            return np.zeros(len(self._new), np.float32)
        content = self.content_
        taste = content.direction(items, importance)
        return _products(*self._rows, *taste, content.settings.minimum_similarity, zeros(content.dimensions))

    def _mapped(self, query: Query) -> Float32:
        if self.mapped_ is None:
            return np.zeros(len(self._new), np.float32)
        return np.maximum(self._factors @ self.mapped_.shopper(query), np.float32(0.0))

    @cached_property
    def _factors(self) -> Float32:
        """(c, factors) of the candidates, by what they are like."""
        mapping = (
            np.zeros((self.content_.vectors_.shape[1], 0)) if self.mapped_ is None else self.mapped_.mapping
        )
        return np.asarray(self.content_.vectors_[self._new] @ mapping, np.float32)

    def _carried(self, history: History, importance: Float32) -> Float32:
        counts, near = self.counts_, self._nearest
        drawn = damped_rows_added(
            history.items, importance * self._source[history.items],
            counts.offsets, counts.neighbours, counts.counts, self._pull, zeros(self.n_items),
        )  # fmt: skip
        return _products(near.offsets, near.neighbours, near.similarity, *drawn, 0.0, zeros(self.n_items))

    def triggers(self, query: Query, items: Int32) -> list[Trigger | None]:
        return [self._trigger(query, item) for item in items.tolist()]

    def _trigger(self, query: Query, item: int) -> Trigger | None:
        """By content and by what goes along, each in proportion to what it gave."""
        at = int(np.searchsorted(self._new, item))
        history = history_of(query, self.n_items, self.settings.query_length)
        if at == len(self._new) or self._new[at] != item or not len(history.items):
            return None
        importance = history.decayed(self.settings.query_decay)
        own = np.array([item], np.int32)
        likeness = self.content_.likeness(history.items, own)[:, 0] * importance
        credit = self.settings.content_weight * _shares(likeness, history.items != item)
        goes_along = np.array([self._carried_from(int(source), at) for source in history.items], np.float32)
        goes_along *= importance * self._source[history.items]
        credit += self.settings.carried_weight * _shares(goes_along, history.items != item)
        return strongest(history.items, credit)

    def _carried_from(self, source: int, at: int) -> float:
        """What candidate `at` inherits of the row of `source`."""
        items, counts = self.counts_.row(source)
        near, share = self._nearest.row(at)
        place = np.minimum(np.searchsorted(items, near), max(len(items) - 1, 0))
        found = items[place] == near if len(items) else np.zeros(len(near), np.bool_)
        return float((share[found] * self._pull[near[found]] * counts[place[found]]).sum())

    @property
    def can_append(self) -> bool:
        return self.mapped_ is None

    def append_sessions(self, data: TrainingData) -> Self:
        """Items of `data` beyond those that are known must have been added before (`with_items`): nothing else tells what they are."""
        within = data.item < self.n_items
        known = replace(data if within.all() else data.select(within), n_items=self.n_items)
        demand = self.demand_.append_sessions(known)
        return self._again(self.content_, self.counts_.plus(self._count(known)), demand, self.created_)

    @property
    def can_add_items(self) -> bool:
        return self.content_.can_add_items and len(self.created_) > 0

    def described(self, items: ItemDescriptions) -> dict[str, Array]:
        return self.content_.described(items) | {"created": items.created}

    def with_items(self, described: Mapping[str, Array]) -> Self:
        content = self.content_.with_items(described)
        created = np.concatenate([self.created_, described["created"]])
        nobody_yet = PairCounts(
            np.zeros(0, np.int32),
            np.zeros(0),
            np.zeros(content.n_items + 1, np.int64),
            np.zeros(content.n_items),
        )
        demand = self.demand_.of_items(content.n_items)
        return self._again(content, self.counts_.plus(nobody_yet), demand, created)

    def forget_sessions(self, forgotten: Bool, data: TrainingData) -> Self:
        theirs = data.select(forgotten[data.session])
        counts = self.counts_.minus(self._count(theirs))
        demand = self.demand_.forget_sessions(forgotten, data)
        renewed = self._again(self.content_, counts, demand, self.created_)
        if self.mapped_ is not None:
            contents = self.content_.vectors_[: data.n_items]
            renewed.mapped_ = self.mapped_.forget_sessions(forgotten, data, contents)
        return renewed

    def _again(self, content: ContentTFIDF, counts: PairCounts, demand: Trending, created: Float64) -> Self:
        before: Likest | None = self.__dict__.get("_likest", self._before)
        again = type(self)(**asdict(self.settings))._learn(content, counts, demand, created, before)
        again.mapped_ = self.mapped_
        return again

    def arrays(self) -> dict[str, Array]:
        mapped = {} if self.mapped_ is None else self.mapped_.arrays()
        return {
            **{f"content_{name}": array for name, array in self.content_.described_arrays().items()},
            **{f"pairs_{name}": array for name, array in self.counts_.arrays().items()},
            **{f"demand_{name}": array for name, array in self.demand_.arrays().items()},
            "created": self.created_,
            **{f"likest_{name}": array for name, array in self._likest.arrays().items()},
            **{f"mapped_{name}": array for name, array in mapped.items()},
        }

    def parameters(self) -> dict[str, JSON]:
        return asdict(self.settings) | {
            "content": self.content_.parameters(),
            "demand": self.demand_.parameters(),
            "mapped": None if self.mapped_ is None else self.mapped_.parameters(),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, JSON]) -> Self:
        constructor = dict(parameters)
        content = ContentTFIDF.from_arrays(_part(arrays, "content_"), constructor.pop("content"))
        demand = Trending.from_arrays(_part(arrays, "demand_"), constructor.pop("demand"))
        counts = PairCounts.from_arrays(_part(arrays, "pairs_"))
        likest = Likest.from_arrays(_part(arrays, "likest_"))
        mapped = constructor.pop("mapped", None)
        strategy = cls(**constructor)._learn(content, counts, demand, np.asarray(arrays["created"]), likest)
        if mapped is not None:
            strategy.mapped_ = MappedFactors.from_arrays(_part(arrays, "mapped_"), mapped)
        return strategy


_NOBODY = Query.empty(0.0)


def _part(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _without_rows(matrix: csr_matrix, rows: Int64) -> csr_matrix:
    """The same shape; these rows are empty. No zero is stored: `most_similar` takes a sum of 0 for an item not met yet."""
    kept = ~np.isin(np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)), rows)
    lengths = np.diff(matrix.indptr).copy()
    lengths[rows] = 0
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return csr_matrix((matrix.data[kept], matrix.indices[kept], offsets), shape=matrix.shape)


def _shares(credit: Float32, counts: Bool) -> Float32:
    """Those that count, divided by their sum."""
    credit = np.where(counts, credit, 0.0).astype(np.float32)
    total = credit.sum()
    return credit / total if total > 0.0 else credit


def _carried(table: NeighbourTable, values: Float32) -> Float32:
    """(rows,): Σ_j table(row, j) · values[j]."""
    return _row_sums(table.offsets, table.neighbours, table.similarity, values, 0.0)


@numba.njit(nogil=True, cache=True)
def _row_sums(
    offsets: Array, columns: Array, data: Array, values: Float32, minimum: float
) -> Float32:  # fmt: skip
    """(rows,): dot products of the rows of a CSR matrix with `values`; those below `minimum` are 0."""
    sums = np.zeros(len(offsets) - 1, np.float32)
    for row in range(len(sums)):
        total = np.float32(0.0)
        for p in range(offsets[row], offsets[row + 1]):
            total += data[p] * values[columns[p]]
        if total >= minimum:
            sums[row] = total
    return sums


@numba.njit(nogil=True, cache=True)
def _products(
    offsets: Array,
    columns: Array,
    data: Array,
    places: Int32,
    values: Float32,
    minimum: float,
    dense: Float32,
) -> Float32:
    """`_row_sums` with a sparse vector; `dense` is scratch."""
    for k in range(len(places)):
        dense[places[k]] = values[k]
    sums = _row_sums(offsets, columns, data, dense, minimum)
    for k in range(len(places)):
        dense[places[k]] = np.float32(0.0)
    return sums
