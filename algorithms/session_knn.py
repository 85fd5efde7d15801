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

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, Final, Self

import numba
import numpy as np

from algorithms.inverted_index import SequenceIndex, Unit
from algorithms.needs import Need
from algorithms.ranking import below_kth, strongest_places
from algorithms.scoring import fading, known_items, triggers_of
from algorithms.scratch import zeros
from algorithms.sparse_sums import drained
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
    SparseStrategy,
    TrainingData,
    Trigger,
)

SLACK: Final = 1.0001
"""Bounds are as much looser than they must be: sums of floats are not exact."""


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


class SessionKNN(SparseStrategy):
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
        self._greatest_shortening = self._shortening.max(initial=np.float32(0.0))
        return self

    @property
    def n_items(self) -> int:
        return self.index_.n_items

    def opinion(self, query: Query) -> Opinion:
        items, _, sessions, similarity = self._asked(query)
        settings = self.settings
        return _vote(
            items, sessions, similarity, self.index_.items, self.index_.offsets,
            settings.neighbour_decay, settings.lookback, self._damping, zeros(self.n_items),
        )  # fmt: skip

    def _asked(self, query: Query) -> tuple[Int32, Float32, Int32, Float32]:
        """Query items with their importance, and the neighbours with their similarity."""
        known: tuple[Int32, Float32, Int32, Float32] | None = query.memo.get(self)
        if known is None:
            items, importance = self._query_items(query)
            known = query.memo[self] = (items, importance, *self._neighbours(items, importance))
        return known

    def triggers(self, query: Query, items: Int32) -> list[Trigger | None]:
        """The query items that carry most of the similarity of those neighbours that voted for these."""
        sources, importance, sessions, similarity = self._asked(query)
        credit = _credit(
            sources, importance, sessions, similarity, self.index_.items, self.index_.offsets, items
        )
        return triggers_of(sources, credit, items)

    def _query_items(self, query: Query) -> tuple[Int32, Float32]:
        items = known_items(query, self.n_items, self.settings.query_length)
        return items, fading(self.settings.query_decay, len(items)) * self._rarity[items]

    def _neighbours(self, items: Int32, importance: Float32) -> tuple[Int32, Float32]:
        index, settings = self.index_, self.settings
        sessions, similarity = _similarities(
            items, importance, index.posting_offsets, index.postings, settings.newest_sequences,
            self._shortening, self._greatest_shortening, settings.neighbours,
            index.items, index.offsets, index.ended, zeros(index.n_sequences), zeros(self.n_items, "marks"),
        )  # fmt: skip
        nearest = strongest_places(similarity, settings.neighbours)
        return sessions[nearest], similarity[nearest]

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
    query: Int32, importance: Float32, posting_offsets: Int64, postings: Int32, newest: int,
    shortening: Float32, greatest_shortening: float, wanted: int,
    items: Int32, offsets: Int64, ended: Float64, sums: Float32, marks: Float32,
) -> tuple[Int32, Float32]:  # fmt: skip
    """Sequences that share an item with the query, those with newer query items first, then newer sequences.

    All among which the `wanted` most similar are. Once that many are surely more similar than any that holds none of the query's
    items so far, the rest of the postings is not read (MaxScore: Turtle and Flood, "Query Evaluation: Strategies and Optimizations",
    1995): of the few that can still be among them, what is left is looked up in the sequences themselves.
    """
    left = 0  # postings not read yet
    rest = np.zeros(len(query) + 1, np.float64)  # importance of the items not read yet
    for a in range(len(query) - 1, -1, -1):
        left += min(newest, posting_offsets[query[a] + 1] - posting_offsets[query[a]])
        rest[a] = rest[a + 1] + importance[a]
    touched, strength = np.empty(left, np.int32), np.empty(left, np.float32)
    n, read, bar = 0, len(query), np.float32(0.0)
    for a in range(len(query)):
        if n >= wanted and left > n and rest[a] < rest[0] - rest[a]:
            for t in range(n):
                strength[t] = sums[touched[t]] * shortening[touched[t]]
            bar = below_kth(strength[:n], wanted)
            if rest[a] * greatest_shortening * SLACK < bar:
                read = a
                break
        start = posting_offsets[query[a]]
        end = min(posting_offsets[query[a] + 1], start + newest)
        for p in range(start, end):
            s = postings[p]
            if sums[s] == 0.0:
                touched[n] = s
                n += 1
            sums[s] += importance[a]
        left -= end - start
    for a in range(read, len(query)):
        marks[query[a]] = np.float32(1.0)
    kept = 0
    for t in range(n):
        s = touched[t]
        total = sums[s]
        sums[s] = np.float32(0.0)
        if read < len(query):
            if (total + rest[read]) * shortening[s] * SLACK < bar:
                continue
            for row in range(offsets[s], offsets[s + 1]):
                if marks[items[row]] != 0.0:
                    total = _completed(
                        total,
                        s,
                        read,
                        query,
                        importance,
                        posting_offsets,
                        postings,
                        newest,
                        items,
                        offsets,
                        ended,
                    )
                    break
        touched[kept], strength[kept] = s, total * shortening[s]
        kept += 1
    for a in range(read, len(query)):
        marks[query[a]] = np.float32(0.0)
    return touched[:kept], strength[:kept]


@numba.njit(nogil=True, cache=True)
def _completed(
    total: np.float32, s: int, read: int, query: Int32, importance: Float32, posting_offsets: Int64, postings: Int32,
    newest: int, items: Int32, offsets: Int64, ended: Float64,
) -> np.float32:  # fmt: skip
    """`total` and the importance of those query items from `read` on among whose newest sequences s is."""
    for a in range(read, len(query)):
        start, end = posting_offsets[query[a]], posting_offsets[query[a] + 1]
        if end - start > newest:
            oldest = postings[start + newest - 1]
            if ended[s] < ended[oldest] or (ended[s] == ended[oldest] and s > oldest):
                continue
        for row in range(offsets[s], offsets[s + 1]):
            if items[row] == query[a]:
                total += importance[a]
                break
    return total


@numba.njit(nogil=True, cache=True)
def _vote(
    query: Int32, sessions: Int32, similarity: Float32, items: Int32, offsets: Int64,
    decay: float, lookback: float, damping: Float32, sums: Float32,
) -> tuple[Int32, Float32]:  # fmt: skip
    room = 0
    for s in sessions:
        room += offsets[s + 1] - offsets[s]
    touched = np.empty(room, np.int32)
    t = 0
    for n in range(len(sessions)):
        start, end = offsets[sessions[n]], offsets[sessions[n] + 1]
        pivot = _newest_shared(query, items, start, end)
        vote = similarity[n]
        for row in range(pivot + 1, end):
            if sums[items[row]] == 0.0:
                touched[t] = items[row]
                t += 1
            sums[items[row]] += vote * damping[items[row]]
            vote *= decay
        vote = similarity[n] * lookback
        for row in range(pivot - 1, start - 1, -1):
            if sums[items[row]] == 0.0:
                touched[t] = items[row]
                t += 1
            sums[items[row]] += vote * damping[items[row]]
            vote *= decay
    return drained(touched, t, sums)


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
    query: Int32, importance: Float32, sessions: Int32, similarity: Float32, items: Int32, offsets: Int64, targets: Int32
) -> Float32:  # fmt: skip
    """(len(query), len(targets)): the similarity of the sessions with a target, shared out among the query items that they hold."""
    credit = np.zeros((len(query), len(targets)), np.float32)
    holds = np.zeros(len(query), np.bool_)
    has = np.zeros(len(targets), np.bool_)
    for n in range(len(sessions)):
        start, end = offsets[sessions[n]], offsets[sessions[n] + 1]
        has_any = False
        for t in range(len(targets)):
            has[t] = False
            for row in range(start, end):
                if items[row] == targets[t]:
                    has[t] = has_any = True
                    break
        if not has_any:
            continue
        total = np.float32(0.0)
        for a in range(len(query)):
            holds[a] = False
            for row in range(start, end):
                if items[row] == query[a]:
                    holds[a] = True
                    total += importance[a]
                    break
        for a in range(len(query)):
            if holds[a]:
                for t in range(len(targets)):
                    if has[t]:
                        credit[a, t] += similarity[n] * importance[a] / total
    return credit
