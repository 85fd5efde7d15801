"""Figures of versions, groups and shelves as charts and as tables of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.utils import timezone
from django.utils.formats import date_format

from accounts.display.charts import Bar, BarChart, LineChart, Series
from recommendations.models import DriftReading
from recommendations.selectors.drift import figure_of
from recommendations.selectors.exposure import ClicksOf, ExposureDay
from recommendations.selectors.quality import DENSITY_WORDS, GroupQuality, VersionQuality

# Figure → title, whether it is a share of 1, what it says.
OVER_VERSIONS: Final[Mapping[str, tuple[str, bool, str]]] = {
    "ndcg@10": ("NDCG@10", False, "Hits among the first ten, early ones counting more; 1 is perfect."),
    "recall@10": ("Recall@10", True, "Share of what was chosen next that stands among the first ten."),
    "coverage@10": ("Coverage@10", True, "Share of the catalogue that is recommended to somebody."),
    "gini@10": ("Exposure (Gini)", False, "0: all products are shown alike; 1: one takes every place."),
    "diversity@10": (
        "Diversity per shopper",
        True,
        "Pairs of products on a shelf that come from different categories.",
    ),
    "novelty@10": ("Novelty@10", False, "How little known the recommended products are, in bits."),
}
MOST_SEGMENTS: Final = 6
DRAWN: Final = ("unknown_items", "unknown_shoppers", "scores", "popularity")


def version_charts(history: Sequence[VersionQuality]) -> list[LineChart]:
    """One chart a figure, over versions; none with fewer than two."""
    if len(history) < 2:
        return []
    return [
        _over_versions(
            title,
            history,
            [("The blend", [version.figures.get(name) for version in history])],
            is_share,
            note,
        )
        for name, (title, is_share, note) in OVER_VERSIONS.items()
    ]


def group_history(history: Sequence[VersionQuality], kind: str) -> LineChart | None:
    """NDCG@10 of groups over versions; of segments the largest ones. None with fewer than two versions that have groups."""
    with_groups = [version for version in history if version.groups.get(kind)]
    if len(with_groups) < 2:
        return None
    newest = with_groups[-1].groups[kind]
    shown = newest if kind == "density" else newest[:MOST_SEGMENTS]
    lines = [
        (group.name, [_ndcg(version.group(kind, group.key)) for version in with_groups]) for group in shown
    ]
    what = "how much is known" if kind == "density" else "segment"
    note = "" if len(shown) == len(newest) else f"The {MOST_SEGMENTS} segments with the most shoppers."
    return _over_versions(f"NDCG@10 by {what}, over versions", with_groups, lines, False, note)


def _ndcg(group: GroupQuality | None) -> float | None:
    return None if group is None else group.figures["ndcg@10"]


def _over_versions(
    title: str,
    versions: Sequence[VersionQuality],
    lines: Sequence[tuple[str, Sequence[float | None]]],
    is_share: bool,
    note: str,
) -> LineChart:
    factor = 100 if is_share else 1
    series = [
        Series(name, [None if value is None else factor * value for value in values], number)
        for number, (name, values) in enumerate(lines)
    ]
    labels = [f"Model {version.number}, {_day(version.trained_at)}" for version in versions]
    return LineChart(
        title, labels, series, unit="%" if is_share else "", decimals=1 if is_share else 4, note=note
    )


def group_chart(groups: Sequence[GroupQuality], title: str) -> BarChart | None:
    """NDCG@10 of each group beside that of popular products for the same shoppers."""
    if not groups:
        return None
    bars = [
        Bar(
            group.name,
            group.figures["ndcg@10"],
            f"{group.figures['ndcg@10']:.4f}",
            detail=f"{group.shoppers:,} shoppers, {group.cases:,} choices; popular products {group.popular:.4f}",
            colour=1 if group.is_worse or group.is_below_popular else 0,
        )
        for group in groups
    ]
    return BarChart(title, bars, "Shoppers", "NDCG@10")


def exposure_charts(days: Sequence[ExposureDay]) -> list[LineChart]:
    labels = [date_format(day.day, "j M") for day in days]

    def chart(title: str, values: Sequence[float | None], unit: str, decimals: int, note: str) -> LineChart:
        return LineChart(title, labels, [Series(title, values)], unit=unit, decimals=decimals, note=note)

    return [
        chart(
            "Exposure of products (Gini), by day",
            [day.gini for day in days],
            "",
            2,
            "Over all products on sale. 0: all are seen alike; 1: one takes every place. Quiet days look less even than they are.",
        ),
        chart(
            "Share of the catalogue that was seen, by day",
            [_percent(day.shown_share) for day in days],
            "%",
            1,
            "Products on sale that somebody saw on a shelf.",
        ),
        chart(
            "Diversity per shopper, by day",
            [_percent(day.diversity) for day in days],
            "%",
            1,
            "Pairs of what a shopper saw that day that come from different categories; days with fewer than ten shoppers are left out.",
        ),
    ]


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def clicks_chart(rows: Sequence[ClicksOf], title: str) -> BarChart | None:
    if not rows:
        return None
    bars = [
        Bar(
            row.name,
            row.click_through,
            f"{100 * row.click_through:.2f} %",
            detail=f"{row.shoppers:,} shoppers, {row.impressions:,} seen, {row.clicks:,} clicked",
        )
        for row in rows
    ]
    return BarChart(title, bars, "Shoppers", "Clicks per product seen")


def drift_charts(readings: Sequence[DriftReading]) -> list[LineChart]:
    """Shares and PSI of the watch, over time; none with fewer than two readings that had enough to tell."""
    readings = [reading for reading in readings if any(_value(reading, name) is not None for name in DRAWN)]
    if len(readings) < 2:
        return []
    labels = [_day(reading.measured_at, "j M, H:i") for reading in readings]
    return [
        LineChart(
            "What the live model does not know",
            labels,
            [
                Series("Products", [_percent(_value(reading, "unknown_items")) for reading in readings], 0),
                Series(
                    "Shoppers", [_percent(_value(reading, "unknown_shoppers")) for reading in readings], 1
                ),
            ],
            unit="%",
            decimals=1,
        ),
        LineChart(
            "How far scores and demand have moved (PSI)",
            labels,
            [
                Series("Scores of shelves", [_value(reading, "scores") for reading in readings], 0),
                Series("What shoppers want", [_value(reading, "popularity") for reading in readings], 1),
            ],
            decimals=2,
            note="Below 0.1 little has changed since the training, above 0.25 much has.",
        ),
    ]


def _value(reading: DriftReading, name: str) -> float | None:
    figure = figure_of(reading, name)
    return None if figure is None else figure["value"]


def _day(moment: Any, form: str = "j M") -> str:
    return date_format(timezone.localtime(moment), form)


# Tables for the export.


def version_rows(history: Sequence[VersionQuality]) -> list[dict[str, Any]]:
    return [
        {
            "model": version.number,
            "state": version.state,
            "trained_at": version.trained_at,
            "cases": version.cases,
            **version.figures,
        }
        for version in history
    ]


def group_rows(history: Sequence[VersionQuality]) -> list[dict[str, Any]]:
    return [
        {
            "model": version.number,
            "kind": kind,
            "group": group.key,
            "name": DENSITY_WORDS.get(group.key, group.name),
            "shoppers": group.shoppers,
            "cases": group.cases,
            **group.figures,
            "against_rest": group.against_rest,
            "against_rest_low": group.low,
            "against_rest_high": group.high,
        }
        for version in history
        for kind, groups in version.groups.items()
        for group in groups
    ]


def drift_rows(readings: Sequence[DriftReading]) -> list[dict[str, Any]]:
    return [
        {"measured_at": reading.measured_at, "model": reading.version.number, **figure}
        for reading in readings
        for figure in reading.figures
    ]
