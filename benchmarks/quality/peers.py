"""Public libraries on the same split: `implicit` (cosine, BM25, ALS, BPR) and LightFM, as they come and tuned.

Each is fed and asked as its own documentation does it. A shopper of the training part is asked by their row of the matrix; for
somebody who is not in it (the next visit of an anonymous session) neighbours take the session as the row, ALS folds it in by
`recalculate_user`, and BPR and LightFM, which cannot, take the mean of the embeddings of the session's items. Tuned
means: `TRIALS` parameter sets, the defaults first, on the validation slice that our own parameters are chosen on.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender
from implicit.utils import ParameterWarning
from lightfm import LightFM
from scipy.sparse import csr_matrix, hstack, identity, vstack
from threadpoolctl import threadpool_limits

from algorithms.evaluation import TestCase
from algorithms.types import JSON, Array, Float32, Int64, Query, Strategy, TrainingData

SHOPPER = "number of the shopper in the training part"
TRIALS = 10
"""As many parameter sets as the most that any strategy of ours is given (`algorithms.variants`)."""


def introduce(cases: Sequence[TestCase]) -> None:
    """Let queries tell the shopper's number, which ours never learn and the peers' matrices have a row for."""
    for case in cases:
        case.query.memo[SHOPPER] = case.user


class Peer(Strategy, ABC):
    """A model of a library behind the interface of a strategy: more is better, every item of a row is scored."""

    needs = ()
    space: ClassVar[Mapping[str, Sequence[Any]]]
    """What tuning may choose from, by parameter."""

    def __init__(self, threads: int = 2, **parameters: JSON) -> None:
        self.threads, self.chosen = threads, parameters

    def fit(self, data: TrainingData, rng: np.random.Generator) -> Self:
        self.matrix_ = _matrix(data)
        with warnings.catch_warnings(), threadpool_limits(limits=1, user_api="blas"):
            # The libraries have threads of their own; `implicit` warns of conversions that it makes itself.
            warnings.simplefilter("ignore", ParameterWarning)
            self._fit(data, int(rng.integers(2**31)))
        return self

    @abstractmethod
    def _fit(self, data: TrainingData, seed: int) -> None: ...

    @abstractmethod
    def _scores(self, users: Int64, rows: csr_matrix) -> Array:
        """(q, n_items). `users` are -1 for who is not in the matrix; `rows` (q, n_items) are what is known of each."""

    @property
    def n_items(self) -> int:
        return int(self.matrix_.shape[1])

    def score(self, query: Query) -> Float32:
        return self.score_many([query])[0]

    def score_many(self, queries: Sequence[Query]) -> Float32:
        users = np.array([query.memo.get(SHOPPER, -1) for query in queries], np.int64)
        rows = vstack(
            [self._row(int(user), query) for user, query in zip(users, queries, strict=True)]
        ).tocsr()
        return _above_zero(np.asarray(self._scores(users, rows), np.float32))

    def _row(self, user: int, query: Query) -> csr_matrix:
        if user >= 0:
            return self.matrix_[user]
        items = np.unique(query.items[query.items < self.n_items])
        return csr_matrix(
            (np.ones(len(items), np.float32), (np.zeros(len(items), np.int32), items)),
            shape=(1, self.n_items),
        )

    def arrays(self) -> dict[str, Array]:
        raise NotImplementedError("peers are measured, never stored")

    def parameters(self) -> dict[str, JSON]:
        return self.chosen

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, JSON]) -> Self:
        raise NotImplementedError("peers are measured, never stored")


def _matrix(data: TrainingData) -> csr_matrix:
    """(n_users, n_items): sums of event weights."""
    matrix = csr_matrix((data.weight, (data.user, data.item)), shape=(data.n_users, data.n_items))
    matrix.sum_duplicates()
    return matrix


def _above_zero(scores: Float32) -> Float32:
    """The same order; 0 would mean "no opinion", which a factor model never has."""
    lowest = scores.min(axis=1, keepdims=True)
    return np.where(lowest < 0.0, scores - lowest + np.float32(1e-6), scores)


def _means(vectors: Float32, rows: csr_matrix) -> Float32:
    """(q, d): the mean vector of each row's items; zeros for an empty row."""
    members = rows.astype(bool).astype(np.float32)
    return np.asarray(members @ vectors) / np.maximum(np.diff(rows.indptr), 1)[:, None]


class _Neighbours(Peer):
    model: ClassVar[Any]

    def _fit(self, data: TrainingData, seed: int) -> None:
        self.model_ = self.model(num_threads=self.threads, **self.chosen)
        self.model_.fit(self.matrix_, show_progress=False)
        self.similarity_ = self.model_.similarity.astype(np.float32)

    def _scores(self, users: Int64, rows: csr_matrix) -> Array:
        return (rows @ self.similarity_).toarray()


class ImplicitCosine(_Neighbours):
    name: ClassVar[str] = "implicit cosine"
    model: ClassVar[Any] = CosineRecommender
    space: ClassVar = {"K": (10, 20, 50, 100, 200, 500)}


class ImplicitBM25(_Neighbours):
    name: ClassVar[str] = "implicit BM25"
    model: ClassVar[Any] = BM25Recommender
    space: ClassVar = {"K": (20, 50, 100, 200), "K1": (0.1, 0.5, 1.2, 3.0), "B": (0.1, 0.4, 0.75, 1.0)}


class ImplicitALS(Peer):
    name: ClassVar[str] = "implicit ALS"
    space: ClassVar = {
        "factors": (64, 128, 192),
        "regularization": (0.01, 0.1, 1.0, 10.0, 30.0),
        "alpha": (1.0, 5.0, 15.0, 40.0),
        "iterations": (10, 15, 20),
    }

    def _fit(self, data: TrainingData, seed: int) -> None:
        self.model_ = AlternatingLeastSquares(num_threads=self.threads, random_state=seed, **self.chosen)
        self.model_.fit(self.matrix_, show_progress=False)

    def _scores(self, users: Int64, rows: csr_matrix) -> Array:
        shoppers = self.model_.user_factors[users]
        unknown = np.flatnonzero(users < 0)
        if len(unknown):
            shoppers[unknown] = self.model_.recalculate_user(unknown, rows[unknown])
        return shoppers @ self.model_.item_factors.T


class ImplicitBPR(Peer):
    name: ClassVar[str] = "implicit BPR"
    space: ClassVar = {
        "factors": (32, 64, 100, 128),
        "learning_rate": (0.005, 0.01, 0.03, 0.1),
        "regularization": (0.001, 0.01, 0.05),
        "iterations": (50, 100, 150),
    }

    def _fit(self, data: TrainingData, seed: int) -> None:
        self.model_ = BayesianPersonalizedRanking(num_threads=self.threads, random_state=seed, **self.chosen)
        self.model_.fit(self.matrix_, show_progress=False)

    def _scores(self, users: Int64, rows: csr_matrix) -> Array:
        factors = self.model_.item_factors
        shoppers = np.where(users[:, None] < 0, _means(factors, rows), self.model_.user_factors[users])
        shoppers[:, -1] = 1.0  # the last factor of an item is its bias
        return shoppers @ factors.T


class PlainLightFM(Peer):
    name: ClassVar[str] = "LightFM"
    space: ClassVar = {
        "no_components": (10, 32, 64),
        "learning_rate": (0.02, 0.05, 0.1),
        "item_alpha": (0.0, 1e-6, 1e-5),
        "epochs": (10, 20),
        "features": (True, False),
    }

    def _fit(self, data: TrainingData, seed: int) -> None:
        chosen = {"loss": "warp", **self.chosen}
        epochs, with_features = chosen.pop("epochs", 10), chosen.pop("features", True)
        own = identity(data.n_items, np.float32, format="csr")
        known = data.item_features if with_features else None
        features = own if known is None else hstack([own, known.astype(np.float32)]).tocsr()
        model = LightFM(random_state=seed, **chosen)
        ones = self.matrix_.tocoo()
        ones.data = np.ones_like(ones.data)
        model.fit(ones, item_features=features, epochs=epochs, num_threads=self.threads)
        self.biases_, self.items_ = model.get_item_representations(features)
        self.users_ = model.user_embeddings

    def _scores(self, users: Int64, rows: csr_matrix) -> Array:
        shoppers = np.where(users[:, None] < 0, _means(self.items_, rows), self.users_[users])
        return shoppers @ self.items_.T + self.biases_


PEERS: Mapping[str, type[Peer]] = {
    peer.name: peer for peer in (ImplicitCosine, ImplicitBM25, ImplicitALS, ImplicitBPR, PlainLightFM)
}


def parameter_sets(peer: type[Peer], seed: int) -> list[dict[str, JSON]]:
    """The defaults, then random draws from the peer's space: `TRIALS` in all, none twice."""
    rng = np.random.default_rng([seed, *peer.name.encode()])
    possible = int(np.prod([len(values) for values in peer.space.values()])) + 1
    sets: list[dict[str, JSON]] = [{}]
    while len(sets) < min(TRIALS, possible):
        drawn = {name: values[int(rng.integers(len(values)))] for name, values in peer.space.items()}
        if drawn not in sets:
            sets.append(drawn)
    return sets
