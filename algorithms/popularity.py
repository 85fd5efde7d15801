"""Popular products: of all time, of late, and in the categories that the shopper looks at.

A sum of event weights per item, each weight halved every `half_life_days` before `now` (the exponential decay of, for
example, Hacker News' and Reddit's "hot" lists; none for all-time popularity).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numba
import numpy as np

from algorithms.needs import Need
from algorithms.scoring import fading, known_items
from algorithms.types import (
    JSON,
    Array,
    Bool,
    Float32,
    Float64,
    Int32,
    Int64,
    Opinion,
    Query,
    Strategy,
    TrainingData,
)

DAY_SECONDS = 86_400.0


class Popularity(Strategy):
    """All time. On a category page only that category's items score; elsewhere everyone sees the same."""

    name: ClassVar[str] = "popular"
    needs: ClassVar[tuple[Need, ...]] = (Need("interactions", 1, 100),)

    mass_: Float64  # (n_items,) decayed sum of weights as of reference_time_
    category_: Int32  # (n_items,) -1 = unknown
    reference_time_: float

    def __init__(self, half_life_days: float | None = None) -> None:
        self.half_life_days = half_life_days

    def fit(self, data: TrainingData, rng: np.random.Generator) -> Self:
        unknown = np.full(data.n_items, -1, np.int32)
        category = unknown if data.item_category is None else data.item_category
        return self._learn(self._mass(data, data.now), category, data.now)

    def _learn(self, mass: Float64, category: Int32, reference_time: float) -> Self:
        self.mass_, self.category_, self.reference_time_ = mass, category, reference_time
        top = mass.max(initial=0.0)
        self._scores = (mass / top if top > 0 else mass).astype(np.float32)
        self._scores.setflags(write=False)
        return self

    def _mass(self, data: TrainingData, now: float) -> Float64:
        weight = data.weight.astype(np.float64)
        if self.half_life_days is not None:
            weight *= 0.5 ** (np.maximum(now - data.timestamp, 0.0) / (self.half_life_days * DAY_SECONDS))
        return np.bincount(data.item, weights=weight, minlength=data.n_items).astype(np.float64)

    @property
    def n_items(self) -> int:
        return len(self.mass_)

    def score(self, query: Query) -> Float32:
        if query.category is None:
            return self._scores.copy()
        return np.where(self.category_ == query.category, self._scores, np.float32(0.0))

    def standing(self, query: Query) -> Float32 | None:
        return self._scores if query.category is None else None

    @property
    def can_append(self) -> bool:
        return True

    def append_sessions(self, data: TrainingData) -> Self:
        """Learned mass is aged to `data.now`; without categories in `data`, new items have none."""
        aged = np.zeros(data.n_items)
        aged[: self.n_items] = self.mass_ * self._aging(data.now)
        category = np.full(data.n_items, -1, np.int32)
        category[: self.n_items] = self.category_
        if data.item_category is not None:
            category = data.item_category
        return self._copy()._learn(aged + self._mass(data, data.now), category, data.now)

    def of_items(self, n_items: int) -> Self:
        """With further items that nobody has wanted yet and whose category is unknown."""
        more = n_items - self.n_items
        category = np.concatenate([self.category_, np.full(more, -1, np.int32)])
        return self._copy()._learn(
            np.concatenate([self.mass_, np.zeros(more)]), category, self.reference_time_
        )

    def _aging(self, now: float) -> float:
        if self.half_life_days is None:
            return 1.0
        return float(0.5 ** ((now - self.reference_time_) / (self.half_life_days * DAY_SECONDS)))

    def forget_sessions(self, forgotten: Bool, data: TrainingData) -> Self:
        """An item with no interaction left has no popularity left: rounding leaves no trace of who was there."""
        gone = self._mass(data.without_sessions(~forgotten), self.reference_time_)
        remaining = np.bincount(data.without_sessions(forgotten).item, minlength=self.n_items) > 0
        mass = np.where(remaining, np.maximum(self.mass_ - gone, 0.0), 0.0)
        return self._copy()._learn(mass, self.category_, self.reference_time_)

    def _copy(self) -> Self:
        return type(self)(**self._constructor())

    def _constructor(self) -> dict[str, Any]:
        return {"half_life_days": self.half_life_days}

    def arrays(self) -> dict[str, Array]:
        return {"mass": self.mass_, "category": self.category_}

    def parameters(self) -> dict[str, JSON]:
        return self._constructor() | {"reference_time": self.reference_time_}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, JSON]) -> Self:
        constructor = dict(parameters)
        reference_time = constructor.pop("reference_time")
        return cls(**constructor)._learn(arrays["mass"], arrays["category"], reference_time)


class Trending(Popularity):
    """What is wanted of late."""

    name: ClassVar[str] = "trending"
    needs: ClassVar[tuple[Need, ...]] = (Need("recent_interactions", 1, 100),)

    def __init__(self, half_life_days: float | None = 7.0) -> None:
        super().__init__(half_life_days)


class PopularInCategory(Popularity):
    """What is wanted of late in the categories of the shopper's newest items, in proportion to how new they are.

    Scores nothing for a shopper without history: `popular` and `trending` are for them.
    """

    name: ClassVar[str] = "popular_in_category"
    needs: ClassVar[tuple[Need, ...]] = (Need("interactions", 1, 100), Need("items_with_category", 1, 10))

    def __init__(
        self, half_life_days: float | None = 30.0, query_decay: float = 0.8, query_length: int = 20
    ) -> None:
        super().__init__(half_life_days)
        self.query_decay, self.query_length = query_decay, query_length

    def _learn(self, mass: Float64, category: Int32, reference_time: float) -> Self:
        super()._learn(mass, category, reference_time)
        top = np.zeros(int(category.max(initial=-1)) + 2)
        np.maximum.at(top, category, mass)
        scores = (mass / np.maximum(top[category], 1e-300)).astype(np.float32)
        scores[category < 0] = 0.0
        scores.setflags(write=False)
        self._scores = scores
        self._order, self._category_offsets = _by_category(category, len(top) - 1)
        return self

    def standing(self, query: Query) -> Float32 | None:
        return None

    def score(self, query: Query) -> Float32:
        scores = np.zeros(self.n_items, np.float32)
        items, values = self.opinion(query)
        scores[items] = values
        return scores

    def opinion(self, query: Query) -> Opinion:
        if query.category is None:
            items = known_items(query, self.n_items, self.query_length)
            categories, interest = self.category_[items], fading(self.query_decay, len(items))
        else:
            categories, interest = np.array([query.category], np.int32), fading(self.query_decay, 1)
        return _of_categories(categories, interest, self._category_offsets, self._order, self._scores)

    def _constructor(self) -> dict[str, Any]:
        return super()._constructor() | {"query_decay": self.query_decay, "query_length": self.query_length}


def _by_category(category: Int32, n_categories: int) -> tuple[Int32, Int64]:
    """Items category by category, and where each category's start. Those without one are left out."""
    order = np.argsort(category, kind="stable").astype(np.int32)
    return order, np.searchsorted(category[order], np.arange(n_categories + 1)).astype(np.int64)


@numba.njit(nogil=True, cache=True)
def _of_categories(
    categories: Int32, interest: Float32, offsets: Int64, order: Int32, standing: Float32
) -> tuple[Int32, Float32]:
    """Items of these categories, each of which may be named more than once, and interest · standing."""
    n, room = 0, 0
    distinct, weight = np.empty(len(categories), np.int32), np.zeros(len(categories), np.float32)
    for a in range(len(categories)):
        category = categories[a]
        if category < 0 or category >= len(offsets) - 1:
            continue
        place = 0
        while place < n and distinct[place] != category:
            place += 1
        if place == n:
            distinct[n] = category
            room += offsets[category + 1] - offsets[category]
            n += 1
        weight[place] += interest[a]
    items, scores = np.empty(room, np.int32), np.empty(room, np.float32)
    found = 0
    for place in range(n):
        for p in range(offsets[distinct[place]], offsets[distinct[place] + 1]):
            score = standing[order[p]] * weight[place]
            if score > 0.0:
                items[found], scores[found] = order[p], score
                found += 1
    return items[:found], scores[:found]
