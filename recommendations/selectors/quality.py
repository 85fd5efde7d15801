"""How good each version was, over time and by group, and who is badly served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from accounts.models import Store
from recommendations.models import ModelVersion

FIGURES: Final = ("ndcg@10", "recall@10", "coverage@10", "novelty@10", "gini@10", "diversity@10")
KINDS: Final = ("density", "segment")
DENSITY_WORDS: Final = {
    "0": "Nothing known",
    "1": "1 product known",
    "2-4": "2 to 4 products known",
    "5+": "5 products or more known",
}
MUCH_WORSE: Final = 0.25
"""Relative loss against everybody else from which a group is served badly rather than a little worse."""


@dataclass(frozen=True)
class GroupQuality:
    """Figures of a group's test cases. `low` and `high` bound the relative difference `against_rest` of its NDCG@10 to everybody
    else's (95 %), None where nothing can be said; `popular_high` is the upper bound of that to popular products."""

    kind: str
    key: str
    name: str
    shoppers: int
    cases: int
    figures: Mapping[str, float]
    against_rest: float | None
    low: float | None
    high: float | None
    popular_high: float | None = None

    @property
    def popular(self) -> float:
        """NDCG@10 of popular products on the same cases."""
        return self.figures.get("popular_ndcg@10", 0.0)

    @property
    def shown(self) -> list[str]:
        """NDCG@10, that of popular products, recall@10, diversity, novelty: as a table has them."""
        figures = self.figures
        diversity = figures.get("diversity@10")
        return [
            f"{figures['ndcg@10']:.4f}",
            f"{self.popular:.4f}",
            f"{100 * figures['recall@10']:.1f} %",
            "–" if diversity is None else f"{100 * diversity:.0f} %",
            f"{figures['novelty@10']:.1f}",
        ]

    @property
    def is_worse(self) -> bool:
        """Than everybody else, and chance hardly explains it."""
        return self.high is not None and self.high < 0

    @property
    def is_below_popular(self) -> bool:
        """Popular products alone would do better, and chance hardly explains it."""
        return self.popular_high is not None and self.popular_high < 0


@dataclass(frozen=True)
class VersionQuality:
    """A version's figures on products not seen before, by name of FIGURES, and its groups by kind."""

    number: int
    state: str
    trained_at: datetime
    cases: int
    figures: Mapping[str, float]
    groups: Mapping[str, tuple[GroupQuality, ...]]

    def group(self, kind: str, key: str) -> GroupQuality | None:
        return next((group for group in self.groups.get(kind, ()) if group.key == key), None)


@dataclass(frozen=True)
class BadlyServed:
    """`what` says it in a sentence; `is_bad` tells much from a little."""

    group: GroupQuality
    what: str
    is_bad: bool


def quality_history(store: Store, limit: int = 30) -> list[VersionQuality]:
    """The newest versions that were measured, oldest first. One query."""
    rows = ModelVersion.objects.for_store(store).order_by("-number")[:limit]
    measured = [_quality(version) for version in rows if _unseen(version)]
    return measured[::-1]


def live_quality(history: list[VersionQuality]) -> VersionQuality | None:
    """Of the live version; of the newest where none is live, or the live one is too old to be among them."""
    live = next((each for each in history if each.state == ModelVersion.State.LIVE), None)
    return live or (history[-1] if history else None)


def badly_served(quality: VersionQuality) -> list[BadlyServed]:
    """The worst first. Groups are not apart: a shopper of whom little is known is in segments too."""
    found = [served for groups in quality.groups.values() for group in groups for served in _judged(group)]
    return sorted(found, key=lambda served: (not served.is_bad, served.group.figures["ndcg@10"]))


def _judged(group: GroupQuality) -> Iterator[BadlyServed]:
    of_recall = (
        f"{100 * group.figures['recall@10']:.1f} % of what they choose next stands among the first ten"
    )
    if group.is_below_popular:
        yield BadlyServed(
            group,
            f"Popular products alone would do better for them (NDCG@10 {group.popular:.4f} instead of "
            f"{group.figures['ndcg@10']:.4f}); {of_recall}.",
            True,
        )
    elif (
        group.is_worse and group.against_rest is not None and group.low is not None and group.high is not None
    ):
        yield BadlyServed(
            group,
            f"Their shelves find {-100 * group.against_rest:.0f} % less than everybody else's (between {-100 * group.high:.0f} % and "
            f"{-100 * group.low:.0f} %); {of_recall}.",
            -group.against_rest >= MUCH_WORSE,
        )


def _unseen(version: ModelVersion) -> Mapping[str, float]:
    metrics = version.metrics if isinstance(version.metrics, dict) else {}
    return metrics.get("unseen", {}).get("blend", {})


def _quality(version: ModelVersion) -> VersionQuality:
    unseen = _unseen(version)
    groups = version.metrics.get("groups") or {}
    return VersionQuality(
        number=version.number,
        state=version.state,
        trained_at=version.trained_at,
        cases=int(version.metrics.get("unseen_cases", unseen.get("cases", 0))),
        figures={name: float(unseen[name]) for name in FIGURES if name in unseen},
        groups={kind: tuple(_group(kind, row) for row in groups.get(kind, ())) for kind in KINDS},
    )


def _group(kind: str, row: Mapping[str, Any]) -> GroupQuality:
    bounds = row.get("against_rest", {})
    return GroupQuality(
        kind=kind,
        key=row["key"],
        name=DENSITY_WORDS.get(row["key"], row["name"]) if kind == "density" else row["name"],
        shoppers=row["shoppers"],
        cases=row["cases"],
        figures={name: float(value) for name, value in row.items() if isinstance(value, float)},
        against_rest=bounds.get("estimate") if bounds.get("low") is not None else None,
        low=bounds.get("low"),
        high=bounds.get("high"),
        popular_high=row.get("against_popular", {}).get("high"),
    )
