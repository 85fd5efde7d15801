"""A measurement as one JSON object and as tables for people."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from algorithms.evaluation import DENSITIES, MODES, Figures, Mode
from algorithms.experiments import Interval
from benchmarks.quality.measurement import Measurement
from benchmarks.quality.run import by_density
from recommendations.training.peak_memory import peak_memory_mb

COLUMNS = (
    "ndcg@10",
    "ndcg@20",
    "recall@10",
    "recall@20",
    "hit_rate@10",
    "hit_rate@20",
    "mrr@10",
    "mrr@20",
    "coverage@10",
    "novelty@10",
    "repeats@10",
)


def as_json(result: Measurement) -> dict[str, Any]:
    """`blend` and `strategies` are about the folder's own mode, `unseen` about items that the shopper had not seen."""
    mode = result.task.mode
    in_blend = {name for name, weight in result.weights[mode].items() if weight}
    return {
        "data": result.task.name,
        "kind": result.task.kind,
        "mode": mode,
        "cases": len(result.task.test),
        "blend": _rounded(result.blend_figures(mode).summary()),
        "strategies": {name: _with_costs(result, name, mode) for name in result.strategies},
        "unseen": {
            "blend": _rounded(result.blend_figures("unseen").summary()),
            **{name: _rounded(result.figures[name]["unseen"].summary()) for name in result.strategies},
        },
        "other_blends": {
            name: _rounded(figures.summary())
            for each in MODES
            for name, figures in result.blends(each).items()
            if name != f"blend {each}"
        },
        "peers": {name: _peer(result, name) for name in result.peers},
        "weights": result.weights[mode],
        "weights_unseen": result.weights["unseen"],
        "weights_by_density": result.by_density,
        "parameters": {name: parameters for name, parameters in result.parameters.items() if parameters},
        "trials": result.trials,
        "origins": len(result.task.origins),
        "pulled": {each: list(pulled) for each, pulled in result.pulled.items()},
        "tuning_seconds": round(result.tuning_seconds, 1),
        "intervals": {
            metric: [round(interval.low, 5), round(interval.high, 5)]
            for metric, interval in result.intervals[f"blend {mode}"].items()
        },
        "intervals_of": {
            name: {m: [round(i.low, 5), round(i.high, 5)] for m, i in by_metric.items()}
            for name, by_metric in result.intervals.items()
        },
        "by_density": _rounded(by_density(result)[f"blend {mode}"]),
        "by_density_of": {name: _rounded(classes) for name, classes in by_density(result).items()},
        "best_strategy": result.best_strategy(mode),
        "times_best_strategy": round(_times_best(result, mode), 4),
        "train_seconds": round(sum(s for name, s in result.train_seconds.items() if name in in_blend), 2),
        "test_seconds": round(result.test_seconds, 1),
        "total_seconds": round(result.total_seconds, 1),
        "peak_memory_mb": round(peak_memory_mb()),
        "load_before": round(result.load_before, 2),
    }


def _with_costs(result: Measurement, name: str, mode: Mode) -> dict[str, float]:
    return _rounded(result.figures[name][mode].summary()) | {
        "train_seconds": round(result.train_seconds[name], 2),
        "train_mb": round(result.train_mb[name], 1),
    }


def _peer(result: Measurement, name: str) -> dict[str, Any]:
    by_mode = result.peers[name]
    return {mode: _rounded(by_mode[mode].summary()) for mode in MODES} | {
        "parameters": result.parameters[name],
        "train_seconds": round(result.train_seconds[name], 2),
        "train_mb": round(result.train_mb[name], 1),
    }


def _times_best(result: Measurement, mode: Mode) -> float:
    best = result.figures[result.best_strategy(mode)][mode].mean("ndcg@10")
    return result.blend_figures(mode).mean("ndcg@10") / best if best else float("inf")


def as_markdown(result: Measurement) -> str:
    """A table for each mode, best first, what was chosen, and what it cost."""
    task = result.task
    lines = [
        f"{len(task.train):,} interactions, {task.train.n_items:,} items, {task.train.n_users:,} shoppers to learn from; "
        f"{len(task.test):,} test cases, all items ranked, ties at their mean rank. "
        f"Weights tuned on {len(task.origins)} {'stretch' if len(task.origins) == 1 else 'stretches'} of time before it, "
        f"in {result.tuning_seconds:.0f} s but for their training. "
        f"{result.total_seconds:.0f} s in all, peak memory {peak_memory_mb():.0f} MB; {os.cpu_count()} cores, load average before the "
        f"run {result.load_before:.2f}{_BUSY if result.load_before > 1.0 else ''}.",
    ]
    for mode in MODES:
        lines += ["", f"**{_TITLES[mode]}**", "", *_table(result, mode), "", *_chosen(result, mode)]
    intervals = ", ".join(
        f"{metric} {interval.low:.4f}–{interval.high:.4f}"
        for metric, interval in result.intervals[f"blend {task.mode}"].items()
    )
    lines += ["", f"95 % intervals of the blend ({task.mode}): {intervals}."]
    if result.peers:
        lines += ["", *_comparison(result)]
    return "\n".join([*lines, "", *_densities(result)])


_BUSY = " (the machine did other work: figures of quality hold, times are too long)"
_TITLES: dict[Mode, str] = {"all": "All items", "unseen": "Items that the shopper had not seen"}


def _table(result: Measurement, mode: Mode) -> list[str]:
    rows: list[tuple[str, str, Figures]] = [
        (name, f"**{name.replace(f'blend {mode}', 'blend')}**", figures)
        for name, figures in result.blends(mode).items()
    ]
    rows += [(name, name, result.figures[name][mode]) for name in result.strategies]
    rows += [(name, f"*{name}*", by_mode[mode]) for name, by_mode in result.peers.items()]
    shown = sorted(
        ((name, label, figures.summary()) for name, label, figures in rows),
        key=lambda row: -row[2]["ndcg@10"],
    )
    head = f"| strategy | {' | '.join(COLUMNS)} | training, s | MB |"
    rule = f"|---|{'---:|' * (len(COLUMNS) + 2)}"
    return [head, rule, *(_row(result, name, label, summary) for name, label, summary in shown)]


def _row(result: Measurement, name: str, label: str, summary: Mapping[str, float]) -> str:
    costs = (
        f"{result.train_seconds[name]:.1f} | {result.train_mb[name]:.0f}"
        if name in result.train_seconds
        else " | "
    )
    return f"| {label} | {' | '.join(f'{summary[column]:.4f}' for column in COLUMNS)} | {costs} |"


def _chosen(result: Measurement, mode: Mode) -> list[str]:
    """Weights, and how the blend stands to the best strategy alone."""
    lines = [f"Weights: {_weights(result.weights[mode])}.{_pulled(result, mode)}"]
    lines += [
        f"Shoppers of whom {label} items are known: {_weights(weights)}."
        for label, weights in result.by_density.get(mode, {}).items()
    ]
    best = result.best_strategy(mode)
    difference = result.against(result.figures[best][mode], mode, np.random.default_rng(0))
    return [
        *lines,
        f"NDCG@10 of the blend is {_times_best(result, mode):.3f} × that of the best strategy alone, {best} ({_percent(difference)}).",
    ]


def _pulled(result: Measurement, mode: Mode) -> str:
    share, anchor = result.pulled.get(mode, (0.0, ""))
    to = "the weights that a shop of this kind begins with" if anchor == "start" else f"{anchor} alone"
    return f" Taken back to {to} by {share:.0%}." if share else ""


def _comparison(result: Measurement) -> list[str]:
    """Each peer's distance to the blend, case by case."""
    tried = f"{max(result.trials.values(), default=1)} at most"
    lines = [
        f"**Against public libraries.** Peers are in italics above. NDCG@10 of the blend over the peer's, with the 95 % interval of the "
        f"paired bootstrap. Tuned: parameter sets tried on the same validation slice (ours: {tried} per strategy).",
        "",
        f"| peer | {' | '.join(_TITLES[mode].lower() for mode in MODES)} | parameters |",
        "|---|---:|---:|---|",
    ]
    rng = np.random.default_rng(0)
    for name, by_mode in result.peers.items():
        cells = [_percent(result.against(by_mode[mode], mode, rng)) for mode in MODES]
        parameters = ", ".join(f"{key} {value}" for key, value in result.parameters[name].items())
        lines.append(f"| {name} | {' | '.join(cells)} | {parameters or 'defaults'} |")
    return lines


def _percent(interval: Interval) -> str:
    """Without an upper bound where the other found nothing in some resamples."""
    if not np.isfinite([interval.estimate, interval.low]).all():
        return "the other found nothing"
    high = f"to {interval.high:+.1%}" if np.isfinite(interval.high) else "or more"
    return f"{interval.estimate:+.1%}, {interval.low:+.1%} {high}"


def _densities(result: Measurement) -> list[str]:
    found = by_density(result)
    labels = [label for label in DENSITIES if any(label in classes for classes in found.values())]
    lines = [
        f"NDCG@10 ({_TITLES[result.task.mode].lower()}) by how many items are known of the shopper:",
        "",
        f"| strategy | {' | '.join(labels)} |",
        f"|---|{'---:|' * len(labels)}",
    ]
    for name, classes in found.items():
        cells = [f"{classes[label]:.4f}" if label in classes else "–" for label in labels]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _weights(weights: Mapping[str, float]) -> str:
    return ", ".join(
        f"{name} {weight:.2f}" for name, weight in sorted(weights.items(), key=lambda pair: -pair[1])
    )


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(float(value), 5) for name, value in values.items()}
