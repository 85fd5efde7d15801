"""What became of the learned reranker in a training, for the page of the version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from accounts.display.columns import DASH

STATES: Final = {
    "used": ("In use", "good"),
    "not used": ("Not used", "info"),
    "too little": ("Not used", "info"),
    "not installed": ("Not tried", "warn"),
    "off": ("Off", "info"),
}
SHELVES: Final = {
    "unseen": "Without what was seen",
    "all": "With what was seen",
}


@dataclass(frozen=True)
class Row:
    """One kind of shelf. Figures are NDCG@10 on choices that were not learned from."""

    shelves: str
    is_used: bool
    blend: str
    reranked: str
    difference: str
    cases: str
    trees: str
    reason: str


@dataclass(frozen=True)
class RerankerReport:
    label: str
    tone: str
    reason: str
    rows: list[Row]


def reranker_report(metrics: dict[str, Any]) -> RerankerReport | None:
    """None for a version of an older release."""
    report = metrics.get("reranker")
    if not isinstance(report, dict):
        return None
    label, tone = STATES.get(str(report.get("state")), ("Not used", "info"))
    rows = [
        _row(name, report["modes"][mode]) for mode, name in SHELVES.items() if mode in report.get("modes", {})
    ]
    return RerankerReport(label, tone, str(report.get("reason", "")), rows)


def _row(name: str, tried: dict[str, Any]) -> Row:
    difference = DASH
    if tried.get("estimate") is not None and None not in (tried["low"], tried["high"]):
        difference = f"{tried['estimate']:+.1%} [{tried['low']:+.1%}, {tried['high']:+.1%}]"
    return Row(
        shelves=name,
        is_used=bool(tried.get("has_won")),
        blend=_figure(tried.get("blend")),
        reranked=_figure(tried.get("reranked")),
        difference=difference,
        cases=f"{tried['cases']:,}" if "cases" in tried else DASH,
        trees=str(tried.get("trees", DASH)),
        reason=str(tried.get("reason", "")),
    )


def _figure(value: float | None) -> str:
    return DASH if value is None else f"{value:.4f}"
