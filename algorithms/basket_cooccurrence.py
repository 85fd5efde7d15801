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

from algorithms.cooccurrence import PairCounts, count_pairs
from algorithms.needs import Need
from algorithms.scoring import strongest
from algorithms.types import (
    JSON,
    Array,
    Bool,
    Float32,
    Float64,
    Int32,
    Int64,
    Query,
    Strategy,
    TrainingData,
    Trigger,
)


@dataclass(frozen=True)
class BasketParameters:
    minimum_baskets: int = 2
    shrinkage: float = 5.0
    largest_basket: int = 200  # distinct products; a wholesaler's order of everything says nothing
    query_length: int = 30


class BasketCooccurrence(Strategy):
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

    def score(self, query: Query) -> Float32:
        scores = np.zeros(self.n_items, np.float32)
        for item in self._sources(query):
            self._add(int(item), scores)
        return scores

    def _add(self, item: int, scores: Float32) -> None:
        neighbours, counts = self.counts_.row(item)
        settings = self.settings
        _add_confidence(
            neighbours, counts, self.counts_.occurrences, self.counts_.occurrences[item], float(self.n_baskets_),
            float(settings.minimum_baskets), settings.shrinkage, scores,
        )  # fmt: skip

    def _sources(self, query: Query) -> Int32:
        """The page's product and the cart; where there is neither, what was bought last."""
        page = [] if query.context_item is None else [query.context_item]
        items = np.concatenate([np.array(page, np.int32), query.cart])
        if not len(items) and query.purchased.any():
            newest = query.timestamps[query.purchased].max()
            items = query.items[query.purchased & (query.timestamps == newest)]
        items = np.unique(items[(items >= 0) & (items < self.n_items)])
        return np.asarray(items[: self.settings.query_length], np.int32)

    def trigger(self, query: Query, item: int) -> Trigger | None:
        known: tuple[Int32, Float32] | None = query.memo.get(self)
        if known is None:
            sources = self._sources(query)
            rows = np.zeros((len(sources), self.n_items), np.float32)
            for row, source in zip(rows, sources.tolist(), strict=True):
                self._add(source, row)
            known = query.memo[self] = sources, rows
        sources, rows = known
        return strongest(sources, rows[:, item])

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
def _add_confidence(
    neighbours: Int32, counts: Float64, occurrences: Float64, own: float, n_baskets: float,
    minimum: float, shrinkage: float, scores: Float32,
) -> None:  # fmt: skip
    for p in range(len(neighbours)):
        lift = counts[p] * n_baskets / (own * occurrences[neighbours[p]])
        if counts[p] >= minimum and lift > 1.0:
            scores[neighbours[p]] += counts[p] / (own + shrinkage) * (1.0 - 1.0 / lift)
