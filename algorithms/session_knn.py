"""Session k-nearest-neighbours: what people did next who had done what this shopper is doing.

The V-SKNN and STAN family: Ludewig and Jannach, "Evaluation of Session-based Recommendation Algorithms" (2018); Garg et
al., "Sequence and Time Aware Neighborhood for Session-based Recommendations" (SIGIR 2019).

With q_0 the shopper's newest distinct item, q_1 the one before and so on:

    similarity(s) = Σ_{a : q_a ∈ s} query_decay^a · idf(q_a)^idf_power / |s|^length_power
    vote(s, i)    = similarity(s) · neighbour_decay^(g-1)              i stands g > 0 places after the newest shared item
                  = similarity(s) · lookback · neighbour_decay^(-g-1)  i stands -g places before it
    score(i)      = Σ_s vote(s, i) / popularity(i)^popularity_power    over the `neighbours` most similar sessions
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar, Self

import numba
import numpy as np

from algorithms.inverted_index import SequenceIndex, Unit
from algorithms.needs import Need
from algorithms.ranking import strongest_places
from algorithms.scoring import known_items
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
class NeighbourhoodParameters:
    """Tuned on browsing logs (see benchmarks/RESULTS.md); a wide optimum: halving or doubling costs about 1 %."""

    unit: Unit = "session"
    neighbours: int = 200
    query_decay: float = 0.55
    neighbour_decay: float = 0.78
    lookback: float = 0.7
    idf_power: float = 2.25
    length_power: float = 0.2
    popularity_power: float = 0.08
    query_length: int = 20
    newest_sequences: int = 5000  # of each item of the query


class SessionKNN(Strategy):
    """Neighbours are sessions. An appended session is known at once, and gives what a full training would give."""

    name: ClassVar[str] = "session_knn"
    needs: ClassVar[tuple[Need, ...]] = (Need("sessions_of_several", 1, 500),)

    index_: SequenceIndex

    def __init__(self, **parameters: JSON) -> None:
        self.settings = NeighbourhoodParameters(**parameters)

    def fit(self, data: TrainingData, rng: np.random.Generator) -> Self:
        return self._learn(SequenceIndex.of(data, self.settings.unit))

    def _learn(self, index: SequenceIndex) -> Self:
        self.index_ = index
        frequency = index.document_frequency()
        n_filled = max(int((np.diff(index.offsets) > 0).sum()), 1)
        self._rarity = (np.log1p(n_filled / np.maximum(frequency, 1)) ** self.settings.idf_power).astype(
            np.float32
        )
        self._damping = (np.maximum(frequency, 1) ** -self.settings.popularity_power).astype(np.float32)
        lengths = np.maximum(np.diff(index.offsets), 1)
        self._shortening = (lengths**-self.settings.length_power).astype(np.float32)
        return self

    @property
    def n_items(self) -> int:
        return self.index_.n_items

    def score(self, query: Query) -> Float32:
        return self.score_many([query])[0]

    def score_many(self, queries: Sequence[Query]) -> Float32:
        scores = np.zeros((len(queries), self.n_items), np.float32)
        for row, query in enumerate(queries):
            items, _, sessions, similarity = self._asked(query)
            self._vote(items, sessions, similarity, scores[row])
        return scores

    def _asked(self, query: Query) -> tuple[Int32, Float32, Int32, Float32]:
        """Query items with their importance, and the neighbours with their similarity."""
        known: tuple[Int32, Float32, Int32, Float32] | None = query.memo.get(self)
        if known is None:
            items, importance = self._query_items(query)
            known = query.memo[self] = (items, importance, *self._neighbours(items, importance))
        return known

    def trigger(self, query: Query, item: int) -> Trigger | None:
        """The query item that carries most of the similarity of those neighbours that voted for `item`."""
        items, importance, sessions, similarity = self._asked(query)
        credit = _credit(
            items, importance, sessions, similarity, self.index_.items, self.index_.offsets, item
        )
        credit[items == item] = 0.0
        if not credit.any():
            return None
        best = int(credit.argmax())
        return Trigger(int(items[best]), float(credit[best] / credit.sum()))

    def _query_items(self, query: Query) -> tuple[Int32, Float32]:
        items = known_items(query, self.n_items, self.settings.query_length)
        importance = self.settings.query_decay ** np.arange(len(items)) * self._rarity[items]
        return items, importance.astype(np.float32)

    def _neighbours(self, items: Int32, importance: Float32) -> tuple[Int32, Float32]:
        index, settings = self.index_, self.settings
        sessions, similarity = _similarities(
            items, importance, self._shortening, index.posting_offsets, index.postings, settings.newest_sequences
        )  # fmt: skip
        nearest = strongest_places(similarity, settings.neighbours)
        return sessions[nearest], similarity[nearest]

    def _vote(self, items: Int32, sessions: Int32, similarity: Float32, scores: Float32) -> None:
        settings = self.settings
        _vote(
            items, sessions, similarity, self.index_.items, self.index_.offsets,
            settings.neighbour_decay, settings.lookback, self._damping, scores,
        )  # fmt: skip

    @property
    def can_append(self) -> bool:
        return self.settings.unit == "session"

    def append_sessions(self, data: TrainingData) -> Self:
        if not self.can_append:
            return super().append_sessions(data)
        return type(self)(**asdict(self.settings))._learn(self.index_.append(SequenceIndex.of(data)))

    def forget_sessions(self, forgotten: Bool, data: TrainingData) -> Self:
        fresh = type(self)(**asdict(self.settings))
        if self.settings.unit == "session":
            return fresh._learn(self.index_.without(forgotten))
        return fresh._learn(SequenceIndex.of(data.without_sessions(forgotten), self.settings.unit))

    def arrays(self) -> dict[str, Array]:
        return self.index_.arrays()

    def parameters(self) -> dict[str, JSON]:
        return asdict(self.settings)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, JSON]) -> Self:
        return cls(**parameters)._learn(SequenceIndex(**arrays))


@numba.njit(nogil=True, cache=True)
def _similarities(
    items: Int32, importance: Float32, shortening: Float32, posting_offsets: Int64, postings: Int32, newest: int
) -> tuple[Int32, Float32]:  # fmt: skip
    """All sequences that share an item with the query, those with newer query items first, then newer sequences."""
    similarity = np.zeros(len(shortening), np.float32)
    room = 0
    for item in items:
        room += min(newest, posting_offsets[item + 1] - posting_offsets[item])
    touched = np.empty(room, np.int32)
    n = 0
    for a in range(len(items)):
        start = posting_offsets[items[a]]
        for p in range(start, min(posting_offsets[items[a] + 1], start + newest)):
            s = postings[p]
            if similarity[s] == 0.0:
                touched[n] = s
                n += 1
            similarity[s] += importance[a]
    strength = np.empty(n, np.float32)
    for t in range(n):
        s = touched[t]
        strength[t] = similarity[s] * shortening[s]
    return touched[:n].copy(), strength


@numba.njit(nogil=True, cache=True)
def _vote(
    query: Int32, sessions: Int32, similarity: Float32, items: Int32, offsets: Int64,
    decay: float, lookback: float, damping: Float32, scores: Float32,
) -> None:  # fmt: skip
    for n in range(len(sessions)):
        start, end = offsets[sessions[n]], offsets[sessions[n] + 1]
        pivot = _newest_shared(query, items, start, end)
        vote = similarity[n]
        for row in range(pivot + 1, end):
            scores[items[row]] += vote * damping[items[row]]
            vote *= decay
        vote = similarity[n] * lookback
        for row in range(pivot - 1, start - 1, -1):
            scores[items[row]] += vote * damping[items[row]]
            vote *= decay


@numba.njit(nogil=True, cache=True)
def _newest_shared(query: Int32, items: Int32, start: int, end: int) -> int:
    """The row of the last occurrence of the newest query item that stands in items[start:end]."""
    for item in query:
        for row in range(end - 1, start - 1, -1):
            if items[row] == item:
                return row
    return start


@numba.njit(nogil=True, cache=True)
def _credit(
    query: Int32, importance: Float32, sessions: Int32, similarity: Float32, items: Int32, offsets: Int64, item: int
) -> Float64:  # fmt: skip
    """(len(query),): the similarity of the sessions with `item`, shared out among the query items that they hold."""
    credit = np.zeros(len(query), np.float64)
    holds = np.zeros(len(query), np.bool_)
    for n in range(len(sessions)):
        start, end = offsets[sessions[n]], offsets[sessions[n] + 1]
        has_item = False
        for row in range(start, end):
            has_item |= items[row] == item
        if not has_item:
            continue
        total = 0.0
        for a in range(len(query)):
            holds[a] = False
            for row in range(start, end):
                if items[row] == query[a]:
                    holds[a] = True
                    total += importance[a]
                    break
        for a in range(len(query)):
            if holds[a]:
                credit[a] += similarity[n] * importance[a] / total
    return credit
