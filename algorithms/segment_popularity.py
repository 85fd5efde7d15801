"""What is wanted of late by people like the shopper: of the same segments, age band, country and so on.

Popularity within a group ("demographic recommender", Pazzani, "A Framework for Collaborative, Content-Based and Demographic
Filtering", Artificial Intelligence Review 1999): per column g of the people's features

    liking(g, i) = Σ over interactions with i of people of g: weight · 2^(−age / half_life_days), divided by the largest of g

The shopper's groups are averaged. Who is in no group, or in none of at least `least_people` active people, gets what everybody wants:
smaller groups would tell of single people.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
from scipy.sparse import csr_matrix, vstack

from algorithms.interactions import DAY_SECONDS
from algorithms.needs import Need
from algorithms.types import JSON, Array, Bool, Float32, Int32, Query, Strategy, TrainingData


class PopularInSegment(Strategy):
    name: ClassVar[str] = "popular_in_segment"
    needs: ClassVar[tuple[Need, ...]] = (Need("interactions", 1, 100), Need("people_of_groups", 10, 200))

    liking_: csr_matrix  # (1 + G, n_items): everybody, then each group; rows of groups that are too small are empty
    category_: Int32  # (n_items,) -1 = unknown

    def __init__(self, half_life_days: float = 30.0, least_people: int = 10) -> None:
        self.half_life_days, self.least_people = half_life_days, least_people

    def fit(self, data: TrainingData, rng: np.random.Generator) -> Self:
        unknown = np.full(data.n_items, -1, np.int32)
        category = unknown if data.item_category is None else data.item_category
        return self._learn(self._liking(data), category)

    def _learn(self, liking: csr_matrix, category: Int32) -> Self:
        self.liking_, self.category_ = liking, category
        self._is_spoken_of = np.diff(liking.indptr) > 0
        return self

    def _liking(self, data: TrainingData) -> csr_matrix:
        age = np.maximum(data.now - data.timestamp, 0.0) / DAY_SECONDS
        weight = data.weight * 0.5 ** (age / self.half_life_days)
        wanted = csr_matrix((weight, (data.user, data.item)), shape=(data.n_users, data.n_items))
        rows = [csr_matrix(np.ones((1, data.n_users))) @ wanted]
        if data.user_features is not None:
            groups = (data.user_features > 0).astype(np.float64).T.tocsr()
            people = groups @ (np.diff(wanted.indptr) > 0).astype(np.float64)
            rows.append(groups.multiply((people >= self.least_people)[:, None]).tocsr() @ wanted)
        together = vstack(rows).tocsr()
        top = np.maximum(together.max(axis=1).toarray().ravel(), 1e-300)
        together.data /= np.repeat(top, np.diff(together.indptr))
        together.eliminate_zeros()
        return together.astype(np.float32)

    @property
    def n_items(self) -> int:
        return int(self.liking_.shape[1])

    def score(self, query: Query) -> Float32:
        rows = self._groups_of(query)
        scores = np.asarray(self.liking_[rows].mean(axis=0), np.float32).ravel()
        if query.category is not None:
            scores[self.category_ != query.category] = 0.0
        return scores

    def _groups_of(self, query: Query) -> Int32:
        """Rows of `liking_` that speak for the shopper: never none."""
        if query.user_features is None:
            return np.zeros(1, np.int32)
        rows = 1 + query.user_features.indices[query.user_features.data > 0]
        spoken = rows[rows < len(self._is_spoken_of)]
        spoken = spoken[self._is_spoken_of[spoken]]
        return spoken.astype(np.int32) if len(spoken) else np.zeros(1, np.int32)

    def forget_sessions(self, forgotten: Bool, data: TrainingData) -> Self:
        """The log says nothing of groups: items that nobody else touched are wanted by nobody any more, in others the
        forgotten are one of at least `least_people` until the next training."""
        remaining = np.bincount(data.without_sessions(forgotten).item, minlength=self.n_items) > 0
        kept = self.liking_.copy()
        kept.data = np.where(remaining[kept.indices], kept.data, np.float32(0.0))
        kept.eliminate_zeros()
        return type(self)(self.half_life_days, self.least_people)._learn(kept, self.category_)

    def arrays(self) -> dict[str, Array]:
        return {
            "liking": self.liking_.data,
            "items": self.liking_.indices.astype(np.int32),
            "offsets": self.liking_.indptr.astype(np.int64),
            "category": self.category_,
        }

    def parameters(self) -> dict[str, JSON]:
        return {"half_life_days": self.half_life_days, "least_people": self.least_people}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, JSON]) -> Self:
        shape = (len(arrays["offsets"]) - 1, len(arrays["category"]))
        liking = csr_matrix((arrays["liking"], arrays["items"], arrays["offsets"]), shape=shape)
        return cls(**parameters)._learn(liking, arrays["category"])
