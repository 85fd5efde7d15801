"""Item vectors for sessions: a truncated SVD of the positive pointwise mutual information of items seen together.

Levy and Goldberg, "Neural Word Embedding as Implicit Matrix Factorization" (NIPS 2014): what item2vec approximates,
without its random walk. With n(i, j) the gap-decayed co-occurrence of i and j, n(i) its row sums:

    PPMI(i, j) = max(0, log( n(i, j) · Σ n^smoothing / (n(i) · n(j)^smoothing) ) - log(shift))
    PPMI ≈ U S Uᵀ, vector(i) = U_i S^spectrum, of length 1
    score(j) = max(0, vector(j) · Σ_a query_decay^a vector(q_a)), the sum of length 1
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
from scipy.sparse import csr_matrix

from algorithms.cooccurrence import count_pairs
from algorithms.inverted_index import Unit, sequences
from algorithms.nearest_lists import NearestLists, by_products
from algorithms.needs import Need
from algorithms.scoring import (
    fading,
    known_items,
    opinions,
    opinions_of,
    triggers_of,
    unit_rows,
)
from algorithms.truncated_svd import left_singular_vectors
from algorithms.types import JSON, Array, Bool, Float32, Int32, Int64, Query, Strategy, TrainingData, Trigger


@dataclass(frozen=True)
class VectorParameters:
    unit: Unit = "session"
    factors: int = 256
    window: int = 5
    smoothing: float = 0.75
    shift: float = 1.0
    spectrum: float = 0.5
    iterations: int = 3  # power iterations of the randomised SVD (Halko, Martinsson and Tropp 2011)
    query_decay: float = 0.6
    query_length: int = 20


class ItemVectors(Strategy):
    name: ClassVar[str] = "item_vectors"
    needs: ClassVar[tuple[Need, ...]] = (Need("sessions_of_several", 1, 500), Need("items_of_several", 1, 20))

    vectors_: Float32  # (n_items, d), length 1 or, for an item never seen beside another, 0

    def __init__(self, **parameters: JSON) -> None:
        self.settings = VectorParameters(**parameters)

    def fit(self, data: TrainingData, rng: np.random.Generator) -> Self:
        settings = self.settings
        table = self._ppmi(data)
        factors = min(settings.factors, max(data.n_items - 1, 1))
        left, spectrum = left_singular_vectors(table, factors, settings.iterations, rng)
        self.vectors_ = unit_rows(left * spectrum**settings.spectrum)
        return self

    def _ppmi(self, data: TrainingData) -> csr_matrix:
        settings = self.settings
        decay = 1.0 / np.arange(1, settings.window + 1)
        items, _, offsets = sequences(data, settings.unit)
        counts = count_pairs(items, offsets, data.n_items, forward=decay, backward=decay).matrix()
        mass = np.asarray(counts.sum(axis=1)).ravel()
        context = mass**settings.smoothing
        rows = np.repeat(np.arange(data.n_items), np.diff(counts.indptr))
        association = np.log(counts.data * context.sum() / (mass[rows] * context[counts.indices]))
        kept = np.maximum(association - np.log(settings.shift), 0.0).astype(np.float32)
        return csr_matrix((kept, counts.indices, counts.indptr), shape=counts.shape)

    @property
    def n_items(self) -> int:
        return len(self.vectors_)

    def score(self, query: Query) -> Float32:
        return self.score_many([query])[0]

    def score_many(self, queries: Sequence[Query]) -> Float32:
        shoppers = np.zeros((len(queries), self.vectors_.shape[1]), np.float32)
        for row, query in enumerate(queries):
            shoppers[row] = self._taste(self._known(query))
        return opinions(unit_rows(shoppers), self.vectors_)

    def likely_items(self, query: Query) -> Int32:
        return self._nearest.joined(self._known(query))

    def score_items(self, query: Query, items: Int32) -> Float32:
        taste = unit_rows(self._taste(self._known(query))[None, :])[0]
        return opinions_of(taste, self.vectors_, items)

    def _known(self, query: Query) -> Int32:
        return known_items(query, self.n_items, self.settings.query_length)

    def _taste(self, items: Int32) -> Float32:
        return np.asarray(self._decay(len(items)) @ self.vectors_[items], np.float32)

    @cached_property
    def _nearest(self) -> NearestLists:
        return NearestLists(self._nearest_to(np.arange(self.n_items)))

    def _nearest_to(self, items: Int64) -> Int32:
        return by_products(self.vectors_, items)

    def _decay(self, length: int) -> Float32:
        return fading(self.settings.query_decay, length)

    def triggers(self, query: Query, items: Int32) -> list[Trigger | None]:
        known = self._known(query)
        credit = (self.vectors_[known] @ self.vectors_[items].T) * self._decay(len(known))[:, None]
        return triggers_of(known, credit, items)

    def forget_sessions(self, forgotten: Bool, data: TrainingData) -> Self:
        """Items of forgotten sessions are placed anew, among the vectors of the items still seen beside them.

        Others keep their vectors: of an item untouched by the forgotten sessions, no input has changed. An item that
        nobody else saw beside another loses its vector.
        """
        touched = np.unique(data.item[forgotten[data.session]])
        if not len(touched):
            return self
        kept = self._ppmi(data.without_sessions(forgotten))[touched]
        vectors = np.array(self.vectors_)
        vectors[touched] = unit_rows(np.asarray(kept @ self.vectors_, np.float32))
        fresh = type(self).from_arrays({"vectors": vectors}, self.parameters())
        if "_nearest" in self.__dict__:
            places = touched.astype(np.int64)
            fresh.__dict__["_nearest"] = self._nearest.renewed(places, fresh._nearest_to(places))
        return fresh

    def arrays(self) -> dict[str, Array]:
        return {"vectors": self.vectors_, **self._nearest.arrays()}

    def parameters(self) -> dict[str, JSON]:
        return asdict(self.settings)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, JSON]) -> Self:
        strategy = cls(**parameters)
        strategy.vectors_ = np.asarray(arrays["vectors"])
        if (lists := NearestLists.from_arrays(arrays)) is not None:
            strategy.__dict__["_nearest"] = lists
        return strategy
