"""The whole of a measurement: choose parameters and weights on the validation slice, learn from all of the training part,
rank all items for every test case."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from algorithms.evaluation import MODES, Blend, Figures, Mode, TestCase, density_classes, evaluate
from algorithms.registry import STRATEGIES
from algorithms.tuning import gather, tune
from algorithms.types import Strategy
from algorithms.variants import VARIANTS, choose
from benchmarks.quality.task import Task

T = TypeVar("T")
Progress = Callable[[Iterable[T], str], Iterable[T]]

CHOOSING_CASES = 800
TUNING_CASES = 3000
SLOW = frozenset({"als", "lightfm", "ease", "item_vectors"})
"""Strategies whose variants are tried on small logs only."""
SMALL_LOG = 400_000
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


@dataclass
class Measurement:
    """What came out; `figures` by name and mode, of strategies and of the two blends."""

    task: Task
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    weights: dict[Mode, dict[str, float]] = field(default_factory=dict)
    train_seconds: dict[str, float] = field(default_factory=dict)
    total_seconds: float = 0.0
    figures: dict[str, dict[Mode, Figures]] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)

    def blend_figures(self, mode: Mode) -> Figures:
        return self.figures[f"blend {mode}"][mode]


def suited(task: Task) -> list[str]:
    """Strategies that have something to learn from in this task's data."""
    train = task.train
    names = [
        "session_knn", "viewed_next", "item_vectors", "user_knn", "item_knn", "ease", "als", "lightfm",
        "trending", "popular", "reminder",
    ]  # fmt: skip
    if train.item_texts is not None or train.item_features is not None:
        names.append("content")
    if train.item_category is not None:
        names.append("popular_in_category")
    if (train.basket >= 0).any():
        names += ["bought_together", "repurchase"]
    return names


def run(
    task: Task,
    *,
    seed: int = 0,
    trials: int = 80,
    names: Iterable[str] = (),
    progress: Progress[Any] = lambda steps, _: steps,
) -> Measurement:
    """`names` limits the strategies; `progress(steps, what)` may wrap loops in progress bars."""
    started = time.perf_counter()
    result = Measurement(task)
    rng = np.random.default_rng(seed)
    chosen = [name for name in suited(task) if not (wanted := set(names)) or name in wanted]
    _choose_parameters(result, chosen, rng, seed, progress)
    _choose_weights(result, chosen, rng, seed, trials, progress)
    strategies = _fit(result, chosen, task.train, seed, progress, "training")
    _measure(result, strategies, rng, progress)
    result.total_seconds = time.perf_counter() - started
    return result


def _choose_parameters(
    result: Measurement, names: list[str], rng: np.random.Generator, seed: int, progress: Progress[Any]
) -> None:
    task = result.task
    cases = _some(task.validation, CHOOSING_CASES, rng)
    for name in progress(names, "parameters"):
        too_slow = name in SLOW and len(task.past) > SMALL_LOG
        pointless = task.kind == "sessions" and all("unit" in v for v in VARIANTS.get(name, [{}]))
        mode: Mode = "all" if name in ("reminder", "repurchase") else "unseen"
        base = {"threads": 0} if name == "als" else {}
        result.parameters[name] = (
            base
            if too_slow or pointless or not cases
            else choose(name, task.past, cases, mode=mode, seed=seed, base=base)
        )


def _choose_weights(
    result: Measurement,
    names: list[str],
    rng: np.random.Generator,
    seed: int,
    trials: int,
    progress: Progress[Any],
) -> None:
    task = result.task
    cases = _some(task.validation, TUNING_CASES, rng)
    start = {name: weight for name, weight in STARTS[task.kind].items() if name in names}
    start = start or dict.fromkeys(names, 1.0)
    result.weights = dict.fromkeys(MODES, start)
    if not cases:
        return
    strategies = _fit(result, names, task.past, seed, progress, "validation training")
    for mode in MODES:
        blocks = gather(
            strategies, cases, mode=mode, progress=lambda spans: progress(spans, "validation scoring")
        )
        if blocks.n_cases:
            tuning = tune(
                blocks, rng, starts=[start], objective=OBJECTIVES[task.kind], trials=trials,
                progress=lambda steps: progress(steps, "weights"),
            )  # fmt: skip
            result.weights[mode] = {name: weight for name, weight in tuning.weights.items() if weight}


def _fit(
    result: Measurement, names: list[str], data: Any, seed: int, progress: Progress[Any], what: str
) -> dict[str, Strategy]:
    strategies = {}
    for name in progress(names, what):
        started = time.perf_counter()
        generator = np.random.default_rng([seed, *name.encode()])
        strategies[name] = STRATEGIES[name](**result.parameters[name]).fit(data, generator)
        result.train_seconds[name] = time.perf_counter() - started
    return strategies


def _measure(
    result: Measurement, strategies: dict[str, Strategy], rng: np.random.Generator, progress: Progress[Any]
) -> None:
    task = result.task
    result.figures = evaluate(
        strategies,
        task.test,
        blends={f"blend {mode}": Blend(result.weights[mode]) for mode in MODES},
        popularity=np.bincount(task.train.item, minlength=task.train.n_items),
        groups=task.train.item_category,
        progress=lambda spans: progress(spans, "test"),
    )
    blend = result.blend_figures(task.mode)
    for metric in ("ndcg@10", "recall@10", "hit_rate@20", "mrr@20"):
        interval = blend.interval(metric, rng)
        result.intervals[metric] = interval.low, interval.high


def _some(cases: list[TestCase], limit: int, rng: np.random.Generator) -> list[TestCase]:
    if len(cases) <= limit:
        return cases
    return [cases[n] for n in np.sort(rng.choice(len(cases), limit, replace=False))]


def peak_memory_mb() -> float:
    """Largest resident size of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def by_density(result: Measurement) -> dict[str, float]:
    """NDCG@10 of the blend for shoppers of whom 0, 1, 2–4, 5 or more items are known."""
    return result.blend_figures(result.task.mode).by_class("ndcg@10", density_classes(result.task.test))
