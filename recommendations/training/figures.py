"""Offline figures of a recipe: learn from the past, rank all items for what shoppers then chose."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from algorithms import metrics
from algorithms.blend import Method
from algorithms.evaluation import MODES, Blend, Figures, Mode, TestCase, density_classes, evaluate
from algorithms.experiments import Interval
from algorithms.splits import cutoff_for, next_choices
from algorithms.types import Float64, Int32, Int64, Strategy, TrainingData
from recommendations.training.groups import Audience, Groups

TEST_SHARE = 0.15
MAX_CASES = 2000
METRIC = "ndcg@10"
MODE: Mode = "unseen"
BLEND, POPULARITY = "blend", "popular"
Progress = Callable[[Iterable[slice]], Iterable[slice]]
Weights = Mapping[str, float]
CaseWeights = Callable[[TestCase], Weights]
NOBODY = Audience()


@dataclass(frozen=True)
class Split:
    """`train` ends at `cutoff` (Unix seconds); `cases` are what was chosen after it."""

    train: TrainingData
    cases: Sequence[TestCase]
    cutoff: float


@dataclass(frozen=True)
class Measured:
    """Figures by strategy, and of their `blend`, by mode. `popularity` (n_items,) counts interactions before the test, `categories`
    (n_items,) is what variety is measured by."""

    figures: Mapping[str, Mapping[Mode, Figures]]
    cases: Sequence[TestCase]
    popularity: Int64
    categories: Int32 | None = None

    @property
    def case_count(self) -> int:
        """Cases that count for the gate: those with something not seen before among what was chosen."""
        return int((~np.isnan(self.per_case(BLEND))).sum())

    def per_case(self, name: str) -> Float64:
        return self.figures[name][MODE].per_case[METRIC]

    def report(self, rng: np.random.Generator, audience: Audience = NOBODY) -> dict[str, Any]:
        """What is stored with the version and printed by `evaluate`: JSON."""
        names = [name for name in self.figures if name != BLEND]
        blend = self.figures[BLEND]
        interval = blend[MODE].interval(METRIC, rng)
        return {
            "cases": len(self.cases),
            "unseen_cases": self.case_count,
            "blend": _rounded(blend["all"].summary()),
            "strategies": {name: _rounded(self.figures[name]["all"].summary()) for name in names},
            "unseen": {name: _rounded(self.figures[name]["unseen"].summary()) for name in (BLEND, *names)},
            "interval": _interval(interval),
            "by_density": _rounded(blend[MODE].by_class(METRIC, density_classes(self.cases))),
            "groups": self._groups().report(audience, rng) if POPULARITY in self.figures else {},
        }

    def _groups(self) -> Groups:
        blend, popular = (self.figures[name][MODE] for name in (BLEND, POPULARITY))
        return Groups(self.cases, blend, popular, self.popularity, self.categories)


def split(
    data: TrainingData, rng: np.random.Generator, *, share: float = TEST_SHARE, limit: int = MAX_CASES
) -> Split:
    """By time: the last `share` of interactions are tested, on `limit` choices drawn from them."""
    cutoff = cutoff_for(data, share)
    train, cases = next_choices(data, cutoff, limit=limit, rng=rng)
    return Split(train, cases, cutoff)


def same_for_all(weights: Weights) -> CaseWeights:
    return lambda case: weights


def measure(
    strategies: Mapping[str, Strategy],
    cases: Sequence[TestCase],
    data: TrainingData,
    weights_of: CaseWeights,
    normalisation: Method,
    progress: Progress = iter,
) -> Measured:
    """`weights_of` a case are those that its shopper's shelf would be blended with; strategies that are not among `strategies` do not
    take part, and where none is left all of them do."""
    popularity = np.bincount(data.item, minlength=data.n_items)
    known = [case for case in (_within(case, data.n_items) for case in cases) if len(case.targets)]
    of_mix: defaultdict[tuple[tuple[str, float], ...], list[int]] = defaultdict(list)
    for number, case in enumerate(known):
        of_mix[_mix(weights_of(case), strategies)].append(number)
    parts = []
    for mix, numbers in of_mix.items():
        figures = evaluate(
            strategies,
            [known[number] for number in numbers],
            blends={BLEND: Blend(dict(mix), normalisation)},
            popularity=popularity,
            groups=data.item_category,
            progress=progress,
        )
        parts.append((np.array(numbers), figures))
    if len(parts) == 1:
        return Measured(parts[0][1], known, popularity, data.item_category)
    joined = {
        name: {
            mode: _joined([(of, part[name][mode]) for of, part in parts], popularity, data.item_category)
            for mode in MODES
        }
        for name in (*strategies, BLEND)
    }
    return Measured(joined, known, popularity, data.item_category)


def _mix(weights: Weights, strategies: Mapping[str, Strategy]) -> tuple[tuple[str, float], ...]:
    """What can be looked up by."""
    taking_part = {name: float(w) for name, w in weights.items() if name in strategies and w > 0}
    return tuple(sorted((taking_part or dict.fromkeys(strategies, 1.0)).items()))


def _joined(parts: Sequence[tuple[Int64, Figures]], popularity: Int64, categories: Int32 | None) -> Figures:
    """Figures of all cases from those of parts that share none; each part comes with the numbers of its cases."""
    n_cases = sum(len(numbers) for numbers, _ in parts)
    per_case = {metric: np.full(n_cases, np.nan) for metric in parts[0][1].per_case}
    for numbers, part in parts:
        for metric, values in part.per_case.items():
            per_case[metric][numbers] = values
    listed = np.concatenate([numbers[part.listed] for numbers, part in parts])
    order = np.argsort(listed, kind="stable")
    lists = np.concatenate([part.lists for _, part in parts])[order]
    exposure = np.bincount(lists[lists >= 0], minlength=len(popularity))
    shown = [int((part.lists >= 0).sum()) for _, part in parts]
    repeats = sum(part.repeat_share * n for (_, part), n in zip(parts, shown, strict=True))
    return Figures(
        per_case=per_case,
        lists=lists,
        listed=listed[order],
        exposure=exposure,
        novelty=metrics.novelty(exposure, popularity),
        repeat_share=repeats / sum(shown) if sum(shown) else 0.0,
        diversity=None if categories is None else metrics.diversity(lists, categories),
    )


def _within(case: TestCase, n_items: int) -> TestCase:
    return replace(case, targets=case.targets[case.targets < n_items])


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 5) for name, value in values.items()}


def _interval(interval: Interval) -> dict[str, float | None]:
    bounds = {"estimate": interval.estimate, "low": interval.low, "high": interval.high}
    return {name: round(value, 5) if np.isfinite(value) else None for name, value in bounds.items()}
