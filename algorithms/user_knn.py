"""User k-nearest-neighbours with recency: what people of the same taste choose these days.

Herlocker et al., "An Algorithmic Framework for Performing Collaborative Filtering" (SIGIR 1999), with the time decay of
Ding and Li, "Time Weight Collaborative Filtering" (CIKM 2005). With h the shopper's history and v a neighbour's:

    h_i = strength · decay^age · idf(i)^idf_power, age in occasions; v_i likewise, v of length 1
    similarity(v) = Σ_i h_i · v_i
    score(i) = Σ_v similarity(v) · 0.5^(days since v chose i / half_life_days)    over the `neighbours` most similar

Neighbours are histories without a name, the newest first; where somebody is their own neighbour it does no harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, Self

import numba
import numpy as np
from scipy.sparse import csr_matrix

from algorithms.interactions import history_of, user_histories
from algorithms.needs import Need
from algorithms.ranking import strongest_places
from algorithms.scoring import triggers_of
from algorithms.scratch import zeros
from algorithms.sparse_sums import drained, rows_added
from algorithms.types import (
    JSON,
    Array,
    Bool,
    Float32,
    Int32,
    Int64,
    Opinion,
    Query,
    SparseStrategy,
    TrainingData,
    Trigger,
)


@dataclass(frozen=True)
class UserKNNParameters:
    neighbours: int = 300
    decay: float = 0.7
    half_life_days: float = 14.0
    idf_power: float = 0.5
    longest_history: int = 200  # newest distinct items of a person that count
    newest_people: int = 5000  # of those who touched an item of the query


class UserKNN(SparseStrategy):
    name: ClassVar[str] = "user_knn"
    needs: ClassVar[tuple[Need, ...]] = (Need("people_of_several", 2, 200), Need("items_of_several", 1, 20))

    offsets_: Int64  # (n + 1,) neighbour v chose items_[offsets_[v]:offsets_[v + 1]]
    items_: Int32
    votes_: Float32  # 0.5^(days / half_life_days) of each of these choices
    item_offsets_: Int64  # (n_items + 1,) item i was chosen by people_[item_offsets_[i]:item_offsets_[i + 1]], newest first
    people_: Int32
    closeness_: Float32  # v_i of each of these
    rarity_: Float32  # (n_items,) idf(i)^idf_power

    def __init__(self, **parameters: JSON) -> None:
        self.settings = UserKNNParameters(**parameters)

    def fit(self, data: TrainingData, rng: np.random.Generator) -> Self:
        settings = self.settings
        offsets, history = user_histories(data, settings.longest_history)
        votes = csr_matrix(
            (history.halved(settings.half_life_days, data.now), history.items, offsets),
            shape=(data.n_users, data.n_items),
        )
        frequency = np.bincount(history.items, minlength=data.n_items)
        people = np.diff(offsets) > 0
        rarity = np.log1p(people.sum() / np.maximum(frequency, 1)) ** settings.idf_power
        strength = history.decayed(settings.decay) * rarity[history.items]
        closeness = csr_matrix((strength, history.items, offsets), shape=votes.shape)
        newest = np.flatnonzero(people)
        newest = newest[np.argsort(-history.moments[offsets[newest]], kind="stable")]
        self._learn(votes[newest], _unit(closeness[newest]), rarity.astype(np.float32))
        return self

    def _learn(self, votes: csr_matrix, closeness: csr_matrix, rarity: Float32) -> None:
        by_item = closeness.T.tocsr()
        by_item.sort_indices()
        self.offsets_, self.items_ = votes.indptr.astype(np.int64), votes.indices.astype(np.int32)
        self.votes_ = votes.data.astype(np.float32)
        self.item_offsets_, self.people_ = by_item.indptr.astype(np.int64), by_item.indices.astype(np.int32)
        self.closeness_ = by_item.data.astype(np.float32)
        self.rarity_ = rarity

    @property
    def n_items(self) -> int:
        return len(self.rarity_)

    def opinion(self, query: Query) -> Opinion:
        _, _, people, similarity = self._asked(query)
        return rows_added(people, similarity, self.offsets_, self.items_, self.votes_, zeros(self.n_items))

    def _asked(self, query: Query) -> tuple[Int32, Float32, Int32, Float32]:
        """Query items with their importance, and the neighbours with their similarity."""
        known: tuple[Int32, Float32, Int32, Float32] | None = query.memo.get(self)
        if known is None:
            items, importance = self._query_items(query)
            known = query.memo[self] = (items, importance, *self._neighbours(items, importance))
        return known

    def _query_items(self, query: Query) -> tuple[Int32, Float32]:
        history = history_of(query, self.n_items, self.settings.longest_history)
        return history.items, history.decayed(self.settings.decay) * self.rarity_[history.items]

    def _neighbours(self, items: Int32, importance: Float32) -> tuple[Int32, Float32]:
        people, similarity = _similarities(
            items,
            importance,
            self.item_offsets_,
            self.people_,
            self.closeness_,
            self.settings.newest_people,
            zeros(len(self.offsets_) - 1),
        )
        nearest = strongest_places(similarity, self.settings.neighbours)
        return people[nearest], similarity[nearest]

    def triggers(self, query: Query, items: Int32) -> list[Trigger | None]:
        """The query items that carry most of the similarity of those neighbours that chose these."""
        sources, importance, people, _ = self._asked(query)
        credit = _credit(
            sources, importance, people, self.offsets_, self.items_, self.item_offsets_, self.people_,
            self.closeness_, self.settings.newest_people, items,
        )  # fmt: skip
        return triggers_of(sources, credit, items)

    def forget_sessions(self, forgotten: Bool, data: TrainingData) -> Self:
        fresh = type(self)(**asdict(self.settings))
        return fresh.fit(data.without_sessions(forgotten), np.random.default_rng(0))

    def arrays(self) -> dict[str, Array]:
        return {
            "offsets": self.offsets_,
            "items": self.items_,
            "votes": self.votes_,
            "item_offsets": self.item_offsets_,
            "people": self.people_,
            "closeness": self.closeness_,
            "rarity": self.rarity_,
        }

    def parameters(self) -> dict[str, JSON]:
        return asdict(self.settings)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, JSON]) -> Self:
        strategy = cls(**parameters)
        for name, array in arrays.items():
            setattr(strategy, f"{name}_", np.asarray(array))
        return strategy


def _unit(matrix: csr_matrix) -> csr_matrix:
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    unit = matrix.copy()
    unit.data /= np.repeat(np.maximum(lengths, 1e-12), np.diff(matrix.indptr))
    return unit


@numba.njit(nogil=True, cache=True)
def _similarities(
    items: Int32, importance: Float32, item_offsets: Int64, people: Int32, closeness: Float32,
    newest: int, sums: Float32,
) -> tuple[Int32, Float32]:  # fmt: skip
    room = 0
    for item in items:
        room += min(newest, item_offsets[item + 1] - item_offsets[item])
    touched = np.empty(room, np.int32)
    n = 0
    for a in range(len(items)):
        start = item_offsets[items[a]]
        for p in range(start, min(item_offsets[items[a] + 1], start + newest)):
            if sums[people[p]] == 0.0:
                touched[n] = people[p]
                n += 1
            sums[people[p]] += importance[a] * closeness[p]
    return drained(touched, n, sums)


@numba.njit(nogil=True, cache=True)
def _credit(
    query: Int32, importance: Float32, near: Int32, offsets: Int64, items: Int32,
    item_offsets: Int64, people: Int32, closeness: Float32, newest: int, targets: Int32,
) -> Float32:  # fmt: skip
    """(len(query), len(targets)): what each query item adds to the similarity of those neighbours that chose a target."""
    credit = np.zeros((len(query), len(targets)), np.float32)
    chose = np.zeros(len(targets), np.bool_)
    for person in near:
        chose_any = False
        for t in range(len(targets)):
            chose[t] = False
            for row in range(offsets[person], offsets[person + 1]):
                if items[row] == targets[t]:
                    chose[t] = chose_any = True
                    break
        if not chose_any:
            continue
        for a in range(len(query)):
            start = item_offsets[query[a]]
            end = min(item_offsets[query[a] + 1], start + newest)
            low, high = start, end
            while low < high:  # people of an item stand in ascending order
                middle = (low + high) // 2
                if people[middle] < person:
                    low = middle + 1
                else:
                    high = middle
            if low == end or people[low] != person:
                continue
            for t in range(len(targets)):
                if chose[t]:
                    credit[a, t] += importance[a] * closeness[low]
    return credit
