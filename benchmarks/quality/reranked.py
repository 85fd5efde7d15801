"""The tuned blend with a learned correction, as a shop's training would make one: learned, stopped and compared on the validation slice."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from algorithms.candidate_features import ItemFacts
from algorithms.evaluation import MODES, Blend, Mode, TestCase, density_classes
from algorithms.learned_reranker import TooFewLists, is_installed
from algorithms.popularity import Trending
from algorithms.reranker_trial import correction_by, ranked_lists, try_reranker
from algorithms.types import Query, Strategy, TrainingData
from benchmarks.quality.task import Task

CASES = 6000
THREADS = 2
Weights = Mapping[str, float]


def reranked_blends(
    task: Task,
    strategies: Mapping[str, Strategy],
    weights: Mapping[Mode, Weights],
    by_density: Mapping[Mode, Mapping[str, Weights]],
    seed: int,
) -> dict[str, Blend]:
    """`blend <mode> + reranker`, or `…, not used` where a shop's training would leave it out since it did not win on validation.

    `strategies` have learned from `task.past`. Empty without LightGBM or where there are too few cases.
    """
    if not is_installed():
        return {}
    heard = {
        mode: {name for mix in (weights[mode], *by_density.get(mode, {}).values()) for name in mix}
        for mode in MODES
    }
    taking_part = {
        name: s for name, s in strategies.items() if any(name in names for names in heard.values())
    }

    def weights_of(case: TestCase, mode: Mode) -> Weights:
        own = by_density.get(mode, {})
        return own.get(density_classes([case])[0], weights[mode]) if own else weights[mode]

    lists = ranked_lists(taking_part, _cases(task, seed), weights_of, _facts(task.past))
    facts, blends = _facts(task.train), {}
    for mode in MODES:
        try:
            tried = try_reranker(
                lists[mode], tuple(taking_part), np.random.default_rng(seed), seed=seed, threads=THREADS
            )
        except TooFewLists:
            continue
        name = f"blend {mode} + reranker" if tried.has_won else f"blend {mode} + reranker, not used"
        blends[name] = Blend(
            weights[mode],
            by_density=by_density.get(mode, {}),
            modes=(mode,),
            correction=correction_by(tried.reranker, facts),
        )
    return blends


def _cases(task: Task, seed: int) -> list[TestCase]:
    known = [case for case in task.validation if len(case.query.items)]
    rng = np.random.default_rng([seed, CASES])
    drawn = rng.choice(len(known), min(CASES, len(known)), replace=False)
    return sorted((known[n] for n in np.sort(drawn)), key=lambda case: case.query.now)


def _facts(data: TrainingData) -> ItemFacts:
    trending = Trending().fit(data, np.random.default_rng(0))
    return ItemFacts.of(data, trending.score(Query.empty(data.now)))
