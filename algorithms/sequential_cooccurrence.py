"""Sequential co-occurrence: which products are looked at next after which ("viewed next").

A gap-decayed, normalised relative of the "sequential rules" and "association rules" baselines of Ludewig and Jannach,
"Evaluation of Session-based Recommendation Algorithms" (2018). With i seen at one place of a session and j at another:

    count(i, j) = Σ 1/g over pairs with j g ≤ window places after i, + Σ back/g with j g places before i
    score(j)    = Σ_a query_decay^a · count(q_a, j) / (n(q_a)^source_power · n(j)^popularity_power)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, Self

import numpy as np

from algorithms.cooccurrence import PairCounts, count_pairs, counts_of
from algorithms.inverted_index import Unit, sequences
from algorithms.needs import Need
from algorithms.scoring import fading, known_items, triggers_of
from algorithms.scratch import zeros
from algorithms.sparse_sums import damped_rows_added
from algorithms.types import (
    JSON,
    Array,
    Bool,
    Float32,
    Int32,
    Opinion,
    Query,
    SparseStrategy,
    TrainingData,
    Trigger,
)


@dataclass(frozen=True)
class SequentialParameters:
    unit: Unit = "session"
    window: int = 5
    back: float = 0.7  # how much "seen before" counts against "seen after"
    source_power: float = 0.5
    popularity_power: float = 0.2
    query_decay: float = 0.65
    query_length: int = 20


class SequentialCooccurrence(SparseStrategy):
    name: ClassVar[str] = "viewed_next"
    needs: ClassVar[tuple[Need, ...]] = (Need("sessions_of_several", 1, 500),)

    counts_: PairCounts

    def __init__(self, **parameters: JSON) -> None:
        self.settings = SequentialParameters(**parameters)

    def fit(self, data: TrainingData, rng: np.random.Generator) -> Self:
        return self._learn(self._count(data))

    def _count(self, data: TrainingData) -> PairCounts:
        decay = 1.0 / np.arange(1, self.settings.window + 1)
        items, _, offsets = sequences(data, self.settings.unit)
        return count_pairs(items, offsets, data.n_items, forward=decay, backward=self.settings.back * decay)

    def _learn(self, counts: PairCounts) -> Self:
        self.counts_ = counts
        occurrences = np.maximum(counts.occurrences, 1.0)
        self._source = (occurrences**-self.settings.source_power).astype(np.float32)
        self._damping = (occurrences**-self.settings.popularity_power).astype(np.float32)
        return self

    @property
    def n_items(self) -> int:
        return self.counts_.n_items

    def opinion(self, query: Query) -> Opinion:
        counts = self.counts_
        return damped_rows_added(
            *self._query_items(query), counts.offsets, counts.neighbours, counts.counts, self._damping, zeros(self.n_items)
        )  # fmt: skip

    def triggers(self, query: Query, items: Int32) -> list[Trigger | None]:
        sources, importance = self._query_items(query)
        counts = self.counts_
        together = counts_of(sources, items, counts.neighbours, counts.counts, counts.offsets)
        return triggers_of(sources, together * importance[:, None], items)

    def _query_items(self, query: Query) -> tuple[Int32, Float32]:
        items = known_items(query, self.n_items, self.settings.query_length)
        return items, fading(self.settings.query_decay, len(items)) * self._source[items]

    @property
    def can_append(self) -> bool:
        return self.settings.unit == "session"

    def append_sessions(self, data: TrainingData) -> Self:
        if not self.can_append:
            return super().append_sessions(data)
        return type(self)(**asdict(self.settings))._learn(self.counts_.plus(self._count(data)))

    def forget_sessions(self, forgotten: Bool, data: TrainingData) -> Self:
        affected = data.select(np.isin(data.user, data.user[forgotten[data.session]]))
        counts = self.counts_.minus(self._count(affected)).plus(
            self._count(affected.without_sessions(forgotten))
        )
        return type(self)(**asdict(self.settings))._learn(counts)

    def arrays(self) -> dict[str, Array]:
        return self.counts_.arrays()

    def parameters(self) -> dict[str, JSON]:
        return asdict(self.settings)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, JSON]) -> Self:
        return cls(**parameters)._learn(PairCounts.from_arrays(arrays))
