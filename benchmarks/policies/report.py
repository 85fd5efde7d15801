"""Comparisons as one JSON object and as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from algorithms.experiments import Interval
from benchmarks.policies.run import LEARNING_DAYS, WEIGHT_CAP, Comparison

ESTIMATORS: Final = {
    "direct": "direct method",
    "inverse_propensity": "inverse propensity",
    "self_normalised": "self-normalised",
    "doubly_robust": "doubly robust",
}


def as_json(data: str, found: Sequence[Comparison]) -> dict[str, Any]:
    """Values are clicks per row. `relative_error` is |estimate − truth| / truth."""
    return {"data": data, "comparisons": [_one(comparison) for comparison in found]}


def _one(comparison: Comparison) -> dict[str, Any]:
    estimates = {}
    for name in ESTIMATORS:
        estimate: Interval = getattr(comparison.estimates, name)
        error = comparison.relative_error(estimate)
        estimates[name] = _interval(estimate) | {
            "relative_error": None if error is None else round(error, 4),
            "holds_truth": None if comparison.truth is None else _holds(comparison, estimate),
        }
    return {
        "campaign": comparison.campaign,
        "policy": comparison.policy,
        "log": comparison.log,
        "rows": comparison.rows,
        "logged": _interval(comparison.logged),
        "truth": None if comparison.truth is None else _interval(comparison.truth),
        "estimates": estimates,
        "effective_rows": round(comparison.estimates.effective_rows),
        "largest_weight": round(comparison.estimates.largest_weight, 2),
    }


def _interval(interval: Interval) -> dict[str, Any]:
    return {
        "value": round(interval.estimate, 6),
        "low": round(interval.low, 6),
        "high": round(interval.high, 6),
    }


def _holds(comparison: Comparison, estimate: Interval) -> bool:
    assert comparison.truth is not None
    return estimate.low <= comparison.truth.estimate <= estimate.high


def as_markdown(found: Sequence[Comparison], resamples: int) -> str:
    """Two tables, in per cent of rows that were clicked, and what they say."""
    known = [comparison for comparison in found if comparison.truth is not None]
    ours = [comparison for comparison in found if comparison.truth is None]
    lines = [
        "Click rates in per cent with 95 % intervals, and the relative error against what was logged when the policy ran itself.",
        "",
        f"| campaign | policy, from the log of | rows that count | log's own | truth | {' | '.join(ESTIMATORS.values())} |",
        f"|---|---|---:|---:|---:|{'---:|' * len(ESTIMATORS)}",
        *(_row(comparison) for comparison in known),
        "",
        _summary(known),
        "",
        "Our own Thompson sampling (`algorithms/bandit.py`) over items, taught by the "
        f"first {LEARNING_DAYS} days of the random log and judged on the rest of it:",
        "",
        f"| campaign | rows that count | random's own | {' | '.join(ESTIMATORS.values())} |",
        f"|---|---:|---:|{'---:|' * len(ESTIMATORS)}",
        *(_row_of_ours(comparison) for comparison in ours),
        "",
        f"Intervals: bootstrap over rows, {resamples:,} resamples, the reward model (smoothed rate of each item, five folds) "
        f"fitted anew in each; of logged rates: Wilson. Weights above {WEIGHT_CAP:g} are cut. “Rows that count”: (Σw)² / Σw². The "
        "Thompson policy's probabilities of items that it did not show are not in the data: it is taken as its frequencies by "
        "place on the page.",
    ]
    return "\n".join(lines)


def _row(comparison: Comparison) -> str:
    assert comparison.truth is not None
    cells = [
        comparison.campaign,
        f"{comparison.policy}, from {comparison.log}",
        f"{comparison.estimates.effective_rows:,.0f} of {comparison.rows:,}",
        f"{100 * comparison.logged.estimate:.2f}",
        _text(comparison.truth),
        *(_with_error(comparison, getattr(comparison.estimates, name)) for name in ESTIMATORS),
    ]
    return f"| {' | '.join(cells)} |"


def _row_of_ours(comparison: Comparison) -> str:
    cells = [
        comparison.campaign,
        f"{comparison.estimates.effective_rows:,.0f} of {comparison.rows:,}",
        _text(comparison.logged),
        *(_text(getattr(comparison.estimates, name)) for name in ESTIMATORS),
    ]
    return f"| {' | '.join(cells)} |"


def _text(interval: Interval) -> str:
    return f"{100 * interval.estimate:.2f} ({100 * interval.low:.2f}–{100 * interval.high:.2f})"


def _with_error(comparison: Comparison, estimate: Interval) -> str:
    error = comparison.relative_error(estimate)
    return _text(estimate) if error is None else f"{_text(estimate)}, {error:.0%} off"


def _summary(known: Sequence[Comparison]) -> str:
    told = []
    for name, label in ESTIMATORS.items():
        estimates = [getattr(comparison.estimates, name) for comparison in known]
        errors = [
            comparison.relative_error(estimate) or 0.0
            for comparison, estimate in zip(known, estimates, strict=True)
        ]
        held = sum(
            _holds(comparison, estimate) for comparison, estimate in zip(known, estimates, strict=True)
        )
        told.append(
            f"{label} {sum(errors) / len(errors):.0%} (interval holds the truth {held} of {len(known)} times)"
        )
    clicks = [round(comparison.truth.estimate * comparison.rows) for comparison in known if comparison.truth]
    width = sum((c.truth.high - c.truth.low) / (2 * c.truth.estimate) for c in known if c.truth) / len(known)
    return (
        f"Mean relative error: {', '.join(told)}. A log has {min(clicks)} to {max(clicks)} clicks, so that the truth itself is known to "
        f"about ± {width:.0%} only."
    )
