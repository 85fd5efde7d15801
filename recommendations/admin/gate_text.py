"""What the publish gate weighed, as a table for people, and what they may do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from algorithms.experiments import Interval
from recommendations.models import ModelVersion
from recommendations.training.gate import difference_text, percent

HOW_MEASURED: Final = {
    "as it is": "Model {number}, which was live, was asked as it is: it knew none of the test's choices.",
    "trained again": (
        "Model {number}, which was live, had learned from some of the test's choices: its recipe was trained again on the same past."
    ),
    "same recipe": (
        "Model {number}, which was live, had learned from some of the test's choices, and has the same recipe: on the same past it "
        "would be this version, so that it is no worse by definition."
    ),
}
BUTTONS: Final = {
    ModelVersion.State.REFUSED: "Publish anyway…",
    ModelVersion.State.RETIRED: "Publish again…",
    ModelVersion.State.CANDIDATE: "Publish…",
}


@dataclass(frozen=True)
class Condition:
    """One that a version must meet: what was found, and what it must be."""

    name: str
    found: str
    needed: str
    is_met: bool


@dataclass(frozen=True)
class GateText:
    conditions: tuple[Condition, ...]
    how_measured: str


def gate_text(version: ModelVersion) -> GateText | None:
    """None for a version of an earlier release, which kept the sentence alone."""
    report = version.metrics.get("gate") if isinstance(version.metrics, dict) else None
    if not report:
        return None
    cases, least = report["cases"], report["least_cases"]
    conditions = [
        Condition("Test cases", f"{cases:,}", f"at least {least:,}, or a person's consent", cases >= least)
    ]
    needed = f"lower bound above {percent(report['worst_lower_bound'], 0)}"
    for row in report["comparisons"]:
        found = difference_text(_interval(row)) if cases else "not measured"
        conditions.append(Condition(f"NDCG@10 against {row['name']}", found, needed, row["is_met"]))
    return GateText(tuple(conditions), _how_measured(report.get("live")))


def _interval(row: dict[str, Any]) -> Interval:
    """JSON has no infinity: a missing bound is one."""
    ends = {"estimate": float("inf"), "low": float("-inf"), "high": float("inf")}
    return Interval(**{name: end if row[name] is None else row[name] for name, end in ends.items()})


def _how_measured(live: dict[str, Any] | None) -> str:
    if live is None:
        return "No version was live: it stood against popular products alone, which is what shoppers get without a model."
    text = HOW_MEASURED[live["method"]].format(number=live["number"])
    if live["unknown"]:
        text += (
            f" {100 * live['unknown']:.1f} % of what shoppers chose it does not know: that counts as missed."
        )
    return text


def publish_label(version: ModelVersion) -> str:
    """Empty for the live version."""
    if version.state == ModelVersion.State.CANDIDATE and version.metrics.get("gate", {}).get("needs_person"):
        return "Give consent and publish…"
    return BUTTONS.get(ModelVersion.State(version.state), "")
