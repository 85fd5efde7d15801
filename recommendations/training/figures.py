"""Offline figures of a recipe: learn from the past, rank all items for what shoppers then chose."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from algorithms.blend import Method
from algorithms.evaluation import Blend, Figures, Mode, TestCase, density_classes, evaluate
from algorithms.experiments import Interval
from algorithms.splits import cutoff_for, next_choices
from algorithms.types import Strategy, TrainingData

TEST_SHARE = 0.15
MAX_CASES = 2000
METRIC = "ndcg@10"
MODE: Mode = "unseen"
BLEND, POPULARITY = "blend", "popular"
Progress = Callable[[Iterable[slice]], Iterable[slice]]


@dataclass(frozen=True)
class Split:
    """`train` ends at `cutoff` (Unix seconds); `cases` are what was chosen after it."""

    train: TrainingData
    cases: Sequence[TestCase]
    cutoff: float


@dataclass(frozen=True)
class Measured:
    """Figures by strategy, and of their `blend`, by mode."""

    figures: Mapping[str, Mapping[Mode, Figures]]
    cases: Sequence[TestCase]

    @property
    def case_count(self) -> int:
        """Cases that count for the gate: those with something not seen before among what was chosen."""
        return int((~np.isnan(self.per_case(BLEND))).sum())

    def per_case(self, name: str) -> np.ndarray:
        return self.figures[name][MODE].per_case[METRIC]

    def report(self, rng: np.random.Generator) -> dict[str, Any]:
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
        }


def split(
    data: TrainingData, rng: np.random.Generator, *, share: float = TEST_SHARE, limit: int = MAX_CASES
) -> Split:
    """By time: the last `share` of interactions are tested, on `limit` choices drawn from them."""
    cutoff = cutoff_for(data, share)
    train, cases = next_choices(data, cutoff, limit=limit, rng=rng)
    return Split(train, cases, cutoff)


def measure(
    strategies: Mapping[str, Strategy],
    cases: Sequence[TestCase],
    data: TrainingData,
    weights: Mapping[str, float],
    normalisation: Method,
    progress: Progress = iter,
) -> Measured:
    """`weights` of the blend; strategies that are not among `strategies` do not take part."""
    mix = {name: weight for name, weight in weights.items() if name in strategies and weight > 0}
    popularity = np.bincount(data.item, minlength=data.n_items)
    known = [case for case in (_within(case, data.n_items) for case in cases) if len(case.targets)]
    figures = evaluate(
        strategies,
        known,
        blends={BLEND: Blend(mix or dict.fromkeys(strategies, 1.0), normalisation)},
        popularity=popularity,
        groups=data.item_category,
        progress=progress,
    )
    return Measured(figures, known)


def _within(case: TestCase, n_items: int) -> TestCase:
    return replace(case, targets=case.targets[case.targets < n_items])


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 5) for name, value in values.items()}


def _interval(interval: Interval) -> dict[str, float | None]:
    bounds = {"estimate": interval.estimate, "low": interval.low, "high": interval.high}
    return {name: round(value, 5) if np.isfinite(value) else None for name, value in bounds.items()}
