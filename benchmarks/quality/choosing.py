"""Parameters and weights, chosen on the validation slice: the test part is never looked at."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from algorithms.evaluation import MODES, Mode, TestCase, density_classes
from algorithms.tuning import ScoreBlocks, gather, measure, tune
from algorithms.types import Strategy
from algorithms.variants import VARIANTS, choose
from benchmarks.quality.measurement import Measurement, Progress
from benchmarks.quality.task import Task

CHOOSING_CASES = 600
TUNING_CASES = 2400
DEPTH = 150
"""Items of each strategy that weights are tried on."""
SLOW = frozenset({"als", "lightfm", "ease", "item_vectors"})
"""Strategies whose variants are tried on small logs only."""
SMALL_LOG = 400_000
LEAST_OF_ORIGIN = 700
LEAST_OF_CLASS = 300
"""Validation cases of a density class below which it has the weights of all."""
LEAST_GAIN = 0.01
"""What its own weights must add on the half of its cases that they were not chosen on."""

OBJECTIVES: dict[str, dict[str, float]] = {
    "sessions": {"mrr@20": 1.0, "hit_rate@20": 0.5},
    "interactions": {"ndcg@10": 1.0},
    "orders": {"ndcg@10": 1.0},
}
STARTS: dict[str, dict[str, float]] = {
    "sessions": {"session_knn": 1.0, "item_vectors": 0.8, "viewed_next": 0.5, "ease": 0.3, "reminder": 4.0},
    "interactions": {
        "session_knn": 1.0,
        "viewed_next": 0.4,
        "als": 0.4,
        "content": 0.6,
        "user_knn": 0.6,
        "reminder": 1.0,
    },
    "orders": {"ease": 1.0, "user_knn": 1.0, "trending": 0.7, "als": 0.5, "content": 0.5, "repurchase": 2.0},
}


def choose_parameters(
    result: Measurement, names: list[str], rng: np.random.Generator, seed: int, progress: Progress[Any]
) -> None:
    """Each strategy's variant that ranks validation cases best. The slow ones keep their defaults on large logs."""
    task = result.task
    cases = some(task.validation, CHOOSING_CASES, rng)
    for name in progress(names, "parameters"):
        too_slow = name in SLOW and len(task.past) > SMALL_LOG
        pointless = task.kind == "sessions" and all("unit" in v for v in VARIANTS.get(name, [{}]))
        mode: Mode = "all" if name in ("reminder", "repurchase") else "unseen"
        base = {"threads": 0} if name == "als" else {}
        fixed = too_slow or pointless or not cases
        result.trials[name] = 1 if fixed else len(VARIANTS.get(name, [{}]))
        result.parameters[name] = (
            base if fixed else choose(name, task.past, cases, mode=mode, seed=seed, base=base)
        )


def choose_weights(
    result: Measurement,
    learned: Sequence[Mapping[str, Strategy]],
    rng: np.random.Generator,
    trials: int,
    progress: Progress[Any],
) -> None:
    """Weights for all shoppers and, where they do better, for density classes, once for each mode. `learned` are strategies up to each
    of the task's origins: every origin counts alike."""
    task = result.task
    start = starting_weights(task, list(learned[-1]) if learned else [])
    result.weights, result.by_density = dict.fromkeys(MODES, start), {mode: {} for mode in MODES}
    for mode in MODES:
        asked = _asked(task, learned, mode, rng)
        if not asked:
            continue
        started = time.perf_counter()
        blocks = ScoreBlocks.joined([
            gather(
                strategies, cases, mode=mode, depth=DEPTH,
                progress=lambda spans: progress(spans, "validation scoring"),
            )
            for strategies, cases in asked
        ])  # fmt: skip
        cases = [case for _, part in asked for case in part]
        objective = OBJECTIVES[task.kind]
        tuning = tune(
            blocks, rng, starts=[start], objective=objective, trials=trials,
            progress=lambda steps: progress(steps, "weights"),
        )  # fmt: skip
        result.weights[mode] = {name: weight for name, weight in tuning.weights.items() if weight}
        result.pulled[mode] = tuning.pulled, tuning.anchor
        labels = np.array(density_classes(cases))
        for label in np.unique(labels):
            members = rng.permutation(np.flatnonzero(labels == label))
            if LEAST_OF_CLASS <= len(members) < len(cases):
                own = _own_weights(blocks, members, result.weights[mode], objective, trials, rng)
                if own:
                    result.by_density[mode][str(label)] = own
        result.tuning_seconds += time.perf_counter() - started


def _asked(
    task: Task, learned: Sequence[Mapping[str, Strategy]], mode: Mode, rng: np.random.Generator
) -> list[tuple[Mapping[str, Strategy], list[TestCase]]]:
    """Strategies with the cases that are new to them, oldest first; as many cases of each origin."""
    limit = TUNING_CASES // max(len(learned), 1)
    found = [
        (
            strategies,
            some([case for case in origin.cases if counts(case, mode)], max(limit, LEAST_OF_ORIGIN), rng),
        )
        for origin, strategies in zip(task.origins, learned, strict=False)
    ]
    return [(strategies, cases) for strategies, cases in found if cases]


def _own_weights(
    blocks: Any, members: Any, shared: Mapping[str, float], objective: Mapping[str, float], trials: int,
    rng: np.random.Generator,
) -> dict[str, float] | None:  # fmt: skip
    """Weights tuned on one half of a class, if they beat those of all on its other half."""
    tuned_on, compared_on = np.sort(members[::2]), np.sort(members[1::2])
    own = tune(
        blocks.only(tuned_on), rng, starts=[shared], objective=objective, trials=trials // 2, rounds=1
    ).weights
    other = blocks.only(compared_on)

    def value(weights: Mapping[str, float]) -> float:
        return sum(
            share * float(measure(other, weights, metric).mean()) for metric, share in objective.items()
        )

    if value(own) < value(shared) * (1.0 + LEAST_GAIN):
        return None
    return {name: weight for name, weight in own.items() if weight}


def starting_weights(task: Task, names: Sequence[str]) -> dict[str, float]:
    """What a shop of this kind starts with, of the strategies that there are."""
    start = {name: weight for name, weight in STARTS[task.kind].items() if name in names}
    return start or dict.fromkeys(names, 1.0)


def counts(case: TestCase, mode: Mode) -> bool:
    """Whether something is asked for in this mode."""
    return mode == "all" or bool(len(np.setdiff1d(case.targets, case.seen_items)))


def some(cases: list[TestCase], limit: int, rng: np.random.Generator) -> list[TestCase]:
    """At most `limit` of the cases, drawn at random, in their order."""
    if len(cases) <= limit:
        return cases
    return [cases[n] for n in np.sort(rng.choice(len(cases), limit, replace=False))]
