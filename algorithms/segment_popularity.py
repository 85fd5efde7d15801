"""What is wanted of late by people like the shopper: of the same segments, age band, country and so on.

Popularity within a group ("demographic recommender", Pazzani, "A Framework for Collaborative, Content-Based and Demographic
Filtering", Artificial Intelligence Review 1999): per column g of the people's features

    liking(g, i) = Σ over interactions with i of people of g: weight · 2^(−age / half_life_days), divided by the largest of g

Only of products that at least `least_people` people of the group met: a list of what few of them want would tell of single people. The
shopper's groups are averaged. Who is in no group, or in none that speaks of a product so, gets what everybody wants.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
from scipy.sparse import csr_matrix, vstack

from algorithms.interactions import DAY_SECONDS
from algorithms.needs import Need
from algorithms.small_cells import LEAST_PEOPLE
from algorithms.types import JSON, Array, Bool, Float32, Int32, Query, Strategy, TrainingData


class PopularInSegment(Strategy):
    name: ClassVar[str] = "popular_in_segment"
    needs: ClassVar[tuple[Need, ...]] = (Need("interactions", 1, 100), Need("people_of_groups", 10, 200))

    liking_: csr_matrix  # (1 + G, n_items): everybody, then each group; 0 for products that too few of the group met
    people_: Int32  # (liking_.nnz,) behind how many people each entry of `liking_` stands
    category_: Int32  # (n_items,) -1 = unknown

    def __init__(self, half_life_days: float = 30.0, least_people: int = LEAST_PEOPLE) -> None:
        self.half_life_days, self.least_people = half_life_days, least_people

    def fit(self, data: TrainingData, rng: np.random.Generator) -> Self:
        unknown = np.full(data.n_items, -1, np.int32)
        category = unknown if data.item_category is None else data.item_category
        liking, people = self._liking(data)
        return self._learn(liking, people, category)

    def _learn(self, liking: csr_matrix, people: Int32, category: Int32) -> Self:
        self.liking_, self.people_, self.category_ = liking, people, category
        self._is_spoken_of = np.diff(liking.indptr) > 0
        return self

    def _liking(self, data: TrainingData) -> tuple[csr_matrix, Int32]:
        """`liking_`, and how many people stand behind each of its entries."""
        wanted = self._wanted(data)
        met = wanted.astype(bool).astype(np.float64)
        everybody = csr_matrix(np.ones((1, data.n_users)))
        rows, counts = [everybody @ wanted], [everybody @ met]
        if data.user_features is not None:
            groups = (data.user_features > 0).astype(np.float64).T.tocsr()
            people = (groups @ met).tocsr()
            people.data[people.data < self.least_people] = 0.0
            people.eliminate_zeros()
            rows.append((groups @ wanted).multiply(people > 0).tocsr())
            counts.append(people)
        liking = _scaled(vstack(rows).tocsr())
        return liking, _values_at(vstack(counts).tocsr(), liking).astype(np.int32)

    def _wanted(self, data: TrainingData) -> csr_matrix:
        """(n_users, n_items), older interactions weighing less; nothing that weighs nothing."""
        age = np.maximum(data.now - data.timestamp, 0.0) / DAY_SECONDS
        weight = data.weight * 0.5 ** (age / self.half_life_days)
        wanted = csr_matrix((weight, (data.user, data.item)), shape=(data.n_users, data.n_items))
        wanted.eliminate_zeros()
        return wanted

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
        """Everybody's list is made anew. The log says nothing of groups: a product stays in a group's list where `least_people` people
        of the group met it even if all the forgotten were of it; there they are one among those until the next training."""
        remaining = data.without_sessions(forgotten)
        kept = self._wanted(remaining)
        lost = np.bincount(self._wanted(data).indices, minlength=self.n_items)
        lost = lost - np.bincount(kept.indices, minlength=self.n_items)
        everybody = csr_matrix(np.ones((1, data.n_users))) @ kept
        groups, own = self.liking_[1:].copy(), int(self.liking_.indptr[1])
        left = self.people_[own:] - lost[groups.indices]
        groups.data = np.where((left >= self.least_people) | (lost[groups.indices] == 0), groups.data, 0.0)
        people = csr_matrix((np.maximum(left, 0), groups.indices, groups.indptr), groups.shape)
        groups.eliminate_zeros()
        liking = vstack([_scaled(everybody.tocsr()), groups]).tocsr().astype(np.float32)
        counts = vstack([everybody.astype(bool).astype(np.float64), people]).tocsr()
        fewer = type(self)(self.half_life_days, self.least_people)
        return fewer._learn(liking, _values_at(counts, liking).astype(np.int32), self.category_)

    def arrays(self) -> dict[str, Array]:
        return {
            "liking": self.liking_.data,
            "items": self.liking_.indices.astype(np.int32),
            "offsets": self.liking_.indptr.astype(np.int64),
            "people": self.people_,
            "category": self.category_,
        }

    def parameters(self) -> dict[str, JSON]:
        return {"half_life_days": self.half_life_days, "least_people": self.least_people}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, JSON]) -> Self:
        shape = (len(arrays["offsets"]) - 1, len(arrays["category"]))
        liking = csr_matrix((arrays["liking"], arrays["items"], arrays["offsets"]), shape=shape)
        # A version of an earlier release counted no people: whoever is forgotten may have been one too many.
        unknown = np.ones(len(arrays["liking"]), np.int32)
        return cls(**parameters)._learn(liking, arrays.get("people", unknown), arrays["category"])


def _scaled(rows: csr_matrix) -> csr_matrix:
    """Float32, the largest of each row 1."""
    top = np.maximum(rows.max(axis=1).toarray().ravel(), 1e-300)
    rows.data = rows.data / np.repeat(top, np.diff(rows.indptr))
    rows.eliminate_zeros()
    return rows.astype(np.float32)


def _values_at(values: csr_matrix, like: csr_matrix) -> Array:
    """(like.nnz,) of `values` where `like` stores something, in its order."""
    if not like.nnz:
        return np.empty(0, values.dtype)  # scipy gives a matrix for no places at all
    rows = np.repeat(np.arange(like.shape[0]), np.diff(like.indptr))
    return np.asarray(values[rows, like.indices]).ravel()
