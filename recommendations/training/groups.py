"""Who is served how well: figures by segment and by how much is known, of groups that are large enough to be named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from algorithms import metrics
from algorithms.evaluation import DENSITIES, Figures, TestCase, density_classes
from algorithms.experiments import Interval, clustered_relative_difference, paired_relative_difference
from algorithms.small_cells import LEAST_PEOPLE
from algorithms.types import Bool, Float64, Int32, Int64

LEAST_SHOPPERS: Final = LEAST_PEOPLE
"""Groups of fewer people are not named: their figures would tell about persons."""
METRIC: Final = "ndcg@10"


@dataclass(frozen=True)
class Audience:
    """Whose cases they are. `people` (n_users,) are the names of the log's users as in `Prepared`; `segments` are the segments of a
    name, the one that counts first; `names` are (slug, name) of each segment."""

    people: Int64 = field(default_factory=lambda: np.empty(0, np.int64))
    segments: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    names: Mapping[int, tuple[str, str]] = field(default_factory=dict)

    def segments_of(self, user: int) -> tuple[int, ...]:
        """Primary keys; none for a user who is not known."""
        return self.segments.get(int(self.people[user]), ()) if 0 <= user < len(self.people) else ()


@dataclass(frozen=True)
class Groups:
    """What figures are taken of by group. `blend` and `popular` are figures of the same cases on products not seen before;
    `popularity` and `categories` (n_items,) are what novelty and variety are measured against."""

    cases: Sequence[TestCase]
    blend: Figures
    popular: Figures
    popularity: Int64
    categories: Int32 | None

    def report(self, audience: Audience, rng: np.random.Generator) -> dict[str, list[dict[str, Any]]]:
        """JSON: `density` from nothing known to much, `segment` by the number of shoppers."""
        classes = np.array(density_classes(self.cases))
        segments = [audience.segments_of(case.user) for case in self.cases]
        by_density = [self._group(known, known, classes == known, rng) for known in DENSITIES]
        by_segment = [
            self._group(slug, name, np.array([key in row for row in segments], np.bool_), rng)
            for key, (slug, name) in audience.names.items()
        ]
        return {
            "density": [row for row in by_density if row],
            "segment": sorted((row for row in by_segment if row), key=lambda row: -row["shoppers"]),
        }

    def _group(self, key: str, name: str, members: Bool, rng: np.random.Generator) -> dict[str, Any] | None:
        """None for a group that must not be named."""
        values = self.blend.per_case[METRIC]
        counted = members & ~np.isnan(values)
        users = np.array([case.user for case in self.cases], np.int64)
        shoppers = len(np.unique(users[counted & (users >= 0)]))
        if shoppers < LEAST_SHOPPERS:
            return None
        against_rest = clustered_relative_difference(values, members, users, rng)
        lists = self.blend.lists[members[self.blend.listed]]
        exposure = np.bincount(lists[lists >= 0], minlength=len(self.popularity))
        figures = {
            METRIC: _mean(values, counted),
            "recall@10": _mean(self.blend.per_case["recall@10"], counted),
            "hit_rate@10": _mean(self.blend.per_case["hit_rate@10"], counted),
            "novelty@10": metrics.novelty(exposure, self.popularity),
            f"popular_{METRIC}": _mean(self.popular.per_case[METRIC], counted),
        }
        if self.categories is not None:
            figures["diversity@10"] = metrics.diversity(lists, self.categories)
        against_popular = paired_relative_difference(
            values[counted], self.popular.per_case[METRIC][counted], rng
        )
        return {
            "key": key,
            "name": name,
            "shoppers": shoppers,
            "cases": int(counted.sum()),
            **{name: round(value, 5) for name, value in figures.items()},
            "against_rest": _bounds(against_rest),
            "against_popular": _bounds(against_popular),
        }


def _bounds(interval: Interval) -> dict[str, float | None]:
    """JSON knows no infinity."""
    bounds = {name: getattr(interval, name) for name in ("estimate", "low", "high")}
    return {name: round(value, 5) if np.isfinite(value) else None for name, value in bounds.items()}


def _mean(values: Float64, counted: Bool) -> float:
    return float(values[counted].mean())
