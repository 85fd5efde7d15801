"""The tuned blend with a learned correction, as a shop's training would make one: learned, stopped and compared on the validation slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from algorithms.candidate_features import ItemFacts
from algorithms.evaluation import MODES, Blend, Mode, TestCase, density_classes
from algorithms.learned_reranker import RankedList, TooFewLists, is_installed
from algorithms.popularity import Trending
from algorithms.reranker_trial import correction_by, ranked_lists, try_reranker
from algorithms.types import Query, Strategy, TrainingData
from benchmarks.quality.task import Task

CASES = 6000
THREADS = 2
Weights = Mapping[str, float]


def reranked_blends(
    task: Task,
    learned: Sequence[Mapping[str, Strategy]],
    weights: Mapping[Mode, Weights],
    by_density: Mapping[Mode, Mapping[str, Weights]],
    seed: int,
) -> dict[str, Blend]:
    """`blend <mode> + reranker`, or `…, not used` where a shop's training would leave it out since it did not win on validation.

    `learned` are strategies that have learned up to each of `task.origins`: lists are of all of them, in order of time. Empty without
    LightGBM or where there are too few cases.
    """
    if not is_installed():
        return {}
    heard = {
        mode: {name for mix in (weights[mode], *by_density.get(mode, {}).values()) for name in mix}
        for mode in MODES
    }
    taking_part = tuple(name for name in learned[-1] if any(name in names for names in heard.values()))

    def weights_of(case: TestCase, mode: Mode) -> Weights:
        own = by_density.get(mode, {})
        return own.get(density_classes([case])[0], weights[mode]) if own else weights[mode]

    lists: dict[Mode, list[RankedList]] = {mode: [] for mode in MODES}
    for origin, strategies in zip(task.origins, learned, strict=True):
        speaking = {name: strategies[name] for name in taking_part}
        cases = _cases(origin.cases, CASES // len(learned), seed)
        for mode, found in ranked_lists(speaking, cases, weights_of, _facts(origin.past)).items():
            lists[mode] += found
    facts, blends = _facts(task.train), {}
    for mode in MODES:
        try:
            tried = try_reranker(
                lists[mode], taking_part, np.random.default_rng(seed), seed=seed, threads=THREADS
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


def _cases(cases: Sequence[TestCase], limit: int, seed: int) -> list[TestCase]:
    known = [case for case in cases if len(case.query.items)]
    rng = np.random.default_rng([seed, CASES])
    drawn = rng.choice(len(known), min(limit, len(known)), replace=False)
    return sorted((known[n] for n in np.sort(drawn)), key=lambda case: case.query.now)


def _facts(data: TrainingData) -> ItemFacts:
    trending = Trending().fit(data, np.random.default_rng(0))
    return ItemFacts.of(data, trending.score(Query.empty(data.now)))
