"""Offline figures without a version: what `manage.py evaluate` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Literal, get_args

import numpy as np
from django.utils import timezone

from accounts.models import Store
from algorithms.evaluation import density_classes, precision
from algorithms.item_knn import ItemKNN
from algorithms.small_cells import hidden_cells
from algorithms.splits import leave_last_out, refuse_leak
from algorithms.types import TrainingData
from recommendations.selectors.audience import audience_of
from recommendations.selectors.event_weights import event_weights
from recommendations.selectors.training import catalogue_items, measured_blend
from recommendations.training.figures import METRIC, MODE, Measured, Split, measure, same_for_all, split
from recommendations.training.fitting import case_weights, fit_all, weights_of
from recommendations.training.peak_memory import PeakMemory
from recommendations.training.preparation import Prepared, prepare
from recommendations.training.recipe import Recipe
from recommendations.training.reporting import Reporter
from tracking.selectors.interactions import read_interactions

THRESHOLDS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
WEIGHTINGS = ("cosine", "tfidf", "bm25")
Protocol = Literal["time", "leave-one-out"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)


def evaluate_store(
    store: Store,
    recipe: Recipe,
    share: float,
    cases: int,
    seed: int,
    reporter: Reporter,
    protocol: Protocol = "time",
) -> dict[str, Any]:
    """The report of `Measured.report` with, for the blend and each strategy, `intervals` and `densities` of NDCG@10 on products not
    seen before, and `weights`, `train_seconds`, and `seconds` and `memory_mb` of training per strategy. Raises TooLittleData,
    ValueError."""
    prepared = _prepared(store, reporter)
    rng = np.random.default_rng(seed)
    halves = _halves(prepared.data, protocol, rng, share, cases)
    costs = _Costs(reporter)
    started = perf_counter()
    strategies = fit_all(recipe, halves.train, seed, costs, "fit")
    train_seconds = perf_counter() - started
    blend = measured_blend(store.pk)
    weights, method = weights_of(blend)
    audience = audience_of(store.pk, prepared.people)
    with reporter.step("measure"):
        measured = measure(
            strategies, halves.cases, halves.train, case_weights(blend, audience), method, reporter.progress
        )
    return {
        "protocol": protocol,
        **measured.report(rng, audience),
        **_spread(measured, rng),
        "weights": {name: weight for name, weight in weights.items() if name in strategies},
        "train_seconds": round(train_seconds, 3),
        "seconds": costs.seconds,
        "memory_mb": costs.megabytes,
    }


def _halves(
    data: TrainingData, protocol: Protocol, rng: np.random.Generator, share: float, limit: int
) -> Split:
    """Refuses what would leak. Raises ValueError where one half is empty."""
    if protocol == "time":
        halves = split(data, rng, share=share, limit=limit)
    else:
        train, asked = leave_last_out(data)
        drawn = np.sort(rng.choice(len(asked), min(limit, len(asked)), replace=False))
        halves = Split(train, [asked[n] for n in drawn], data.now)
    if not halves.cases or not len(halves.train):
        raise ValueError(
            "the log is too short to be split: nothing was chosen after the past that would be learned from"
        )
    refuse_leak(halves.train, halves.cases)
    return halves


def _spread(measured: Measured, rng: np.random.Generator) -> dict[str, Any]:
    """Bootstrap intervals and density classes of each ranking; classes of fewer than ten people are left out."""
    classes = density_classes(measured.cases)
    hidden = _few_people(classes)
    intervals, densities = {}, {}
    for name, by_mode in measured.figures.items():
        interval = by_mode[MODE].interval(METRIC, rng)
        if np.isfinite([interval.low, interval.high]).all():
            intervals[name] = [round(interval.low, 5), round(interval.high, 5)]
        densities[name] = {
            label: round(value, 5)
            for label, value in by_mode[MODE].by_class(METRIC, classes).items()
            if label not in hidden
        }
    return {"intervals": intervals, "densities": densities}


def _few_people(classes: Sequence[str]) -> set[str]:
    """Classes of which nothing is said, since fewer than ten people are in them, or who is could be told from the others and all."""
    counts = Counter(classes)
    is_hidden = hidden_cells(list(counts.values()), adds_up=True)
    return {label for label, hides in zip(counts, is_hidden, strict=True) if hides}


class _Costs:
    """Passes a reporter's steps on, and keeps the seconds and megabytes of each "fit" step."""

    def __init__(self, inner: Reporter) -> None:
        self.inner = inner
        self.progress = inner.progress
        self.seconds: dict[str, float] = {}
        self.megabytes: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = perf_counter()
        with self.inner.step(name), PeakMemory() as peak:
            yield
        strategy = name.removeprefix("fit ")
        self.seconds[strategy] = round(perf_counter() - started, 3)
        self.megabytes[strategy] = round(peak.added_mb, 1)


def sweep_threshold(
    store: Store, share: float, cases: int, seed: int, reporter: Reporter, protocol: Protocol = "time"
) -> list[dict[str, Any]]:
    """Precision, recall and coverage at 10 of item-item neighbours on products not seen before: for each of WEIGHTINGS each of
    THRESHOLDS, rising."""
    prepared = _prepared(store, reporter)
    halves = _halves(prepared.data, protocol, np.random.default_rng(seed), share, cases)
    rows = []
    for weighting, threshold in reporter.progress([(w, t) for w in WEIGHTINGS for t in THRESHOLDS]):
        strategy = ItemKNN(weighting=weighting, threshold=threshold)
        strategy.fit(halves.train, np.random.default_rng(seed))
        alone = same_for_all({"item_knn": 1.0})
        measured = measure({"item_knn": strategy}, halves.cases, halves.train, alone, "max")
        figures = measured.figures["item_knn"][MODE]
        summary = figures.summary()
        rows.append(
            {
                "weighting": weighting,
                "threshold": threshold,
                "precision@10": round(precision(figures, measured.cases), 5),
                "recall@10": round(summary["recall@10"], 5),
                "coverage@10": round(summary["coverage@10"], 5),
            }
        )
    return rows


def _prepared(store: Store, reporter: Reporter) -> Prepared:
    now = timezone.now()
    with reporter.step("read the log"):
        interactions = read_interactions(store, until=now)
    with reporter.step("prepare"):
        return prepare(
            store.pk, interactions, catalogue_items(store.pk), event_weights(store.pk), now.timestamp()
        )
