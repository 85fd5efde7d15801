"""A correction of the blend, learned from what shoppers chose: a few gradient-boosted trees over the strategies' opinions.

    score'(i) = score(i) · exp(margin(i) / sharpness)

LambdaMART (Burges, "From RankNet to LambdaRank to LambdaMART", 2010) learns `margin` on top of `sharpness · ln(score)`, the blend's
own say: what it has no reason to change stays in the blend's order, and a change of weights still changes the shelf. LightGBM is
needed to learn only; scoring reads plain arrays (`trees.py`). Trees hold thresholds and leaves, nothing of a product or a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

import numpy as np

from algorithms.blend import CALIBRATED
from algorithms.candidate_features import ItemFacts, candidate_features, feature_names
from algorithms.ranking import top_k
from algorithms.trees import Trees
from algorithms.types import JSON, Array, Bool, Float32, Float64, Int32, Query

DEPTH: Final = 100
"""Candidates of a shopper: the best of the blend. Others keep their scores."""
SHARPNESS: Final = 2.0
MOST_TREES: Final = 60
PATIENCE: Final = 12
"""So many trees after the best one on the stopping lists, learning ends. A prototype overfitted after 10 to 14."""
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
        place = np.flatnonzero(self.candidates.items == item)
        return float(self.factors[place[0]]) if len(place) else 1.0

    def only(self, items: Sequence[int]) -> Corrected:
        """The same about some of the items, in little memory: without `total`."""
        kept = np.isin(self.candidates.items, items)
        candidates = Candidates(
            self.candidates.items[kept], self.candidates.blended[kept], self.candidates.features[kept]
        )
        return Corrected(np.empty(0, np.float32), self.factors[kept], candidates, self.reranker)

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
    """`strategies` are those whose opinions it reads. Equal lists and seed give equal trees, whatever the number of threads."""

    strategies: tuple[str, ...]
    trees: Trees
    sharpness: float = SHARPNESS
    depth: int = DEPTH

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
        """Learn from `lists`, and stop where `stopping` (later ones) are ranked best.

        Lists without a choice among their candidates are passed over. Raises MissingExtra without LightGBM and TooFewLists.
        """
        learned_from, stopped_by = _telling(lists), _telling(stopping)
        if min(len(learned_from), len(stopped_by)) < LEAST_LISTS:
            raise TooFewLists(
                f"{len(learned_from)} lists to learn from and {len(stopped_by)} to stop by have a choice among their candidates: "
                f"{LEAST_LISTS} of each are needed"
            )
        dump = _boost(learned_from, stopped_by, sharpness, seed, threads)
        return cls(tuple(strategies), Trees.from_lightgbm(dump), sharpness, depth)

    def corrected(
        self, query: Query, scores: Mapping[str, Float32], total: Float32, facts: ItemFacts
    ) -> Corrected:
        """`total` (n_items,) is what a blend made of `scores`; see `head`."""
        candidates = head(query, scores, total, facts, self.strategies, self.depth)
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
        strategies = self.strategies
        rows = np.zeros((len(strategies), len(best)), np.float32)
        for row, name in zip(rows, strategies, strict=True):
            if name in normalised:
                row[:] = normalised[name][best]
        features = candidate_features(query, items[best], rows, total[best], facts)
        candidates = Candidates(items[best], total[best], features)
        factors = self.factors(candidates)
        new = total.copy()
        new[best] *= factors.astype(np.float32)
        return Corrected(new, factors, candidates, self)

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
        return self.trees.arrays()

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
        return cls(strategies, Trees.from_arrays(arrays), parameters["sharpness"], parameters["depth"])


def _telling(lists: Sequence[RankedList]) -> list[RankedList]:
    return [ranked for ranked in lists if ranked.is_chosen.any() and not ranked.is_chosen.all()]


def _boost(
    lists: Sequence[RankedList],
    stopping: Sequence[RankedList],
    sharpness: float,
    seed: int,
    threads: int,
) -> dict[str, Any]:
    """The model as LightGBM tells it (`Booster.dump_model`), up to its best tree."""
    lightgbm = _lightgbm()
    parameters = {
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [10],
        "lambdarank_truncation_level": 20,
        "num_leaves": 7,
        "min_data_in_leaf": 500,
        "lambda_l2": 5.0,
        "learning_rate": 0.07,
        # Half of the features a tree and seven lists of ten: strategies agree much, and lists are few.
        "feature_fraction": 0.5,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "bagging_by_query": True,
        "use_missing": False,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        "seed": seed,
        "verbosity": -1,
    }
    train = _dataset(lightgbm, lists, sharpness, parameters, None)
    later = _dataset(lightgbm, stopping, sharpness, parameters, train)
    booster = lightgbm.train(
        parameters,
        train,
        num_boost_round=MOST_TREES,
        valid_sets=[later],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )
    dump: dict[str, Any] = booster.dump_model(num_iteration=booster.best_iteration)
    return dump


def _dataset(
    lightgbm: Any, lists: Sequence[RankedList], sharpness: float, parameters: Mapping[str, Any], like: Any
) -> Any:
    return lightgbm.Dataset(
        np.concatenate([ranked.candidates.features for ranked in lists]),
        np.concatenate([ranked.is_chosen for ranked in lists]).astype(np.int32),
        group=[len(ranked.is_chosen) for ranked in lists],
        init_score=np.concatenate([sharpness * np.log(ranked.candidates.blended) for ranked in lists]),
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
