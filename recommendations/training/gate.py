"""May this version go live? Says yes, no, or that a person must say so; and why, with the figures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np

from algorithms.experiments import Interval, paired_relative_difference
from algorithms.types import Float64

MIN_CASES: Final = 500
WORST_LOWER_BOUND: Final = -0.02
"""Of the paired relative difference in NDCG@10, 95 %: it must lie above. So much a new version may lose at most."""
NO_CASES: Final = "There is no test case to measure it on: nobody chose anything after what it learned from. A person may publish it."

Method = Literal["as it is", "trained again", "same recipe"]
"""How the live version was measured: its own files, which know nothing of the test; its recipe, trained again on the same past; or not
apart, since it is the candidate's recipe."""


@dataclass(frozen=True)
class LiveFigures:
    """`per_case` (n_cases,) NDCG@10 of the live version; `unknown` is the share of what was chosen, 0..1, that it does not know."""

    number: int
    per_case: Float64
    method: Method = "as it is"
    unknown: float = 0.0


@dataclass(frozen=True)
class Comparison:
    """`name` is whom the version was compared with, in words."""

    name: str
    difference: Interval

    @property
    def is_met(self) -> bool:
        return bool(self.difference.low > WORST_LOWER_BOUND)

    @property
    def is_surely_worse(self) -> bool:
        return bool(self.difference.high <= WORST_LOWER_BOUND)

    def describe(self) -> str:
        return f"{difference_text(self.difference)} against {self.name}"

    def report(self) -> dict[str, Any]:
        bounds = {name: getattr(self.difference, name) for name in ("estimate", "low", "high")}
        finite = {name: round(value, 5) if np.isfinite(value) else None for name, value in bounds.items()}
        return {"name": self.name, "is_met": self.is_met, **finite}


@dataclass(frozen=True)
class Verdict:
    """`reason` is for people. `needs_person`: nothing speaks against the version but the number of cases; a person may publish it."""

    is_open: bool
    reason: str
    needs_person: bool = False
    cases: int = 0
    comparisons: tuple[Comparison, ...] = ()
    live: LiveFigures | None = None

    def report(self) -> dict[str, Any]:
        """JSON, for the version's metrics."""
        return {
            "is_open": self.is_open,
            "needs_person": self.needs_person,
            "cases": self.cases,
            "least_cases": MIN_CASES,
            "worst_lower_bound": WORST_LOWER_BOUND,
            "comparisons": [comparison.report() for comparison in self.comparisons],
            "live": None
            if self.live is None
            else {
                "number": self.live.number,
                "method": self.live.method,
                "unknown": round(self.live.unknown, 5),
            },
        }


def judge(
    candidate: Float64, popularity: Float64, live: LiveFigures | None, rng: np.random.Generator
) -> Verdict:
    """(n_cases,) NDCG@10 on the same cases, NaN where a case does not count. `live` is None for a store's first version, which
    stands against popular products alone: they are what shoppers get without it."""
    cases = int((~np.isnan(candidate)).sum())
    comparisons = [Comparison("popular products", paired_relative_difference(candidate, popularity, rng))]
    if live is not None:
        difference = paired_relative_difference(candidate, live.per_case, rng)
        comparisons.insert(0, Comparison(f"model {live.number}, which was live", difference))
    known = Verdict(False, "", cases=cases, comparisons=tuple(comparisons), live=live)
    if worse := [each for each in comparisons if _speaks_against(each, cases)]:
        return replace(known, reason=_refusal(worse, cases))
    figures = ", and ".join(each.describe() for each in comparisons)
    if not cases:
        return replace(known, needs_person=True, reason=NO_CASES)
    if cases < MIN_CASES:
        reason = f"Only {cases} test cases, {MIN_CASES} are needed to tell: a person may publish it. NDCG@10: {figures}."
        return replace(known, needs_person=True, reason=reason)
    return replace(known, is_open=True, reason=f"On {cases:,} test cases its NDCG@10 is {figures}.")


def _speaks_against(comparison: Comparison, cases: int) -> bool:
    """With few cases the bounds are far apart and prove nothing, unless even the upper one is too low."""
    return not comparison.is_met if cases >= MIN_CASES else comparison.is_surely_worse


def _refusal(worse: list[Comparison], cases: int) -> str:
    figures = ", and ".join(comparison.describe() for comparison in worse)
    finds = "it finds" if all(comparison.is_surely_worse for comparison in worse) else "it may find"
    return (
        f"On {cases:,} test cases its NDCG@10 is {figures}. The lower bound must be above {percent(WORST_LOWER_BOUND, 0)}: "
        f"{finds} less of what shoppers choose than {' and '.join(each.name for each in worse)}."
    )


def difference_text(difference: Interval) -> str:
    """`+3.1 % (between +1.0 % and +5.2 %)`."""
    if not np.isfinite(difference.estimate):
        return "better than nothing"
    if not np.isfinite(difference.low) or not np.isfinite(difference.high):
        return f"{percent(difference.estimate)} (too few cases for an interval)"
    return (
        f"{percent(difference.estimate)} (between {percent(difference.low)} and {percent(difference.high)})"
    )


def percent(share: float, decimals: int = 1) -> str:
    """A signed share: `−2.0 %`."""
    return f"{100 * share:+.{decimals}f} %".replace("-", "−")
