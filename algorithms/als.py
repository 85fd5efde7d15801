"""Alternating least squares for implicit feedback, by the `implicit` library.

Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (ICDM 2008). Confidence is recency
weighted: an interaction with an item counts alpha · weight · decay^age, age = how many distinct items the user touched
since. A shopper's factors are never stored: they are solved from the query ("fold-in"), with the same weights:

    x = (YᵀY + Σ_i c_i y_i y_iᵀ + λI)⁻¹ Σ_i (1 + c_i) y_i,   score(i) = max(0, x · y_i)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import ClassVar, Final, Self

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from algorithms.interactions import History, history_of, recency_weighted
from algorithms.nearest_lists import NearestLists, by_products
from algorithms.needs import Need
from algorithms.scoring import opinions, opinions_of, triggers_of
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

# Of conjugate gradients, where all shoppers of a log are folded in at once.
FOLD_IN_STEPS = 8


BLOCK: Final = 8192


@dataclass(frozen=True)
class ALSParameters:
    factors: int = 128
    alpha: float = 30.0
    regularization: float = 10.0
    decay: float = 0.7
    iterations: int = 15
    query_length: int = 50
    threads: int = 0  # 0 = all cores


class ALS(Strategy):
    name: ClassVar[str] = "als"
    needs: ClassVar[tuple[Need, ...]] = (Need("people_of_several", 10, 500), Need("items_of_several", 2, 50))

    factors_: Float32  # (n_items, factors)

    def __init__(self, **parameters: JSON) -> None:
        self.settings = ALSParameters(**parameters)

    def fit(self, data: TrainingData, rng: np.random.Generator) -> Self:
        settings = self.settings
        with threadpool_limits(limits=1, user_api="blas"):  # the library has threads of its own
            model = AlternatingLeastSquares(
                factors=min(settings.factors, max(data.n_items, 1)),
                regularization=settings.regularization,
                iterations=settings.iterations,
                num_threads=settings.threads,
                random_state=int(rng.integers(2**31)),
            )
            model.fit(self._confidence(data), show_progress=False)
        return self._learn(np.asarray(model.item_factors, np.float32))

    def _confidence(self, data: TrainingData) -> csr_matrix:
        """1 + alpha · strength · decay^age for what was touched, as the library wants it."""
        settings = self.settings
        confidence = recency_weighted(data, settings.decay, settings.query_length)
        confidence.data = 1.0 + np.float32(settings.alpha) * confidence.data
        return confidence

    def _learn(self, factors: Float32, gram: Float64 | None = None) -> Self:
        self.factors_ = factors
        self._gram = self._gram_of(factors) if gram is None else gram
        return self

    def _gram_of(self, factors: Float32) -> Float64:
        """YᵀY + λI, block by block: the factors of a large catalogue are not held twice."""
        gram = self.settings.regularization * np.eye(factors.shape[1])
        for start in range(0, len(factors), BLOCK):
            block = factors[start : start + BLOCK].astype(np.float64)
            gram += block.T @ block
        return gram

    @property
    def n_items(self) -> int:
        return len(self.factors_)

    def score(self, query: Query) -> Float32:
        return self.score_many([query])[0]

    def score_many(self, queries: Sequence[Query]) -> Float32:
        shoppers = np.zeros((len(queries), self.factors_.shape[1]), np.float32)
        for row, query in enumerate(queries):
            shoppers[row] = self._fold_in(history_of(query, self.n_items, self.settings.query_length))
        return opinions(shoppers, self.factors_)

    def likely_items(self, query: Query) -> Int32:
        history = history_of(query, self.n_items, self.settings.query_length)
        return self._nearest.joined(history.items)

    def score_items(self, query: Query, items: Int32) -> Float32:
        if not len(history_of(query, self.n_items, self.settings.query_length).items):
            return np.zeros(len(items), np.float32)
        core, reach, extra = self._folded(query)
        shopper = np.linalg.solve(core.T, 1.0 + extra) @ reach
        return opinions_of(shopper.astype(np.float32), self.factors_, items)

    @cached_property
    def _inverse(self) -> Float64:
        """(YᵀY + λI)⁻¹: who touched little is solved from it without solving a system as large as the factors."""
        return np.asarray(np.linalg.inv(self._gram), np.float64)

    @cached_property
    def _nearest(self) -> NearestLists:
        return NearestLists(self._nearest_to(np.arange(self.n_items)))

    def _nearest_to(self, items: Int64) -> Int32:
        """Nearest is what an interaction with the item alone would score highest, but for its confidence: the largest yᵢ A⁻¹ yⱼ, which
        with A⁻¹ = L Lᵀ are products of the rows of Y L."""
        half = np.linalg.cholesky(self._inverse).astype(np.float32)
        return by_products(self.factors_ @ half, items)

    def _folded(self, query: Query) -> tuple[Float64, Float64, Float64]:
        """core (m, m), reach (m, factors) and extra (m,): by the Woodbury identity the shopper's factors are a sum over the m touched
        items, Σ_i (1 + extra_i) (core⁻¹ reach)_i = `_fold_in`, and core is as small as what was touched."""
        known: tuple[Float64, Float64, Float64] | None = query.memo.get(self)
        if known is None:
            history = history_of(query, self.n_items, self.settings.query_length)
            extra = self.settings.alpha * history.decayed(self.settings.decay).astype(np.float64)
            touched = self.factors_[history.items].astype(np.float64)
            reach = touched @ self._inverse
            core = (reach @ touched.T) * extra
            core[np.diag_indices_from(core)] += 1.0
            known = query.memo[self] = core, reach, extra
        return known

    def shopper(self, query: Query) -> Float64:
        """(factors,) of who asks; zeros for somebody of whom nothing is known."""
        return self._fold_in(history_of(query, self.n_items, self.settings.query_length))

    def _fold_in(self, history: History) -> Float64:
        """The shopper's factors: one least-squares solution."""
        if not len(history.items):
            return np.zeros(self.factors_.shape[1])
        extra = self.settings.alpha * history.decayed(self.settings.decay).astype(np.float64)
        touched = self.factors_[history.items].astype(np.float64)
        system = self._gram + (touched.T * extra) @ touched
        return np.asarray(cho_solve(cho_factor(system, check_finite=False), touched.T @ (1.0 + extra)))

    def triggers(self, query: Query, items: Int32) -> list[Trigger | None]:
        """By each touched item's part of the score: x is a sum over them (section 5 of the paper)."""
        history = history_of(query, self.n_items, self.settings.query_length)
        if not len(history.items):
            return [None] * len(items)
        core, reach, extra = self._folded(query)
        credit = np.linalg.solve(core, reach @ self.factors_[items].T) * (1.0 + extra)[:, None]
        return triggers_of(history.items, credit.astype(np.float32), items)

    def forget_sessions(self, forgotten: Bool, data: TrainingData) -> Self:
        """Items of forgotten sessions are solved anew from the other shoppers, who are folded in for it.

        Other items keep their factors: the forgotten reached those only through the factors of people, at second hand,
        and the next training ends that too. An item that nobody else touched has the factor 0.
        """
        touched = np.unique(data.item[forgotten[data.session]])
        if not len(touched):
            return self
        confidence = self._confidence(data.without_sessions(forgotten))
        people = np.flatnonzero(np.diff(confidence.indptr))
        with threadpool_limits(limits=1, user_api="blas"):
            model = AlternatingLeastSquares(
                factors=self.factors_.shape[1],
                regularization=self.settings.regularization,
                num_threads=self.settings.threads,
            )
            model.item_factors = np.array(self.factors_)
            model.user_factors = np.zeros((len(people), self.factors_.shape[1]), np.float32)
            # Everybody is folded in, so by conjugate gradients: to four digits in a sixth of the time of solving each exactly.
            model.cg_steps = FOLD_IN_STEPS
            model.solver(
                confidence[people],
                model.user_factors,
                model.item_factors,
                self.settings.regularization,
                num_threads=self.settings.threads,
            )
            model.item_factors[touched] = model.recalculate_item(
                touched, confidence[people].T.tocsr()[touched]
            )
        fresh = type(self)(**asdict(self.settings))._learn(model.item_factors)
        if "_nearest" in self.__dict__:
            places = touched.astype(np.int64)
            fresh.__dict__["_nearest"] = self._nearest.renewed(places, fresh._nearest_to(places))
        return fresh

    def arrays(self) -> dict[str, Array]:
        return {"factors": self.factors_, "gram": self._gram, **self._nearest.arrays()}

    def parameters(self) -> dict[str, JSON]:
        return asdict(self.settings)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, JSON]) -> Self:
        """A version that an earlier release saved has neither `gram` nor lists: they are made again when they are asked for."""
        strategy = cls(**parameters)._learn(np.asarray(arrays["factors"]), arrays.get("gram"))
        if (lists := NearestLists.from_arrays(arrays)) is not None:
            strategy.__dict__["_nearest"] = lists
        return strategy
