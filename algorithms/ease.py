"""EASE: every item predicted from all others by one ridge regression with a closed form.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (WWW 2019). With X the user-item matrix, 1 for an interaction of
today that fades with its age, 0 for none:

    P = (XᵀX + λI)⁻¹,  B_ij = -P_ij / P_jj (i ≠ j), B_ii = 0,  score = max(0, x · B)

x is the shopper's history, weighted by recency. Dense: n_items² numbers, so up to `dense_items` only. Above, each item is
regressed on its nearest neighbours alone, in the manner of SLIM with a fixed support (Ning and Karypis, ICDM 2011).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, Self

import numba
import numpy as np
from scipy.linalg import lapack
from scipy.sparse import csr_matrix, vstack

from algorithms.interactions import history_of, user_histories
from algorithms.local_regression import regress_on_neighbours
from algorithms.needs import Need
from algorithms.neighbour_table import NeighbourTable
from algorithms.scoring import triggers_of
from algorithms.types import (
    JSON,
    Array,
    Bool,
    Float32,
    Int32,
    Int64,
    Opinion,
    Query,
    Strategy,
    TrainingData,
    Trigger,
)

BLOCK = 512


@dataclass(frozen=True)
class EASEParameters:
    regularization: float = 100.0
    half_life_days: float = 120.0  # of an interaction in training
    dense_items: int = 15_000
    local_neighbours: int = 80
    local_regularization: float = 30.0
    query_decay: float = 0.9
    query_length: int = 100
    longest_history: int = 1000  # newest items of a user that count


class EASE(Strategy):
    name: ClassVar[str] = "ease"
    needs: ClassVar[tuple[Need, ...]] = (Need("people_of_several", 2, 300), Need("items_of_several", 2, 50))

    weights_: Float32 | None = None  # (n_items, n_items) B, in the dense form
    diagonal_: Float32  # (n_items,) P_jj: with it P can be had from B, and people taken out of it
    table_: NeighbourTable | None = None  # row i: what i says about other items, in the local form

    def __init__(self, **parameters: JSON) -> None:
        self.settings = EASEParameters(**parameters)

    def fit(self, data: TrainingData, rng: np.random.Generator) -> Self:
        touched = self._touched(data)
        if data.n_items <= self.settings.dense_items:
            self.weights_, self.diagonal_ = self._dense(touched)
        else:
            self.table_ = self._local(touched, np.arange(data.n_items, dtype=np.int32))
        return self

    def _touched(self, data: TrainingData) -> csr_matrix:
        """(n_users, n_items) X."""
        offsets, history = user_histories(data, self.settings.longest_history)
        halved = history.halved(self.settings.half_life_days, data.now)
        table = csr_matrix((halved, history.items, offsets), shape=(data.n_users, data.n_items))
        table.sort_indices()
        return table

    def _dense(self, touched: csr_matrix) -> tuple[Float32, Float32]:
        gram = np.asarray((touched.T @ touched).toarray(order="F"), np.float32)
        gram[np.diag_indices_from(gram)] += np.float32(self.settings.regularization)
        factor, failed = lapack.spotrf(gram, lower=1, overwrite_a=1)
        if failed:
            raise ValueError(
                f"XᵀX + {self.settings.regularization} I cannot be inverted: raise the regularization"
            )
        inverse, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
        _mirror(inverse)
        return _weights_of(inverse)

    def _local(self, touched: csr_matrix, targets: Int32) -> NeighbourTable:
        """Row t: the items that speak for targets[t], and how much."""
        settings = self.settings
        table = regress_on_neighbours(
            touched, targets, settings.local_neighbours, settings.local_regularization
        )
        return table.transposed(touched.shape[1], targets)

    @property
    def n_items(self) -> int:
        return len(self.weights_) if self.weights_ is not None else self._rows.n_items

    @property
    def _rows(self) -> NeighbourTable:
        if self.table_ is None:
            raise ValueError("EASE has learned nothing yet: call fit")
        return self.table_

    def score(self, query: Query) -> Float32:
        found = self.opinion(query)
        if found is not None:
            scores = np.zeros(self.n_items, np.float32)
            scores[found[0]] = found[1]
            return scores
        assert self.weights_ is not None
        history = history_of(query, self.n_items, self.settings.query_length)
        return _weighted_rows(history.items, history.decayed(self.settings.query_decay), self.weights_)

    def opinion(self, query: Query) -> Opinion | None:
        """None in the dense form."""
        if self.weights_ is not None:
            return None
        history = history_of(query, self.n_items, self.settings.query_length)
        return self._rows.opinion(history.items, history.decayed(self.settings.query_decay))

    def triggers(self, query: Query, items: Int32) -> list[Trigger | None]:
        history = history_of(query, self.n_items, self.settings.query_length)
        importance = history.decayed(self.settings.query_decay)
        if self.weights_ is None:
            return self._rows.triggers(history, importance, items)
        credit = self.weights_[history.items[:, None], items] * importance[:, None]
        return triggers_of(history.items, credit, items)

    def forget_sessions(self, forgotten: Bool, data: TrainingData) -> Self:
        """Exact in the dense form (a low-rank update of P); in the local one, items touched are regressed anew."""
        remaining = data.without_sessions(forgotten)
        people = np.unique(data.user[forgotten[data.session]])
        strategy = type(self)(**asdict(self.settings))
        if self.weights_ is None:
            touched = np.unique(data.item[forgotten[data.session]]).astype(np.int32)
            strategy.table_ = self._rows.with_columns(touched, self._local(self._touched(remaining), touched))
        else:
            old, new = self._touched(data)[people], self._touched(remaining)[people]
            strategy.weights_, strategy.diagonal_ = self._exchanged(old, new)
            unknown = np.flatnonzero(np.bincount(remaining.item, minlength=self.n_items) == 0)
            strategy._silence(unknown)
        return strategy

    def _silence(self, items: Int64) -> None:
        """What arithmetic leaves of items that nobody touched: exactly nothing."""
        assert self.weights_ is not None
        self.weights_[items] = 0.0
        self.weights_[:, items] = 0.0
        self.diagonal_[items] = 1.0 / self.settings.regularization

    def _exchanged(self, old: csr_matrix, new: csr_matrix) -> tuple[Float32, Float32]:
        """B and the diagonal of P after the rows `old` of X became `new` (Woodbury identity)."""
        assert self.weights_ is not None
        inverse = -self.weights_ * self.diagonal_
        inverse[np.diag_indices_from(inverse)] = self.diagonal_
        rows = vstack([old, new]).tocsr().astype(np.float64)
        sign = np.concatenate([np.full(old.shape[0], -1.0), np.ones(new.shape[0])])
        reach = np.asarray(rows @ inverse, np.float64)
        core = np.diag(sign) + np.asarray(rows @ reach.T)
        inverse -= (reach.T @ np.linalg.solve(core, reach)).astype(np.float32)
        return _weights_of(inverse)

    def arrays(self) -> dict[str, Array]:
        if self.weights_ is None:
            return self._rows.arrays()
        return {"weights": self.weights_, "diagonal": self.diagonal_}

    def parameters(self) -> dict[str, JSON]:
        return asdict(self.settings)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, JSON]) -> Self:
        strategy = cls(**parameters)
        if "weights" in arrays:
            strategy.weights_, strategy.diagonal_ = arrays["weights"], arrays["diagonal"]
        else:
            strategy.table_ = NeighbourTable.from_arrays(arrays)
        return strategy


@numba.njit(nogil=True, cache=True)
def _weighted_rows(items: Int32, importance: Float32, weights: Float32) -> Float32:
    """max(0, Σ_a importance[a] · weights[items[a]]), without a copy of the rows."""
    scores = np.zeros(weights.shape[1], np.float32)
    for a in range(len(items)):
        row = weights[items[a]]
        for j in range(len(scores)):
            scores[j] += importance[a] * row[j]
    for j in range(len(scores)):
        scores[j] = max(scores[j], np.float32(0.0))
    return scores


def _mirror(matrix: Float32) -> None:
    """Copy the lower triangle over the upper one, in place: another n² numbers would be 0.9 GB at 15,000 items."""
    for start in range(0, len(matrix), BLOCK):
        end = min(start + BLOCK, len(matrix))
        own = matrix[start:end, start:end]
        own[...] = np.tril(own) + np.tril(own, -1).T
        matrix[start:end, end:] = matrix[end:, start:end].T


def _weights_of(inverse: Float32) -> tuple[Float32, Float32]:
    """B, in the memory of the symmetric `inverse`, and the diagonal of P."""
    diagonal = np.diag(inverse).copy()
    weights = inverse.T if inverse.flags.f_contiguous else inverse
    weights /= -diagonal
    weights[np.diag_indices_from(weights)] = 0.0
    return weights, diagonal
