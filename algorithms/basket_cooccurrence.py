"""Basket co-occurrence: what is bought together with what ("bought together").

Association rules of two products, Agrawal, Imielinski and Swami, "Mining Association Rules between Sets of Items" (1993).
With n(i) baskets that hold i, n(i, j) that hold both, N baskets:

    lift(i, j) = n(i, j) · N / (n(i) · n(j))
    score(j)   = Σ_{i in the cart or on the page} confidence(i, j) · (1 - 1 / lift(i, j)),  confidence = n(i, j) / (n(i) + shrinkage)

over pairs of lift above 1 in at least `minimum_baskets` baskets: j's share among baskets with i, less the part that chance
would give. It ranks by how much more often than chance a product goes along; lift alone would put the rarest first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, Self

import numba
import numpy as np

from algorithms.cooccurrence import PairCounts, count_pairs, counts_of
from algorithms.needs import Need
from algorithms.scoring import triggers_of
from algorithms.scratch import zeros
from algorithms.sparse_sums import drained
from algorithms.types import (
    JSON,
    NO_OPINION,
    Array,
    Bool,
    Float32,
    Float64,
    Int32,
    Int64,
    Opinion,
    Query,
    SparseStrategy,
    TrainingData,
    Trigger,
)


@dataclass(frozen=True)
class BasketParameters:
    minimum_baskets: int = 2
    shrinkage: float = 5.0
    largest_basket: int = 200  # distinct products; a wholesaler's order of everything says nothing
    query_length: int = 30


class BasketCooccurrence(SparseStrategy):
    name: ClassVar[str] = "bought_together"
    needs: ClassVar[tuple[Need, ...]] = (Need("baskets_of_several", 1, 200),)

    counts_: PairCounts
    n_baskets_: int

    def __init__(self, **parameters: JSON) -> None:
        self.settings = BasketParameters(**parameters)

    def fit(self, data: TrainingData, rng: np.random.Generator) -> Self:
        return self._learn(*self._count(data))

    def _count(self, data: TrainingData) -> tuple[PairCounts, int]:
        items, offsets = self._baskets(data)
        once = np.ones(self.settings.largest_basket)
        return count_pairs(items, offsets, data.n_items, forward=once, backward=once), len(offsets) - 1

    def _baskets(self, data: TrainingData) -> tuple[Int32, Int64]:
        """Distinct items of each basket that is not too large, basket by basket."""
        bought = data.basket >= 0
        pairs = np.unique(np.stack([data.basket[bought], data.item[bought]], axis=1), axis=0)
        _, basket, size = np.unique(pairs[:, 0], return_inverse=True, return_counts=True)
        fits = size[basket] <= self.settings.largest_basket
        sizes = size[size <= self.settings.largest_basket]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return np.ascontiguousarray(pairs[fits, 1], np.int32), offsets

    def _learn(self, counts: PairCounts, n_baskets: int) -> Self:
        self.counts_, self.n_baskets_ = counts, n_baskets
        return self

    @property
    def n_items(self) -> int:
        return self.counts_.n_items

    def lift(self, item: int, other: int) -> float:
        """How many times more often than by chance both are in one basket; 0 if never, or in too few baskets."""
        neighbours, counts = self.counts_.row(item)
        at = int(np.searchsorted(neighbours, other))
        if at == len(neighbours) or neighbours[at] != other or counts[at] < self.settings.minimum_baskets:
            return 0.0
        occurrences = self.counts_.occurrences
        return float(counts[at] * self.n_baskets_ / (occurrences[item] * occurrences[other]))

    def opinion(self, query: Query) -> Opinion:
        sources = self._sources(query)
        if not len(sources):
            return NO_OPINION
        counts, settings = self.counts_, self.settings
        return _confidence_added(
            sources, counts.offsets, counts.neighbours, counts.counts, counts.occurrences, float(self.n_baskets_),
            float(settings.minimum_baskets), settings.shrinkage, zeros(self.n_items),
        )  # fmt: skip

    def _sources(self, query: Query) -> Int32:
        """The page's product and the cart; where there is neither, what was bought last."""
        items = set(query.cart.tolist())
        if query.context_item is not None:
            items.add(query.context_item)
        if not items and query.purchased.any():
            newest = query.timestamps[query.purchased].max()
            items = set(query.items[query.purchased & (query.timestamps == newest)].tolist())
        known = sorted(item for item in items if 0 <= item < self.n_items)
        return np.array(known[: self.settings.query_length], np.int32)

    def triggers(self, query: Query, items: Int32) -> list[Trigger | None]:
        sources, counts, settings = self._sources(query), self.counts_, self.settings
        together = counts_of(sources, items, counts.neighbours, counts.counts, counts.offsets)
        credit = _confidence(
            together, counts.occurrences[sources], counts.occurrences[items], float(self.n_baskets_),
            float(settings.minimum_baskets), settings.shrinkage,
        )  # fmt: skip
        return triggers_of(sources, credit, items)

    @property
    def can_append(self) -> bool:
        return True

    def append_sessions(self, data: TrainingData) -> Self:
        """Baskets in `data` must be whole and new."""
        counts, n_baskets = self._count(data)
        return type(self)(**asdict(self.settings))._learn(
            self.counts_.plus(counts), self.n_baskets_ + n_baskets
        )

    def forget_sessions(self, forgotten: Bool, data: TrainingData) -> Self:
        """Baskets with a line in a forgotten session are taken out, and what is left of them is put back."""
        touched = np.unique(data.basket[forgotten[data.session] & (data.basket >= 0)])
        affected = data.select(np.isin(data.basket, touched))
        old, n_old = self._count(affected)
        new, n_new = self._count(affected.without_sessions(forgotten))
        counts = self.counts_.minus(old).plus(new)
        return type(self)(**asdict(self.settings))._learn(counts, self.n_baskets_ - n_old + n_new)

    def arrays(self) -> dict[str, Array]:
        return self.counts_.arrays()

    def parameters(self) -> dict[str, JSON]:
        return asdict(self.settings) | {"n_baskets": self.n_baskets_}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, JSON]) -> Self:
        constructor = dict(parameters)
        n_baskets = constructor.pop("n_baskets")
        return cls(**constructor)._learn(PairCounts.from_arrays(arrays), n_baskets)


@numba.njit(nogil=True, cache=True)
def _gain(
    together: float, own: float, other: float, n_baskets: float, minimum: float, shrinkage: float
) -> float:
    """confidence · (1 - 1 / lift), 0 for a lift of 1 or less or in too few baskets."""
    if together < minimum or together * n_baskets <= own * other:
        return 0.0
    return together / (own + shrinkage) * (1.0 - own * other / (together * n_baskets))


@numba.njit(nogil=True, cache=True)
def _confidence_added(
    sources: Int32, offsets: Int64, neighbours: Int32, counts: Float64, occurrences: Float64, n_baskets: float,
    minimum: float, shrinkage: float, sums: Float32,
) -> tuple[Int32, Float32]:  # fmt: skip
    room = 0
    for item in sources:
        room += offsets[item + 1] - offsets[item]
    touched = np.empty(room, np.int32)
    n = 0
    for item in sources:
        for p in range(offsets[item], offsets[item + 1]):
            other = neighbours[p]
            gain = _gain(counts[p], occurrences[item], occurrences[other], n_baskets, minimum, shrinkage)
            if gain > 0.0:
                if sums[other] == 0.0:
                    touched[n] = other
                    n += 1
                sums[other] += gain
    return drained(touched, n, sums)


@numba.njit(nogil=True, cache=True)
def _confidence(
    together: Float32, own: Float64, others: Float64, n_baskets: float, minimum: float, shrinkage: float
) -> Float32:
    credit = np.zeros(together.shape, np.float32)
    for a in range(len(own)):
        for b in range(len(others)):
            if together[a, b] > 0.0:
                credit[a, b] = _gain(
                    np.float64(together[a, b]), own[a], others[b], n_baskets, minimum, shrinkage
                )
    return credit
