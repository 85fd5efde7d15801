"""Item-item neighbours: products that the same people chose.

Sarwar et al., "Item-based Collaborative Filtering" (WWW 2001); Deshpande and Karypis, "Item-based Top-N Recommendation
Algorithms" (TOIS 2004). Similarity is the cosine of two items' columns of the user-item matrix, its values weighted first:

    cosine  strength
    tfidf   √strength · (1 + log(N / n_u)),  n_u = how many items user u touched, N = number of items
    bm25    strength · (k1 + 1) / (k1 · (1 - b + b · |i| / mean|i|) + strength) · log(N / n_u)   (Robertson and Walker 1994)

Neighbours below `threshold` (0..1) are cut: with a higher one, lists are shorter and surer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, Literal, Self

import numpy as np
from scipy.sparse import csr_matrix

from algorithms.interactions import history_of, recency_weighted
from algorithms.needs import Need
from algorithms.neighbour_table import NeighbourTable, most_similar
from algorithms.threads import by_parts
from algorithms.types import (
    JSON,
    Array,
    Bool,
    Int32,
    Opinion,
    Query,
    SparseStrategy,
    TrainingData,
    Trigger,
)


@dataclass(frozen=True)
class ItemKNNParameters:
    weighting: Literal["cosine", "tfidf", "bm25"] = "bm25"
    neighbours: int = 100
    threshold: float = 0.0
    k1: float = 1.2
    b: float = 0.5
    query_decay: float = 0.7
    query_length: int = 30
    longest_history: int = 1000  # newest items of a user that count: nobody's robot decides what is similar

    def __post_init__(self) -> None:
        if self.weighting not in ("cosine", "tfidf", "bm25"):
            raise ValueError(f"unknown weighting {self.weighting!r}: choose cosine, tfidf or bm25")


class ItemKNN(SparseStrategy):
    name: ClassVar[str] = "item_knn"
    needs: ClassVar[tuple[Need, ...]] = (Need("people_of_several", 1, 200),)

    table_: NeighbourTable

    def __init__(self, **parameters: JSON) -> None:
        self.settings = ItemKNNParameters(**parameters)

    def fit(self, data: TrainingData, rng: np.random.Generator) -> Self:
        self.table_ = self._table(data, np.arange(data.n_items, dtype=np.int32))
        return self

    def _table(self, data: TrainingData, rows: Int32) -> NeighbourTable:
        by_item = self._weighted(data)
        by_user = by_item.T.tocsr()
        by_rows = by_item.indptr.astype(np.int64), by_item.indices, by_item.data
        by_columns = by_user.indptr.astype(np.int64), by_user.indices, by_user.data
        settings = self.settings
        return NeighbourTable.joined(
            by_parts(
                lambda part: most_similar(
                    part, *by_rows, *by_columns, settings.neighbours, settings.threshold
                ),
                rows,
            )
        )

    def _weighted(self, data: TrainingData) -> csr_matrix:
        """(n_items, n_users) CSR, rows of length 1."""
        settings = self.settings
        table = recency_weighted(data, 1.0, settings.longest_history).T.tocsr()
        touched = np.maximum(np.bincount(table.indices, minlength=table.shape[1]), 1)
        rarity = np.log(max(table.shape[0], 1) / touched)[table.indices]
        strength = table.data.astype(np.float64)
        if settings.weighting == "tfidf":
            strength = np.sqrt(strength) * (1.0 + rarity)
        elif settings.weighting == "bm25":
            size = np.asarray(table.sum(axis=1)).ravel()
            length = 1.0 - settings.b + settings.b * size / max(size.mean(), 1e-12)
            at = np.repeat(length, np.diff(table.indptr))
            strength = (
                strength * (settings.k1 + 1.0) / (settings.k1 * at + strength) * np.maximum(rarity, 1e-3)
            )
        norms = np.sqrt(
            np.bincount(np.repeat(np.arange(table.shape[0]), np.diff(table.indptr)), weights=strength**2)
        )
        table.data = (strength / np.repeat(norms, np.diff(table.indptr)[: len(norms)])).astype(np.float32)
        return table

    @property
    def n_items(self) -> int:
        return self.table_.n_items

    def opinion(self, query: Query) -> Opinion:
        history = history_of(query, self.n_items, self.settings.query_length)
        return self.table_.opinion(history.items, history.decayed(self.settings.query_decay))

    def triggers(self, query: Query, items: Int32) -> list[Trigger | None]:
        history = history_of(query, self.n_items, self.settings.query_length)
        return self.table_.triggers(history, history.decayed(self.settings.query_decay), items)

    def forget_sessions(self, forgotten: Bool, data: TrainingData) -> Self:
        """Rows of the items in forgotten sessions are computed anew: only there can a pair have come from them."""
        touched = np.unique(data.item[forgotten[data.session]]).astype(np.int32)
        remaining = data.without_sessions(forgotten)
        strategy = type(self)(**asdict(self.settings))
        strategy.table_ = self.table_.with_rows(touched, self._table(remaining, touched))
        return strategy

    def arrays(self) -> dict[str, Array]:
        return self.table_.arrays()

    def parameters(self) -> dict[str, JSON]:
        return asdict(self.settings)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, JSON]) -> Self:
        strategy = cls(**parameters)
        strategy.table_ = NeighbourTable.from_arrays(arrays)
        return strategy
