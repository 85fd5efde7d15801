"""Offline figures without a version: what `manage.py evaluate` prints."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
from django.utils import timezone

from accounts.models import Store
from algorithms.evaluation import LIST_LENGTH, TestCase
from algorithms.item_knn import ItemKNN
from algorithms.ranking import top_k
from algorithms.types import Strategy
from recommendations.selectors.audience import audience_of
from recommendations.selectors.event_weights import event_weights
from recommendations.selectors.training import catalogue_items, measured_blend
from recommendations.training.figures import MODE, measure, same_for_all, split
from recommendations.training.fitting import case_weights, fit_all, weights_of
from recommendations.training.preparation import Prepared, prepare
from recommendations.training.recipe import Recipe
from recommendations.training.reporting import Noting, Reporter
from tracking.selectors.interactions import read_interactions

THRESHOLDS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)


def evaluate_store(
    store: Store, recipe: Recipe, share: float, cases: int, seed: int, reporter: Reporter
) -> dict[str, Any]:
    """The report of `Measured.report` with `weights`, `train_seconds` and `seconds` per strategy. Raises TooLittleData, ValueError."""
    prepared = _prepared(store, reporter)
    rng = np.random.default_rng(seed)
    halves = split(prepared.data, rng, share=share, limit=cases)
    if not halves.cases or not len(halves.train):
        raise ValueError(
            "the log is too short to be split in time: nothing was chosen after the past that would be learned from"
        )
    seconds: dict[str, float] = {}
    noting = Noting(
        reporter,
        lambda name: None,
        lambda name, s: seconds.__setitem__(name.removeprefix("fit "), round(s, 3)),
    )
    started = perf_counter()
    strategies = fit_all(recipe, halves.train, seed, noting, "fit")
    train_seconds = perf_counter() - started
    blend = measured_blend(store.pk)
    weights, method = weights_of(blend)
    audience = audience_of(store.pk, prepared.people)
    with reporter.step("measure"):
        measured = measure(
            strategies, halves.cases, halves.train, case_weights(blend, audience), method, reporter.progress
        )
    return {
        **measured.report(rng, audience),
        "weights": {name: weight for name, weight in weights.items() if name in strategies},
        "train_seconds": round(train_seconds, 3),
        "seconds": seconds,
    }


def sweep_threshold(
    store: Store, share: float, cases: int, seed: int, reporter: Reporter
) -> list[dict[str, float]]:
    """Precision, recall and coverage at 10 of item-item neighbours for each of THRESHOLDS, on products not seen before."""
    prepared = _prepared(store, reporter)
    halves = split(prepared.data, np.random.default_rng(seed), share=share, limit=cases)
    rows = []
    for threshold in reporter.progress(THRESHOLDS):
        strategy: Strategy = ItemKNN(threshold=threshold).fit(halves.train, np.random.default_rng(seed))
        alone = same_for_all({"item_knn": 1.0})
        measured = measure({"item_knn": strategy}, halves.cases, halves.train, alone, "max")
        summary = measured.figures["item_knn"][MODE].summary()
        precision = float(np.mean([_precision(strategy, case) for case in measured.cases]))
        rows.append(
            {
                "threshold": threshold,
                "precision@10": round(precision, 5),
                "recall@10": round(summary["recall@10"], 5),
                "coverage@10": round(summary["coverage@10"], 5),
            }
        )
    return rows


def _precision(strategy: Strategy, case: TestCase) -> float:
    """Share of what is listed, at most 10, that was chosen; 0 where nothing is listed."""
    scores = strategy.score(case.query)
    scores[case.query.items[case.query.items < len(scores)]] = 0.0
    listed = top_k(scores, LIST_LENGTH)
    return float(np.isin(listed, case.targets).mean()) if len(listed) else 0.0


def _prepared(store: Store, reporter: Reporter) -> Prepared:
    now = timezone.now()
    with reporter.step("read the log"):
        interactions = read_interactions(store, until=now)
    with reporter.step("prepare"):
        return prepare(
            store.pk, interactions, catalogue_items(store.pk), event_weights(store.pk), now.timestamp()
        )
