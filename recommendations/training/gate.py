"""May this version go live? Says yes or no, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from algorithms.experiments import Interval, paired_relative_difference
from algorithms.types import Float64

MIN_CASES = 500
WORST_LOWER_BOUND = -0.02
"""Of the paired relative difference in NDCG@10, 95 %: what a new version may at most lose."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` is for people. `needs_person`: nothing speaks against the version but the number of cases; a person may publish it."""

    is_open: bool
    reason: str
    needs_person: bool = False


def judge(candidate: Float64, popularity: Float64, live: Float64 | None, rng: np.random.Generator) -> Verdict:
    """(n_cases,) NDCG@10 on the same cases, NaN where a case does not count. `live` is None for a store's first version.

    A first version stands against popular products only, which is what shoppers get without it: it goes live, whatever the
    number of cases, unless it did worse than them.
    """
    cases = int((~np.isnan(candidate)).sum())
    against_popular = paired_relative_difference(candidate, popularity, rng)
    if live is None:
        return _first(candidate, popularity, against_popular, cases)
    against_live = paired_relative_difference(candidate, live, rng)
    if cases < MIN_CASES:
        return Verdict(
            False,
            f"Only {cases} test cases, {MIN_CASES} are needed to tell: a person may publish it. "
            f"Against the live version {_describe(against_live)}, against popular products {_describe(against_popular)}.",
            needs_person=True,
        )
    for name, difference in (("the live version", against_live), ("popular products", against_popular)):
        if difference.low < WORST_LOWER_BOUND:
            return Verdict(
                False,
                f"NDCG@10 against {name}: {_describe(difference)}. The lower bound must not fall below {WORST_LOWER_BOUND:.0%}.",
            )
    return Verdict(
        True,
        f"NDCG@10 on {cases} cases: against the live version {_describe(against_live)}, "
        f"against popular products {_describe(against_popular)}.",
    )


def _first(candidate: Float64, popularity: Float64, against_popular: Interval, cases: int) -> Verdict:
    if not cases:
        return Verdict(
            True,
            "The store's first version: no test case to measure it on, and without it there are popular products only.",
        )
    if np.nanmean(candidate) < np.nanmean(popularity):
        return Verdict(
            False,
            f"The store's first version does worse than popular products on {cases} cases: NDCG@10 {_describe(against_popular)}.",
            needs_person=True,
        )
    return Verdict(
        True,
        f"The store's first version: on {cases} cases its NDCG@10 is {_describe(against_popular)} against popular products, "
        "which is all there is without it.",
    )


def _describe(difference: Interval) -> str:
    if not np.isfinite(difference.low) or not np.isfinite(difference.high):
        return (
            f"{difference.estimate:+.1%} (too few cases for an interval)"
            if np.isfinite(difference.estimate)
            else "better than nothing"
        )
    return f"{difference.estimate:+.1%} ({difference.low:+.1%} to {difference.high:+.1%})"
