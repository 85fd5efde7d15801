"""Learning a correction of the blend within a training, and using it only where it did better.

Lists are made by the strategies that learned from the past only, of what shoppers chose afterwards: the first half in time is learned
from, the next 15 % say when to stop, the newest compare. Nothing that decides is anything that was learned from. What changes from week
to week, such as which products are wanted, is told as of the beginning of the stretch that a choice lies in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from algorithms.blend import Method
from algorithms.candidate_features import ItemFacts
from algorithms.evaluation import MODES, Mode, TestCase
from algorithms.item_demand import ItemDemand
from algorithms.learned_reranker import MISSING_EXTRA, LearnedReranker, RankedList, TooFewLists, is_installed
from algorithms.popularity import Popularity
from algorithms.reranker_trial import Trial, ranked_lists, try_reranker
from algorithms.splits import next_choices
from algorithms.types import Float32, Query, Strategy, TrainingData
from recommendations.training.figures import CaseWeights
from recommendations.training.reporting import Reporter

CASES: Final = 3000
STRETCHES: Final = 6
"""The time that cases are of is cut into so many; facts of products are worked out anew for each."""
THREADS: Final = 1
"""Of LightGBM's: it is a matter of seconds, and a worker that forks must not have started OpenMP. Any number gives the same trees."""
_STREAM: Final = 0x5EA
"""Cases are drawn by a generator of their own: with or without a reranker, all else of a training is the same."""


@dataclass(frozen=True)
class Rerankers:
    """Those that won, by mode, and what the version's page says of all: JSON."""

    winners: dict[Mode, LearnedReranker]
    report: dict[str, Any]


def not_tried(is_wanted: bool) -> Rerankers:
    """What is said where none was learned: it was not wanted, or the log cannot be split in time."""
    if is_wanted:
        return _too_little("nothing was chosen after a past that could be learned from")
    return Rerankers({}, {"state": "off", "reason": "Switched off for this training."})


def learn_rerankers(
    trial: Mapping[str, Strategy],
    data: TrainingData,
    cutoff: float,
    weights_of: CaseWeights,
    method: Method,
    *,
    seed: int,
    reporter: Reporter,
) -> Rerankers:
    """`trial` are strategies that learned from before `cutoff` (Unix seconds); `data` is the whole log."""
    if not is_installed():
        return Rerankers({}, {"state": "not installed", "reason": MISSING_EXTRA})
    cases = _cases(data, cutoff, seed)
    loud = {name for case in cases for name, weight in weights_of(case).items() if weight > 0}
    strategies = {name: strategy for name, strategy in trial.items() if name in loud}
    if not strategies or not cases:
        return _too_little("no shopper of whom something was known chose anything after the past")
    lists: dict[Mode, list[RankedList]] = {mode: [] for mode in MODES}
    for since, part in _stretches(cases):
        found = ranked_lists(
            strategies,
            part,
            lambda case, mode: weights_of(case),
            ItemFacts.of(data, demand(trial, data, since), since),
            method=method,
            progress=reporter.progress,
        )
        for mode in MODES:
            lists[mode] += found[mode]
    trials: dict[Mode, Trial] = {}
    reports: dict[str, Any] = {}
    for mode, ranked in lists.items():
        rng = np.random.default_rng([seed, _STREAM, len(mode)])
        try:
            trials[mode] = try_reranker(ranked, tuple(strategies), rng, seed=seed, threads=THREADS)
        except TooFewLists as reason:
            reports[mode] = {"has_won": False, "reason": f"{reason}."}
        else:
            reports[mode] = trials[mode].report() | {"reason": _verdict(trials[mode])}
    if not trials:
        return _too_little(str(next(iter(reports.values()))["reason"]).rstrip("."))
    now = ItemDemand.at(data, data.now)
    winners = {mode: replace(tried.reranker, demand=now) for mode, tried in trials.items() if tried.has_won}
    return Rerankers(winners, {"state": "used" if winners else "not used", "modes": reports})


def _too_little(reason: str) -> Rerankers:
    return Rerankers({}, {"state": "too little", "reason": f"Too little to learn from: {reason}."})


def _verdict(trial: Trial) -> str:
    difference = trial.difference
    what = f"{difference.estimate:+.1%} [{difference.low:+.1%}, {difference.high:+.1%}] in NDCG@10 on {trial.cases} later choices"
    return f"Won by {what}." if trial.has_won else f"Did not win: {what}. Not used."


def _cases(data: TrainingData, cutoff: float, seed: int) -> list[TestCase]:
    """What was chosen after `cutoff` by shoppers of whom something was known, in order of time."""
    rng = np.random.default_rng([seed, _STREAM])
    _, cases = next_choices(data, cutoff, limit=CASES, rng=rng)
    known = [case for case in cases if len(case.query.items)]
    return sorted(known, key=lambda case: case.query.now)


def _stretches(cases: Sequence[TestCase]) -> Iterator[tuple[float, Sequence[TestCase]]]:
    """Cases in order of time, in at most STRETCHES equally long stretches, each with its beginning in Unix seconds; none without cases."""
    moments = np.array([case.query.now for case in cases])
    bounds = np.linspace(moments[0], moments[-1], STRETCHES + 1)[:-1]
    starts = np.searchsorted(moments, bounds)
    for since, start, end in zip(bounds, starts, [*starts[1:], len(cases)], strict=True):
        if end > start:
            yield float(since), cases[start:end]


def demand(strategies: Mapping[str, Strategy], data: TrainingData, now: float) -> Float32:
    """(n_items,) what is wanted as of `now`, as serving knows it (`Assortment.standing`): trending, else popularity, else nothing."""
    strategy = strategies.get("trending") or strategies.get("popular")
    if not isinstance(strategy, Popularity):
        return np.zeros(data.n_items, np.float32)
    past = replace(data.select(data.timestamp < now), now=now)
    return Popularity(strategy.half_life_days).fit(past, np.random.default_rng(0)).score(Query.empty(now))
