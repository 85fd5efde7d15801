"""A correction of the blend, learned from what shoppers chose: a few gradient-boosted trees over the strategies' opinions.

    score'(i) = score(i) · exp(margin(i) / sharpness)

Gradient boosting (Friedman, "Greedy Function Approximation", 2001) learns `margin`, by how much likelier than any candidate this one is to
be chosen, as log odds. The blend's score and place are features among others; since margins multiply it, a change of weights still
changes the shelf. Choices are rare and lists are few: log odds, and a number of trees that the loss on later lists decides, carried
over to later weeks where LambdaMART over the blend's own say did not (docs/algorithms.md). LightGBM is needed to learn only; scoring
reads plain arrays (`trees.py`). Trees hold thresholds and leaves, nothing of a product or a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Protocol, Self

import numpy as np

from algorithms.blend import CALIBRATED
from algorithms.candidate_features import ItemFacts, candidate_features, feature_names, personal
from algorithms.item_demand import ItemDemand
from algorithms.ranking import top_k
from algorithms.trees import Trees
from algorithms.types import JSON, Array, Bool, Float32, Float64, Int32, Query

DEPTH: Final = 100
"""Candidates of a shopper: the best of the blend. Others keep their scores."""
SHARPNESS: Final = 0.3
"""A score twice as high weighs as much as a margin of 0.3 · ln 2: what is far above the others in the blend stays there."""
MOST_TREES: Final = 80
LEAVES: Final = 15
PATIENCE: Final = 20
"""So many trees after the best one on the stopping lists, learning ends."""
LEAST_LISTS: Final = 50
"""Lists with a choice among the candidates; fewer teach nothing."""
MISSING_EXTRA: Final = "The learned reranker is trained by LightGBM, which is not installed: pip install -r requirements-reranker.txt"


class MissingExtra(RuntimeError):
    """An optional package is not installed; the message says which and how to get it."""


class TooFewLists(ValueError):
    """There is not enough to learn a correction from."""


class Correction(Protocol):
    """What changes a blend's scores before they are ranked."""

    def corrected(
        self, query: Query, scores: Mapping[str, Float32], total: Float32, facts: ItemFacts
    ) -> Corrected: ...


@dataclass(frozen=True)
class Candidates:
    """The head of a blend for one shopper, best first."""

    items: Int32  # (c,)
    blended: Float32  # (c,) > 0
    features: Float64  # (c, F)


@dataclass(frozen=True)
class RankedList:
    """Candidates with what the shopper then chose. `missed` counts chosen items that are not among them."""

    candidates: Candidates
    is_chosen: Bool  # (c,)
    missed: int


@dataclass(frozen=True)
class Corrected:
    """`total` are the new scores, of all items or those that were blended; `factors` (c,) > 0 are what `candidates` were multiplied by."""

    total: Float32
    factors: Float64
    candidates: Candidates
    reranker: LearnedReranker

    def factor(self, item: int) -> float:
        """1 for an item that was no candidate."""
        return self._factor_of.get(item, 1.0)

    @cached_property
    def _factor_of(self) -> dict[int, float]:
        return dict(zip(self.candidates.items.tolist(), self.factors.tolist(), strict=True))

    def explain(self, items: Sequence[int]) -> list[dict[str, float]]:
        """For each item feature → its factor; their product is the item's `factor`. Features that changed nothing are left out."""
        place = {int(item): n for n, item in enumerate(self.candidates.items)}
        known = [place[item] for item in items if item in place]
        given = iter(self.reranker.contributions(self.candidates.features[known]))
        return [next(given) if item in place else {} for item in items]


def head(
    query: Query,
    scores: Mapping[str, Float32],
    total: Float32,
    facts: ItemFacts,
    strategies: Sequence[str],
    depth: int = DEPTH,
) -> Candidates:
    """The `depth` best items by `total` (n_items,), equals by rising number, with their features.

    `scores` are strategies' own, as they came, with 0 for items that may not be listed; a strategy that is missing has no opinion.
    """
    items = top_k(total, depth)
    strategies = personal(strategies)
    normalised = np.zeros((len(strategies), len(items)), np.float32)
    for row, name in enumerate(strategies):
        opinion = scores.get(name)
        if opinion is None:
            continue
        top = 1.0 if name in CALIBRATED else float(opinion.max(initial=0.0))
        if top > 0.0:
            normalised[row] = opinion[items] / np.float32(top)
    blended = total[items]
    return Candidates(items, blended, candidate_features(query, items, normalised, blended, facts))


@dataclass(frozen=True)
class LearnedReranker:
    """`strategies` are those whose opinions it reads. Equal lists and seed give equal trees, whatever the number of threads.

    `demand` is how items were wanted when it was learned, for those who do not know better when they ask.
    """

    strategies: tuple[str, ...]
    trees: Trees
    sharpness: float = SHARPNESS
    depth: int = DEPTH
    demand: ItemDemand | None = None

    @classmethod
    def fit(
        cls,
        lists: Sequence[RankedList],
        stopping: Sequence[RankedList],
        strategies: Sequence[str],
        *,
        seed: int = 0,
        threads: int = 1,
        sharpness: float = SHARPNESS,
        depth: int = DEPTH,
    ) -> Self:
        """Learn from `lists` how many trees rank `stopping` (later ones) best, then grow as many from both: the newest lists tell most.

        Lists without a choice among their candidates are passed over. Raises MissingExtra without LightGBM and TooFewLists.
        """
        learned_from, stopped_by = _telling(lists), _telling(stopping)
        if min(len(learned_from), len(stopped_by)) < LEAST_LISTS:
            raise TooFewLists(
                f"{len(learned_from)} lists to learn from and {len(stopped_by)} to stop by have a choice among their candidates: "
                f"{LEAST_LISTS} of each are needed"
            )
        trees = _best_number(learned_from, stopped_by, seed, threads)
        return cls._grown([*learned_from, *stopped_by], strategies, trees, seed, threads, sharpness, depth)

    def again(self, lists: Sequence[RankedList], *, seed: int = 0, threads: int = 1) -> Self:
        """One of as many trees that learned from other lists, such as all that there are."""
        return self._grown(
            _telling(lists), self.strategies, len(self.trees), seed, threads, self.sharpness, self.depth
        )

    @classmethod
    def _grown(
        cls,
        lists: Sequence[RankedList],
        strategies: Sequence[str],
        trees: int,
        seed: int,
        threads: int,
        sharpness: float,
        depth: int,
    ) -> Self:
        dump = _boost(lists, trees, seed, threads)
        return cls(tuple(strategies), Trees.from_lightgbm(dump), sharpness, depth)

    def corrected(
        self, query: Query, scores: Mapping[str, Float32], total: Float32, facts: ItemFacts
    ) -> Corrected:
        """`total` (n_items,) is what a blend made of `scores`; see `head`. Facts that know no demand take this reranker's."""
        candidates = head(query, scores, total, self._completed(facts), self.strategies, self.depth)
        factors = self.factors(candidates)
        new = total.copy()
        new[candidates.items] *= factors.astype(np.float32)
        return Corrected(new, factors, candidates, self)

    def corrected_among(
        self,
        query: Query,
        items: Int32,
        normalised: Mapping[str, Float32],
        total: Float32,
        facts: ItemFacts,
    ) -> Corrected:
        """The same from a blend of some items alone: `items` (c,) ascending, the best among them; `total` (c,) is theirs, and so are
        the new scores. `normalised` (c,) by strategy are opinions divided by the largest of all items' (but for calibrated ones)."""
        best = top_k(total, self.depth)
        strategies = personal(self.strategies)
        rows = np.zeros((len(strategies), len(best)), np.float32)
        for row, name in zip(rows, strategies, strict=True):
            if name in normalised:
                row[:] = normalised[name][best]
        features = candidate_features(query, items[best], rows, total[best], self._completed(facts))
        candidates = Candidates(items[best], total[best], features)
        factors = self.factors(candidates)
        new = total.copy()
        new[best] *= factors.astype(np.float32)
        return Corrected(new, factors, candidates, self)

    def _completed(self, facts: ItemFacts) -> ItemFacts:
        return replace(facts, demand=self.demand) if facts.demand is None else facts

    def factors(self, candidates: Candidates) -> Float64:
        """(c,) > 0; what is expected of any candidate counts 1."""
        if not len(candidates.items):
            return np.ones(0)
        margin = self.trees.predict(candidates.features) - self.trees.expected
        return np.asarray(np.exp(margin / self.sharpness))

    def contributions(self, features: Float64) -> list[dict[str, float]]:
        """For each row of `features` the factor that each feature gave; see `Corrected.explain`."""
        names = feature_names(self.strategies)
        given = np.exp(self.trees.contributions(features)[:, :-1] / self.sharpness)
        return [
            {name: float(value) for name, value in zip(names, row, strict=True) if value != 1.0}
            for row in given
        ]

    def warm(self) -> None:
        """Correct and explain once, so that kernels are compiled before a shopper waits for them."""
        nothing = ItemFacts(
            popularity=np.zeros(2, np.float32),
            created=np.zeros(2),
            category=np.zeros(2, np.int32),
            brand=np.zeros(2, np.int32),
            price=np.zeros(2),
        )
        self.corrected(Query.of([0], now=0.0), {}, np.ones(2, np.float32), nothing).explain([0, 1])

    def arrays(self) -> dict[str, Array]:
        return self.trees.arrays() | ({} if self.demand is None else self.demand.arrays())

    def parameters(self) -> dict[str, JSON]:
        return {
            "strategies": list(self.strategies),
            "features": list(feature_names(self.strategies)),
            "sharpness": self.sharpness,
            "depth": self.depth,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, JSON]) -> Self:
        """Raises ValueError where it was trained on other features than this release computes."""
        strategies = tuple(parameters["strategies"])
        if tuple(parameters["features"]) != feature_names(strategies):
            raise ValueError("the reranker was trained on other features than this release has: train again")
        demand = ItemDemand.from_arrays(arrays) if "demand_growth" in arrays else None
        return cls(
            strategies, Trees.from_arrays(arrays), parameters["sharpness"], parameters["depth"], demand
        )


def _telling(lists: Sequence[RankedList]) -> list[RankedList]:
    return [ranked for ranked in lists if ranked.is_chosen.any() and not ranked.is_chosen.all()]


def _parameters(seed: int, threads: int) -> dict[str, Any]:
    return {
        "objective": "binary",
        "num_leaves": LEAVES,
        "min_data_in_leaf": 500,
        "lambda_l2": 10.0,
        "learning_rate": 0.06,
        # Half of the features a tree and seven rows of ten: strategies agree much, and lists are few.
        "feature_fraction": 0.5,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "use_missing": False,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        "seed": seed,
        "verbosity": -1,
    }


def _best_number(lists: Sequence[RankedList], stopping: Sequence[RankedList], seed: int, threads: int) -> int:
    """How many trees, learned from `lists`, tell best what was chosen of `stopping`."""
    lightgbm, parameters = _lightgbm(), _parameters(seed, threads)
    train = _dataset(lightgbm, lists, parameters, None)
    later = _dataset(lightgbm, stopping, parameters, train)
    booster = lightgbm.train(
        parameters,
        train,
        num_boost_round=MOST_TREES,
        valid_sets=[later],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )
    return int(booster.best_iteration)


def _boost(lists: Sequence[RankedList], trees: int, seed: int, threads: int) -> dict[str, Any]:
    """The model as LightGBM tells it (`Booster.dump_model`)."""
    lightgbm, parameters = _lightgbm(), _parameters(seed, threads)
    train = _dataset(lightgbm, lists, parameters, None)
    dump: dict[str, Any] = lightgbm.train(parameters, train, num_boost_round=trees).dump_model()
    return dump


def _dataset(lightgbm: Any, lists: Sequence[RankedList], parameters: Mapping[str, Any], like: Any) -> Any:
    return lightgbm.Dataset(
        np.concatenate([ranked.candidates.features for ranked in lists]),
        np.concatenate([ranked.is_chosen for ranked in lists]).astype(np.int32),
        reference=like,
        params=dict(parameters),
        free_raw_data=True,
    )


def _lightgbm() -> Any:
    try:
        import lightgbm
    except (ImportError, OSError) as error:  # OSError: its OpenMP library is missing
        raise MissingExtra(MISSING_EXTRA) from error
    return lightgbm


def is_installed() -> bool:
    """Whether rerankers can be trained here. Those that were trained elsewhere are served without LightGBM."""
    try:
        _lightgbm()
    except MissingExtra:
        return False
    return True
