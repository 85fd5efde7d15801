"""A hybrid of interactions and attributes, by the LightFM library with the WARP loss.

Kula, "Metadata Embeddings for User and Item Cold-start Recommendations" (CBRecSys 2015); Weston, Bengio and Usunier,
"WSABIE" (IJCAI 2011) for WARP. A product is the sum of the embeddings of its attributes and of its own; a shopper is the
sum of the embeddings of what they touched lately (as in FISM, Kabbur et al., KDD 2013, so that nothing is kept of a person and
everybody can be folded in), of their own attributes where they consented, and of a constant:

    score(i) = shopper · item(i) + bias(i), less its mean over items, cut at 0

Training rows are moments: the history before an interaction predicts the interaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar, Final, Self

import numba
import numpy as np
from lightfm import LightFM, _lightfm_fast
from scipy.sparse import coo_matrix, csr_matrix, hstack, identity

from algorithms.interactions import history_of
from algorithms.needs import Need
from algorithms.scoring import triggers_of
from algorithms.threads import thread_count
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

HAS_OPENMP: Final = _lightfm_fast.fit_warp.__module__.endswith("_openmp") and not (
    _lightfm_fast.fit_warp.__module__.endswith("no_openmp")
)
"""Whether the library was compiled so that several threads can train; the compiler decides when it is installed."""


@dataclass(frozen=True)
class LightFMParameters:
    factors: int = 64
    epochs: int = 10
    learning_rate: float = 0.05
    item_alpha: float = 1e-6  # L2 penalties
    user_alpha: float = 1e-6
    max_sampled: int = 20  # negatives tried per step of WARP
    query_decay: float = 0.7
    query_length: int = 10
    moments: int = 400_000  # newest interactions learned from
    minimum_people: int = 5  # see forget_sessions
    threads: int = 1  # 0 = all cores; above 1 the same seed gives slightly different embeddings


class LightFMHybrid(Strategy):
    name: ClassVar[str] = "lightfm"
    needs: ClassVar[tuple[Need, ...]] = (
        Need("people_of_several", 10, 500),
        Need("items_with_features", 2, 20),
    )

    items_: Float32  # (n_items, d) sums of the embeddings of each item's features
    attributes_: Float32  # (n_items, d) the same without the item's own embedding
    biases_: Float32  # (n_items,)
    history_: Float32  # (n_items, d) what having touched an item says of a shopper
    people_: Float32  # (G + 1, d) embeddings of shoppers' attributes; the last is the constant's

    def __init__(self, **parameters: JSON) -> None:
        self.settings = LightFMParameters(**parameters)

    def fit(self, data: TrainingData, rng: np.random.Generator) -> Self:
        settings = self.settings
        model = LightFM(
            no_components=settings.factors,
            loss="warp",
            learning_rate=settings.learning_rate,
            item_alpha=settings.item_alpha,
            user_alpha=settings.user_alpha,
            max_sampled=settings.max_sampled,
            random_state=int(rng.integers(2**31)),
        )
        targets, weights, shoppers = self._moments(data)
        item_features = _item_features(data)
        if len(targets):
            moments = np.arange(len(targets), dtype=np.int32)
            shape = (len(targets), data.n_items)
            model.fit(
                coo_matrix((np.ones(len(targets), np.float32), (moments, targets)), shape=shape),
                user_features=shoppers,
                item_features=item_features,
                sample_weight=coo_matrix((weights, (moments, targets)), shape=shape),
                epochs=settings.epochs,
                num_threads=settings.threads or (thread_count() if HAS_OPENMP else 1),
            )
        else:
            model._initialize(settings.factors, item_features.shape[1], shoppers.shape[1])
        return self._learn(model, item_features, data.n_items)

    def _moments(self, data: TrainingData) -> tuple[Int32, Float32, csr_matrix]:
        """For each interaction learned from: its item, its weight, and the features of the shopper just before it."""
        settings = self.settings
        order = np.lexsort((data.timestamp, data.user))
        user, item, moment = data.user[order], data.item[order], data.timestamp[order]
        newest = np.sort(np.argsort(-moment, kind="stable")[: settings.moments])
        offsets, touched, ages = _earlier_items(newest, item, user, moment, settings.query_length)
        importance = (np.float64(settings.query_decay) ** ages).astype(np.float32)
        history = csr_matrix((importance, touched, offsets), shape=(len(newest), data.n_items))
        constant = csr_matrix(np.ones((len(newest), 1), np.float32))
        people = (
            []
            if data.user_features is None
            else [data.user_features.astype(np.float32).tocsr()[user[newest]]]
        )
        shoppers = hstack([history, *people, constant]).tocsr().astype(np.float32)
        weights = np.log2(1.0 + data.weight[order][newest])
        return item[newest], weights.astype(np.float32), shoppers

    def _learn(self, model: LightFM, item_features: csr_matrix, n_items: int) -> Self:
        """Sums of embeddings, with the bias as one more dimension: the model itself is not kept."""
        embeddings = np.column_stack([model.item_embeddings, model.item_biases]).astype(np.float32)
        self.items_ = np.asarray(item_features @ embeddings, np.float32)
        self.attributes_ = np.asarray(item_features[:, n_items:] @ embeddings[n_items:], np.float32)
        self.history_ = np.ascontiguousarray(model.user_embeddings[:n_items], np.float32)
        self.people_ = np.ascontiguousarray(model.user_embeddings[n_items:], np.float32)
        return self

    @property
    def n_items(self) -> int:
        return len(self.items_)

    def score(self, query: Query) -> Float32:
        return self.score_many([query])[0]

    def score_many(self, queries: Sequence[Query]) -> Float32:
        if not queries:
            return np.zeros((0, self.n_items), np.float32)
        scores = np.stack([self._shopper(query) for query in queries]) @ self.items_.T
        scores -= scores.mean(axis=1, keepdims=True)
        return np.asarray(np.maximum(scores, 0.0, out=scores), np.float32)

    def _shopper(self, query: Query) -> Float32:
        """(d + 1,): the shopper's embedding; 1 for the biases."""
        history = history_of(query, self.n_items, self.settings.query_length)
        importance = np.float64(self.settings.query_decay) ** history.ages
        embedding = importance @ self.history_[history.items] + self.people_[-1]
        if query.user_features is not None:
            embedding += np.asarray(query.user_features @ self.people_[:-1]).ravel()
        return np.append(embedding, 1.0).astype(np.float32)

    def triggers(self, query: Query, items: Int32) -> list[Trigger | None]:
        history = history_of(query, self.n_items, self.settings.query_length)
        importance = np.float64(self.settings.query_decay) ** history.ages
        credit = (self.history_[history.items] @ self.items_[items, :-1].T) * importance[:, None]
        return triggers_of(history.items, credit.astype(np.float32), items)

    def forget_sessions(self, forgotten: Bool, data: TrainingData) -> Self:
        """Items of forgotten sessions that fewer than `minimum_people` others touched fall back to their attributes.

        Their own embeddings would speak of single people. Where more did, one person's part of a gradient mean is
        below 1 / (minimum_people + 1) and is left to the next training.
        """
        touched = np.unique(data.item[forgotten[data.session]])
        remaining = data.without_sessions(forgotten)
        people = np.unique(np.stack([remaining.item, remaining.user], axis=1), axis=0)[:, 0]
        audience = np.bincount(people, minlength=data.n_items)
        exposed = touched[audience[touched] < self.settings.minimum_people]
        arrays = {name: np.array(array) for name, array in self.arrays().items()}
        arrays["items"][exposed] = arrays["attributes"][exposed]
        arrays["history"][exposed] = 0.0
        return type(self).from_arrays(arrays, self.parameters())

    def arrays(self) -> dict[str, Array]:
        return {
            "items": self.items_,
            "attributes": self.attributes_,
            "history": self.history_,
            "people": self.people_,
        }

    def parameters(self) -> dict[str, JSON]:
        return asdict(self.settings)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, JSON]) -> Self:
        strategy = cls(**parameters)
        strategy.items_, strategy.attributes_ = np.asarray(arrays["items"]), np.asarray(arrays["attributes"])
        strategy.history_, strategy.people_ = np.asarray(arrays["history"]), np.asarray(arrays["people"])
        return strategy


def _item_features(data: TrainingData) -> csr_matrix:
    """(n_items, n_items + F): each item's own embedding, then its attributes."""
    own = identity(data.n_items, np.float32, format="csr")
    if data.item_features is None:
        return own
    return hstack([own, data.item_features.astype(np.float32)]).tocsr()


@numba.njit(nogil=True, cache=True)
def _earlier_items(
    rows: Int64, items: Int32, users: Int32, moments: Float64, limit: int
) -> tuple[Int64, Int32, Int32]:
    """CSR: for each of `rows` the newest `limit` distinct other items of the same user before that moment, and their ages.

    The log is sorted by user, then moment. Age counts occasions, as in `interactions`.
    """
    offsets = np.zeros(len(rows) + 1, np.int64)
    touched = np.empty(len(rows) * limit, np.int32)
    ages = np.empty(len(rows) * limit, np.int32)
    n = 0
    for r in range(len(rows)):
        row = rows[r]
        first, age, occasion = n, -1, np.inf
        for earlier in range(row - 1, -1, -1):
            if users[earlier] != users[row] or n - first == limit:
                break
            item = items[earlier]
            if moments[earlier] == moments[row] or item == items[row] or (touched[first:n] == item).any():
                continue
            if moments[earlier] != occasion:
                occasion = moments[earlier]
                age += 1
            touched[n], ages[n] = item, age
            n += 1
        offsets[r + 1] = n
    return offsets, touched[:n].copy(), ages[:n].copy()
