"""The whole of a measurement: choose parameters and weights on the validation slice, learn from all of the training part,
rank all items for every test case."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from algorithms.evaluation import MODES, Blend, density_classes, evaluate
from algorithms.registry import STRATEGIES
from algorithms.splits import refuse_leak
from algorithms.types import Strategy, TrainingData
from benchmarks.quality.choosing import choose_parameters, choose_weights
from benchmarks.quality.comparison import measure_peers
from benchmarks.quality.extra_blends import EXTRA_BLENDS, Chosen
from benchmarks.quality.measurement import Measurement, Progress
from benchmarks.quality.task import Task
from recommendations.training.peak_memory import PeakMemory

THREADS = 2


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
    peers: bool = False,
    progress: Progress[Any] = lambda steps, _: steps,
) -> Measurement:
    """`names` limits the strategies; `peers` measures public libraries too; `progress(steps, what)` may wrap loops in progress
    bars. Raises Leak where the test part stands in the training part."""
    started = time.perf_counter()
    refuse_leak(task.train, task.test)
    for origin in task.origins:
        refuse_leak(origin.past, origin.cases)
    result = Measurement(task, load_before=os.getloadavg()[0])
    rng = np.random.default_rng(seed)
    chosen = [name for name in suited(task) if not (wanted := set(names)) or name in wanted]
    choose_parameters(result, chosen, rng, seed, progress)
    learned = [
        _fit(result, chosen, origin.past, seed, progress, "validation training") for origin in task.origins
    ]
    choose_weights(result, learned, rng, trials, progress)
    extra = _extra_blends(Chosen(task, learned, result.weights, seed, result.by_density)) if learned else {}
    del learned
    strategies = _fit(result, chosen, task.train, seed, progress, "training")
    _measure(result, strategies, extra, progress)
    del strategies
    if peers:
        measure_peers(result, seed, progress)
    result.take_intervals(rng)
    result.total_seconds = time.perf_counter() - started
    return result


def _extra_blends(chosen: Chosen) -> dict[str, Blend]:
    return {name: blend for make in EXTRA_BLENDS for name, blend in make(chosen).items()}


def _fit(
    result: Measurement, names: list[str], data: TrainingData, seed: int, progress: Progress[Any], what: str
) -> dict[str, Strategy]:
    strategies = {}
    for name in progress(names, what):
        started = time.perf_counter()
        generator = np.random.default_rng([seed, *name.encode()])
        with PeakMemory() as peak:
            strategies[name] = STRATEGIES[name](**result.parameters[name]).fit(data, generator)
        result.train_seconds[name] = time.perf_counter() - started
        result.train_mb[name] = peak.added_mb
    return strategies


def _measure(
    result: Measurement, strategies: dict[str, Strategy], extra: dict[str, Blend], progress: Progress[Any]
) -> None:
    task = result.task
    started = time.perf_counter()
    blends = {
        f"blend {mode}": Blend(result.weights[mode], by_density=result.by_density[mode], modes=(mode,))
        for mode in MODES
    }
    result.figures = evaluate(
        strategies,
        task.test,
        blends=blends | extra,
        popularity=np.bincount(task.train.item, minlength=task.train.n_items),
        groups=task.train.item_category,
        progress=lambda spans: progress(spans, "test"),
        threads=THREADS,
    )
    result.test_seconds = time.perf_counter() - started


def by_density(result: Measurement) -> dict[str, dict[str, float]]:
    """NDCG@10 of the blend and of each strategy for shoppers of whom 0, 1, 2–4, 5 or more items are known."""
    mode, classes = result.task.mode, density_classes(result.task.test)
    shown = result.blends(mode) | {name: result.figures[name][mode] for name in result.strategies}
    return {name: figures.by_class("ndcg@10", classes) for name, figures in shown.items()}
