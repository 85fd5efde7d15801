"""How well products that nobody has touched yet are ranked: part of the products is held out, as if it came in tomorrow.

All interactions with held-out products leave the training part and the histories that shoppers are asked with; what is known of
them is what the catalogue says. New products are ranked among new products only: for each shopper, all that were held out; relevant
are those that they then chose. Parameters are chosen on a validation slice with held-out products of its own, drawn from the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from algorithms import metrics, text_embeddings
from algorithms.content import ContentTFIDF
from algorithms.evaluation import TestCase
from algorithms.experiments import Interval, bootstrap_mean
from algorithms.lightfm import LightFMHybrid
from algorithms.new_items import NewItems
from algorithms.ranking import mean_ranks
from algorithms.text_embeddings import TextEmbeddings
from algorithms.types import Bool, Float32, Float64, Query, Strategy, TrainingData
from benchmarks.quality.new_items_lightfm import LightFMPeer
from benchmarks.quality.run import Progress
from benchmarks.quality.task import Task, UnreadableFolder

SHARE = 0.15
MOST_CASES = 2_000
BLOCK = 64
METRICS: Mapping[str, Callable[[Float64, Any, int, int], Float64]] = {
    "recall": metrics.recall,
    "hit_rate": metrics.hit_rate,
    "ndcg": metrics.ndcg,
    "mrr": metrics.mrr,
}
CUTOFF = 10

MAPPED: dict[str, Any] = {"mapped_weight": 1.0, "demand_weight": 0.0}
BY_CONTENT: dict[str, Any] = {"demand_weight": 0.0, "query_decay": 0.95, "query_length": 100}
VARIANTS: Mapping[str, Sequence[dict[str, Any]]] = {
    "new_items": [
        {},
        {"demand_weight": 0.0},
        MAPPED | {"content_weight": 0.0},
        MAPPED | {"content_weight": 0.5},
        BY_CONTENT | {"carried_weight": 0.3},
        BY_CONTENT | {"carried_weight": 0.3, "mapped_weight": 1.0},
    ],
    "text_embeddings": [{}, {"query_decay": 0.95, "query_length": 100}],
    "content": [{}, {"query_decay": 0.95, "query_length": 100}, {"feature_weight": 0.3}],
    "lightfm": [{}, {"factors": 32}],
    "LightFM": [
        {},
        {"factors": 32},
        {"factors": 128},
        {"factors": 128, "epochs": 30},
        {"item_alpha": 1e-5, "user_alpha": 1e-5},
        {"factors": 128, "epochs": 30, "item_alpha": 1e-6, "user_alpha": 1e-6},
    ],
    "LightFM hybrid": [{}, {"factors": 32}],
}
"""As many trials for LightFM by features alone, the stronger opponent, as for ours. The first of each is the default."""
SLOW = frozenset({"lightfm", "LightFM", "LightFM hybrid"})
LARGE_LOG = 400_000
LARGE_VARIANTS: Mapping[str, Sequence[dict[str, Any]]] = {
    "new_items": [{}, MAPPED | {"content_weight": 0.5}, BY_CONTENT | {"carried_weight": 0.3}],
    "LightFM": [{"epochs": 10}, {"factors": 32, "epochs": 10}, {"factors": 32, "epochs": 20}],
    "LightFM hybrid": [{"epochs": 10}],
    "lightfm": [{"epochs": 10}],
}
"""On a larger log, where a training of the slow ones takes minutes: fewer, and again as many for LightFM as for ours."""
BUILDERS: Mapping[str, Callable[..., Strategy | LightFMPeer]] = {
    "new_items": NewItems,
    "text_embeddings": TextEmbeddings,
    "content": ContentTFIDF,
    "lightfm": LightFMHybrid,
    "LightFM": LightFMPeer,
    "LightFM hybrid": partial(LightFMPeer, own_embeddings=True),
}


@dataclass(frozen=True)
class Slice:
    """`data` to learn from, which knows the items where `new` (n_items,) is true by the catalogue alone; targets are among them."""

    data: TrainingData
    cases: list[TestCase]
    new: Bool


@dataclass
class NewItemsMeasurement:
    task: Task
    test: Slice
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    train_seconds: dict[str, float] = field(default_factory=dict)
    per_case: dict[str, dict[str, Float64]] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)  # of recall
    ratio: Interval | None = None  # of recall to the better LightFM's
    best_lightfm: str = ""
    total_seconds: float = 0.0

    def mean(self, name: str, metric: str) -> float:
        return float(np.nanmean(self.per_case[name][metric]))

    @property
    def by_chance(self) -> float:
        """Recall of a ranking by lot."""
        return min(CUTOFF / int(self.test.new.sum()), 1.0)


def hold_out(
    data: TrainingData, cases: Sequence[TestCase], candidates: Bool, rng: np.random.Generator
) -> Slice:
    """Of the `candidates` (n_items,) that have interactions, SHARE is drawn to be new."""
    touched = np.flatnonzero(candidates & (np.bincount(data.item, minlength=data.n_items) > 0))
    new = np.zeros(data.n_items, np.bool_)
    new[rng.choice(touched, round(SHARE * len(touched)), replace=False)] = True
    return _without(data, cases, new, new)


def _without(data: TrainingData, cases: Sequence[TestCase], new: Bool, unknown: Bool) -> Slice:
    """`unknown` items leave data and histories, the targets are those among `new` that the shopper had really never met."""
    asked = []
    for case in cases:
        kept = ~unknown[case.query.items]
        targets = case.targets[new[case.targets] & ~np.isin(case.targets, case.seen_items)]
        if len(targets) and kept.any():
            asked.append(TestCase(_part(case.query, kept), targets, case.user))
    created = np.where(new, data.now - 1.0, 0.0)
    return Slice(replace(data.select(~unknown[data.item]), item_created=created), asked, new)


def _part(query: Query, kept: Bool) -> Query:
    return replace(
        query,
        items=query.items[kept],
        weights=query.weights[kept],
        timestamps=query.timestamps[kept],
        purchased=query.purchased[kept],
        session_start=int(kept[: query.session_start].sum()),
    )


def slices(task: Task, seed: int) -> tuple[Slice, Slice]:
    """For validation and for the test. What is new in the test is unknown in the validation too."""
    if task.train.item_texts is None and task.train.item_features is None:
        raise UnreadableFolder(
            f"{task.name} says nothing of its items: new ones cannot be told apart. Add items.parquet (item_id, then any "
            "text, category or number columns)."
        )
    rng = np.random.default_rng([seed, 15])
    task = _embedded(task)
    everything = np.ones(task.train.n_items, np.bool_)
    test = hold_out(task.train, task.test, everything, rng)
    drawn = hold_out(task.past, task.validation, ~test.new, rng)
    validation = _without(task.past, task.validation, drawn.new, drawn.new | test.new)
    return _some(validation, rng), _some(test, rng)


def _embedded(task: Task) -> Task:
    """With word embeddings of the texts, where the optional packages are installed."""
    texts = task.train.item_texts
    if texts is None or not text_embeddings.is_installed():
        return task
    vectors = text_embeddings.embed(texts)
    return replace(
        task,
        train=replace(task.train, item_text_vectors=vectors),
        past=replace(task.past, item_text_vectors=vectors),
    )


def _some(part: Slice, rng: np.random.Generator) -> Slice:
    if len(part.cases) <= MOST_CASES:
        return part
    picked = np.sort(rng.choice(len(part.cases), MOST_CASES, replace=False))
    return replace(part, cases=[part.cases[n] for n in picked])


def measure(strategy: Strategy | LightFMPeer, part: Slice) -> dict[str, Float64]:
    """Per case, by metric; all new items ranked among themselves, ties at their mean rank."""
    ranks = []
    for start in range(0, len(part.cases), BLOCK):
        block = part.cases[start : start + BLOCK]
        scores = _scores(strategy, block)
        rows = np.repeat(np.arange(len(block)), [len(case.targets) for case in block])
        targets = np.concatenate([case.targets for case in block])
        ranks.append(mean_ranks(scores, rows, targets, np.broadcast_to(~part.new, scores.shape).copy()))
    rows = np.repeat(np.arange(len(part.cases)), [len(case.targets) for case in part.cases])
    every = np.concatenate(ranks)
    return {name: metric(every, rows, len(part.cases), CUTOFF) for name, metric in METRICS.items()}


def _scores(strategy: Strategy | LightFMPeer, cases: Sequence[TestCase]) -> Float32:
    if isinstance(strategy, LightFMPeer):
        return strategy.score_users([case.user for case in cases])
    return strategy.score_many([case.query for case in cases])


def run(
    task: Task,
    *,
    seed: int = 0,
    progress: Progress[Any] = lambda steps, _: steps,
) -> NewItemsMeasurement:
    """Raises UnreadableFolder where nothing is known of items, or nobody chose a held-out one."""
    started = time.perf_counter()
    validation, test = slices(task, seed)
    if not test.cases or not validation.cases:
        raise UnreadableFolder(f"{task.name} is too small: nobody chose any of the items that were held out.")
    result = NewItemsMeasurement(task, test)
    rng = np.random.default_rng(seed)
    names = [name for name in BUILDERS if _can_speak(name, test)]
    for name in progress(names, "strategies"):
        result.parameters[name] = _choose(name, validation, seed, progress)
        begun = time.perf_counter()
        fitted = _fit(name, result.parameters[name], test, seed)
        result.train_seconds[name] = time.perf_counter() - begun
        result.per_case[name] = measure(fitted, test)
        result.intervals[name] = bootstrap_mean(result.per_case[name]["recall"], rng)
    result.best_lightfm = max(
        (name for name in names if name.lower().startswith("lightfm")),
        key=lambda name: result.mean(name, "recall"),
    )
    result.ratio = ratio(
        result.per_case["new_items"]["recall"], result.per_case[result.best_lightfm]["recall"], rng
    )
    result.total_seconds = time.perf_counter() - started
    return result


def _can_speak(name: str, test: Slice) -> bool:
    if name in ("LightFM", "LightFM hybrid"):
        return all(case.user >= 0 for case in test.cases)
    return name != "text_embeddings" or test.data.item_text_vectors is not None


def _choose(name: str, part: Slice, seed: int, progress: Progress[Any]) -> dict[str, Any]:
    """The variant with the best recall on the validation slice; the first of equals."""
    variants = VARIANTS[name]
    if len(part.data) > LARGE_LOG:
        variants = LARGE_VARIANTS.get(name, variants)
    if len(variants) == 1:
        return dict(variants[0])
    found = [
        float(np.nanmean(measure(_fit(name, variant, part, seed), part)["recall"]))
        for variant in progress(variants, f"{name}: parameters")
    ]
    return dict(variants[int(np.argmax(found))])


def _fit(name: str, parameters: Mapping[str, Any], part: Slice, seed: int) -> Strategy | LightFMPeer:
    fixed = {"most": part.data.n_items} if name == "new_items" else {"threads": 2} if name in SLOW else {}
    return BUILDERS[name](**fixed, **parameters).fit(part.data, np.random.default_rng([seed, *name.encode()]))


def ratio(ours: Float64, theirs: Float64, rng: np.random.Generator, *, resamples: int = 1000) -> Interval:
    """mean(ours) / mean(theirs) over the same cases, with the 95 % percentile interval of resampling them in pairs."""
    n = len(ours)
    draws = [
        ours[pick].mean() / max(theirs[pick].mean(), 1e-12)
        for pick in (rng.integers(n, size=n) for _ in range(resamples))
    ]
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(float(ours.mean() / max(theirs.mean(), 1e-12)), float(low), float(high))
