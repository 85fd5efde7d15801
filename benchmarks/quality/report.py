"""A measurement as one JSON object and as tables for people."""

from __future__ import annotations

from typing import Any

from algorithms.evaluation import MODES, Mode
from benchmarks.quality.run import Measurement, by_density, peak_memory_mb

COLUMNS = (
    "ndcg@10",
    "recall@10",
    "recall@20",
    "hit_rate@20",
    "mrr@20",
    "coverage@10",
    "novelty@10",
    "repeats@10",
)


def as_json(result: Measurement) -> dict[str, Any]:
    """`blend` and `strategies` are about the folder's own mode, `unseen` about items that the shopper had not seen."""
    mode = result.task.mode
    names = [name for name in result.figures if not name.startswith("blend ")]
    in_blend = {name for name, weight in result.weights[mode].items() if weight}
    return {
        "data": result.task.name,
        "kind": result.task.kind,
        "mode": mode,
        "cases": len(result.task.test),
        "blend": _rounded(result.blend_figures(mode).summary()),
        "strategies": {
            name: _rounded(result.figures[name][mode].summary())
            | {"train_seconds": round(result.train_seconds[name], 2)}
            for name in names
        },
        "unseen": {
            "blend": _rounded(result.blend_figures("unseen").summary()),
            **{name: _rounded(result.figures[name]["unseen"].summary()) for name in names},
        },
        "weights": result.weights[mode],
        "weights_unseen": result.weights["unseen"],
        "parameters": {name: parameters for name, parameters in result.parameters.items() if parameters},
        "intervals": {
            metric: [round(low, 5), round(high, 5)] for metric, (low, high) in result.intervals.items()
        },
        "by_density": _rounded(by_density(result)),
        "train_seconds": round(sum(s for name, s in result.train_seconds.items() if name in in_blend), 2),
        "total_seconds": round(result.total_seconds, 1),
        "peak_memory_mb": round(peak_memory_mb()),
    }


def as_markdown(result: Measurement) -> str:
    """A table for each mode, best first, and what was chosen."""
    task = result.task
    lines = [
        f"{len(task.train):,} interactions, {task.train.n_items:,} items, {task.train.n_users:,} shoppers to learn from; "
        f"{len(task.test):,} test cases, all items ranked, ties at their mean rank. "
        f"{result.total_seconds:.0f} s in all, peak memory {peak_memory_mb():.0f} MB.",
    ]
    for mode in MODES:
        lines += [
            "",
            f"**{_TITLES[mode]}**",
            "",
            *_table(result, mode),
            "",
            f"Weights: {_weights(result.weights[mode])}.",
        ]
    intervals = ", ".join(f"{m} {low:.4f}–{high:.4f}" for m, (low, high) in result.intervals.items())
    lines += ["", f"95 % intervals of the blend ({task.mode}): {intervals}."]
    return "\n".join(lines)


_TITLES: dict[Mode, str] = {"all": "All items", "unseen": "Items that the shopper had not seen"}


def _table(result: Measurement, mode: Mode) -> list[str]:
    rows: list[tuple[str, dict[str, float], float | None]] = [
        ("**blend**", result.blend_figures(mode).summary(), None)
    ]
    rows += [
        (name, by_mode[mode].summary(), result.train_seconds[name])
        for name, by_mode in result.figures.items()
        if not name.startswith("blend ")
    ]
    rows.sort(key=lambda row: -row[1]["ndcg@10"])
    head = f"| strategy | {' | '.join(COLUMNS)} | training, s |"
    rule = f"|---|{'---:|' * (len(COLUMNS) + 1)}"
    body = [
        f"| {name} | {' | '.join(f'{figures[column]:.4f}' for column in COLUMNS)} | {'' if taken is None else f'{taken:.1f}'} |"
        for name, figures, taken in rows
    ]
    return [head, rule, *body]


def _weights(weights: dict[str, float]) -> str:
    return ", ".join(
        f"{name} {weight:.2f}" for name, weight in sorted(weights.items(), key=lambda pair: -pair[1])
    )


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(float(value), 5) for name, value in values.items()}
