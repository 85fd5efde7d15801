"""Peers measured beside ours: defaults, and tuned on the same validation slice."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from algorithms.evaluation import TestCase, evaluate
from algorithms.tuning import gather, measure
from algorithms.types import TrainingData
from benchmarks.quality.choosing import CHOOSING_CASES, counts, some
from benchmarks.quality.measurement import Measurement, Progress
from benchmarks.quality.peers import PEERS, Peer, introduce, parameter_sets
from recommendations.training.peak_memory import PeakMemory

TRIAL_LOG = 150_000
"""Parameter sets of peers are tried on the newest so many interactions; the model that is measured learns from all."""


def measure_peers(result: Measurement, seed: int, progress: Progress[Any]) -> None:
    """Puts figures of each peer, as it comes and tuned, into `result.peers`."""
    task = result.task
    introduce(task.test)
    rng = np.random.default_rng([seed, 1])
    cases = some([case for case in task.validation if counts(case, task.mode)], CHOOSING_CASES, rng)
    tried_on, asked = _newest(task.past), [_known_by_items(case) for case in cases]
    for peer in progress(list(PEERS.values()), "peers"):
        settings: list[tuple[str, dict[str, Any]]] = [("defaults", {})]
        if cases:
            settings.append(("tuned", _tuned(peer, tried_on, asked, result, seed, progress)))
        for label, parameters in settings:
            _measure_one(result, peer, f"{peer.name}, {label}", parameters, seed)


def _newest(data: TrainingData) -> TrainingData:
    if len(data) <= TRIAL_LOG:
        return data
    oldest = np.partition(data.timestamp, len(data) - TRIAL_LOG)[len(data) - TRIAL_LOG]
    return data.select(data.timestamp >= oldest)


def _known_by_items(case: TestCase) -> TestCase:
    """The same case with a query of its own, that may hold the number of the shopper."""
    copy = replace(case, query=replace(case.query))
    introduce([copy])
    return copy


def _tuned(
    peer: type[Peer], data: TrainingData, cases: list[TestCase], result: Measurement, seed: int,
    progress: Progress[Any],
) -> dict[str, Any]:  # fmt: skip
    """The set that ranks validation cases best, in the folder's own mode; the first of equals."""
    best: tuple[float, dict[str, Any]] = (-1.0, {})
    for parameters in progress(parameter_sets(peer, seed), peer.name):
        model = peer(**parameters).fit(data, np.random.default_rng(seed))
        blocks = gather({peer.name: model}, cases, mode=result.task.mode, depth=50)
        value = float(measure(blocks, {peer.name: 1.0}, "ndcg@10").mean())
        if value > best[0]:
            best = value, parameters
    return best[1]


def _measure_one(
    result: Measurement, peer: type[Peer], name: str, parameters: dict[str, Any], seed: int
) -> None:
    task = result.task
    started = time.perf_counter()
    with PeakMemory() as peak:
        model = peer(**parameters).fit(task.train, np.random.default_rng(seed))
    result.train_seconds[name], result.train_mb[name] = time.perf_counter() - started, peak.added_mb
    result.parameters[name] = parameters
    popularity = np.bincount(task.train.item, minlength=task.train.n_items)
    figures = evaluate({name: model}, task.test, popularity=popularity, groups=task.train.item_category)
    result.peers[name] = figures[name]
