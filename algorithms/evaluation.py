"""Offline evaluation: every item is ranked for every case, never a sample (Krichene and Rendle, "On Sampled Metrics for
Item Recommendation", KDD 2020), and equal scores share the mean of their ranks.

Each figure is taken twice: over all items, and over items that the shopper has not seen ("unseen"), where seen items
leave both the ranking and the relevant items; a case with no relevant item left does not count there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from algorithms import metrics
from algorithms.blend import Method, blend
from algorithms.experiments import Interval, bootstrap_mean
from algorithms.ranking import mean_ranks, top_k_rows
from algorithms.types import Bool, Float32, Float64, Int32, Int64, Query, Strategy

Mode = Literal["all", "unseen"]
MODES: tuple[Mode, ...] = ("all", "unseen")
CUTOFFS = (10, 20)
LIST_LENGTH = 10
BLOCK_BYTES = 96 * 2**20

PER_CASE: dict[str, Callable[[Float64, Int64, int, int], Float64]] = {
    "recall": metrics.recall,
    "hit_rate": metrics.hit_rate,
    "mrr": metrics.mrr,
    "ndcg": metrics.ndcg,
}
DENSITIES = ("0", "1", "2-4", "5+")
"""Classes of how many distinct items are known of a shopper."""


@dataclass(frozen=True)
class TestCase:
    """A shopper as they were known, and what they then chose (at least one item). `user` is their number, -1 where none is known.

    `seen` is every item that they had met, where the query carries only the newest; None where the query has all.
    """

    __test__ = False  # not a test of pytest's

    query: Query
    targets: Int32
    user: int = -1
    seen: Int32 | None = None

    @property
    def seen_items(self) -> Int32:
        """What does not count as new to the shopper."""
        return self.query.items if self.seen is None else self.seen


@dataclass(frozen=True)
class Blend:
    """A mix to evaluate beside its strategies. A class of `by_density` (one of DENSITIES) has weights of its own."""

    weights: Mapping[str, float]
    method: Method = "max"
    by_density: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    modes: Sequence[Mode] = MODES
    """What it is measured in, where `evaluate` is asked for both."""
    correction: Callable[[Sequence[TestCase], Mapping[str, Float32], Float32], Float32] | None = None
    """Takes cases, (q, n_items) scores by strategy and what the blend made of them; gives what is ranked instead."""


@dataclass(frozen=True)
class Figures:
    """What was measured of one ranking. `per_case` holds (n_cases,) values, NaN where a case does not count."""

    per_case: dict[str, Float64]  # "ndcg@10" …
    lists: Int32  # (n_lists, LIST_LENGTH) what was recommended, padded with -1
    listed: Int64  # (n_lists,) the case of each list, ascending
    exposure: Int64  # (n_items,) how often each item stood in a list of LIST_LENGTH
    novelty: float  # bits
    repeat_share: float
    diversity: float | None  # None without groups

    def mean(self, metric: str) -> float:
        values = self.per_case[metric]
        counted = values[~np.isnan(values)]
        return float(counted.mean()) if len(counted) else 0.0

    def interval(self, metric: str, rng: np.random.Generator) -> Interval:
        values = self.per_case[metric]
        return bootstrap_mean(values[~np.isnan(values)], rng)

    def by_class(self, metric: str, classes: Sequence[str]) -> dict[str, float]:
        """Mean of `metric` for each class of cases; classes in which no case counts are left out."""
        values, labels = self.per_case[metric], np.asarray(classes)
        counted = ~np.isnan(values)
        return {str(c): float(values[counted & (labels == c)].mean()) for c in np.unique(labels[counted])}

    def summary(self) -> dict[str, float]:
        """Means under the names that reports use."""
        figures = {metric: self.mean(metric) for metric in self.per_case}
        figures[f"coverage@{LIST_LENGTH}"] = metrics.coverage(self.exposure)
        figures[f"novelty@{LIST_LENGTH}"] = self.novelty
        figures[f"gini@{LIST_LENGTH}"] = metrics.gini(self.exposure)
        figures[f"repeats@{LIST_LENGTH}"] = self.repeat_share
        if self.diversity is not None:
            figures[f"diversity@{LIST_LENGTH}"] = self.diversity
        return figures | {"cases": float((~np.isnan(next(iter(self.per_case.values())))).sum())}


def density_classes(cases: Sequence[TestCase]) -> list[str]:
    """One of DENSITIES for each case."""
    bounds = np.searchsorted([1, 2, 5], [len(np.unique(case.query.items)) for case in cases], side="right")
    return [DENSITIES[b] for b in bounds]


def precision(figures: Figures, cases: Sequence[TestCase]) -> float:
    """Mean share of what is listed, at most LIST_LENGTH, that was chosen, of the cases that count; 0 where nothing is listed."""
    shares = [
        float(np.isin(row[row >= 0], cases[case].targets).mean()) if (row >= 0).any() else 0.0
        for row, case in zip(figures.lists, figures.listed.tolist(), strict=True)
    ]
    return float(np.mean(shares)) if shares else 0.0


def evaluate(
    strategies: Mapping[str, Strategy],
    cases: Sequence[TestCase],
    *,
    blends: Mapping[str, Blend] | None = None,
    modes: Sequence[Mode] = MODES,
    popularity: Int64 | Float64 | None = None,
    groups: Int32 | None = None,
    progress: Callable[[Iterable[slice]], Iterable[slice]] = iter,
    threads: int = 1,
) -> dict[str, dict[Mode, Figures]]:
    """Rank all items of every case by every strategy and blend; figures by name and mode.

    `popularity` (n_items,) is what novelty is measured against, `groups` (n_items,) what diversity is, such as
    categories; `progress` may wrap the blocks of cases in a progress bar; `threads` share the work. Raises ValueError
    without cases, for a blend that has the name of a strategy, and for a target that no strategy knows.
    """
    blends = blends or {}
    n_items = _check(strategies, cases, blends)
    wanted = dict.fromkeys(strategies, tuple(modes)) | {
        name: tuple(mode for mode in modes if mode in mix.modes) for name, mix in blends.items()
    }
    recorders = {name: {mode: _Recorder(len(cases), n_items) for mode in of} for name, of in wanted.items()}
    block = max(1, BLOCK_BYTES // (4 * max(n_items, 1) * max(len(strategies), 1)))
    with ThreadPoolExecutor(threads) as pool:
        for span in progress([slice(start, start + block) for start in range(0, len(cases), block)]):
            _rank_block(strategies, blends, cases[span], span.start, recorders, pool)
    frequency = np.zeros(n_items) if popularity is None else popularity
    return {
        name: {mode: recorder.figures(frequency, groups) for mode, recorder in by_mode.items()}
        for name, by_mode in recorders.items()
    }


def _rank_block(
    strategies: Mapping[str, Strategy],
    blends: Mapping[str, Blend],
    part: Sequence[TestCase],
    start: int,
    recorders: Mapping[str, Mapping[Mode, _Recorder]],
    pool: ThreadPoolExecutor,
) -> None:
    n_items = next(iter(strategies.values())).n_items
    seen = _seen(part, n_items)
    queries = [case.query for case in part]
    opinions = pool.map(lambda strategy: strategy.score_many(queries), strategies.values())
    scores = dict(zip(strategies, opinions, strict=True))

    def record(name: str, mode: Mode) -> None:
        total = scores[name] if name in scores else _ranked_by(scores, blends[name], part)
        recorders[name][mode].add(total, part, start, seen, mode)

    for mode in MODES:  # "all" first: what was seen then leaves the scores for good
        if mode == "unseen":
            for row in scores.values():
                row[seen] = 0.0
        names = [name for name, by_mode in recorders.items() if mode in by_mode]
        list(pool.map(record, names, [mode] * len(names)))


def _ranked_by(scores: Mapping[str, Float32], mix: Blend, part: Sequence[TestCase]) -> Float32:
    total = _mixed(scores, mix, part)
    return total if mix.correction is None else mix.correction(part, scores, total)


def _mixed(scores: Mapping[str, Float32], mix: Blend, part: Sequence[TestCase]) -> Float32:
    if not mix.by_density:
        return blend(scores, mix.weights, mix.method).total
    classes = np.array(density_classes(part))
    total = np.zeros_like(next(iter(scores.values())))
    for label in np.unique(classes):
        rows = np.flatnonzero(classes == label)
        weights = mix.by_density.get(str(label), mix.weights)
        total[rows] = blend({name: row[rows] for name, row in scores.items()}, weights, mix.method).total
    return total


def _check(strategies: Mapping[str, Strategy], cases: Sequence[TestCase], blends: Mapping[str, Blend]) -> int:
    if not cases:
        raise ValueError("no cases to evaluate: the test window holds no shopper with a next item")
    if both := set(strategies) & set(blends):
        raise ValueError(f"{', '.join(sorted(both))} name a strategy and a blend: rename the blend")
    sizes = {name: strategy.n_items for name, strategy in strategies.items()}
    if len(set(sizes.values())) != 1:
        raise ValueError(f"strategies must know the same number of items, found {sizes}")
    n_items = next(iter(sizes.values()))
    if any(not len(c.targets) or c.targets.min() < 0 or c.targets.max() >= n_items for c in cases):
        raise ValueError(f"targets must be items 0..{n_items - 1}, at least one in every case")
    return n_items


def _seen(cases: Sequence[TestCase], n_items: int) -> Bool:
    seen = np.zeros((len(cases), n_items), np.bool_)
    for row, case in enumerate(cases):
        seen[row, case.seen_items[case.seen_items < n_items]] = True
    return seen


@dataclass
class _Recorder:
    """Collects ranks and lists of one ranking, block by block."""

    n_cases: int
    n_items: int
    ranks: list[Float64] = field(default_factory=list)
    cases: list[Int64] = field(default_factory=list)
    lists: list[Int32] = field(default_factory=list)
    listed_cases: list[Int64] = field(default_factory=list)
    repeats: int = 0
    listed: int = 0

    def add(self, scores: Float32, part: Sequence[TestCase], start: int, seen: Bool, mode: Mode) -> None:
        rows = np.repeat(np.arange(len(part)), [len(case.targets) for case in part])
        targets = np.concatenate([case.targets for case in part])
        if mode == "unseen":
            fresh = ~seen[rows, targets]
            rows, targets = rows[fresh], targets[fresh]
        self.ranks.append(mean_ranks(scores, rows, targets, seen if mode == "unseen" else None))
        self.cases.append(rows + start)
        counted = np.unique(rows) if mode == "unseen" else np.arange(len(part))
        self.listed_cases.append(counted + start)
        lists = top_k_rows(scores, counted, LIST_LENGTH)
        listed = lists >= 0
        self.listed += int(listed.sum())
        self.repeats += int(
            (np.take_along_axis(seen[counted], np.where(listed, lists, 0), axis=1) & listed).sum()
        )
        self.lists.append(lists)

    def figures(self, popularity: Int64 | Float64, groups: Int32 | None) -> Figures:
        ranks, cases = np.concatenate(self.ranks), np.concatenate(self.cases)
        lists = np.concatenate(self.lists)
        exposure = np.bincount(lists[lists >= 0], minlength=self.n_items)
        return Figures(
            per_case={
                f"{name}@{k}": metric(ranks, cases, self.n_cases, k)
                for name, metric in PER_CASE.items()
                for k in CUTOFFS
            },
            lists=lists,
            listed=np.concatenate(self.listed_cases),
            exposure=exposure,
            novelty=metrics.novelty(exposure, popularity),
            repeat_share=self.repeats / self.listed if self.listed else 0.0,
            diversity=None if groups is None else metrics.diversity(lists, groups),
        )
