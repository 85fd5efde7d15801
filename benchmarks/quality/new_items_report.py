"""A measurement of new items as one JSON object and as a table for people."""

from __future__ import annotations

from typing import Any

from benchmarks.quality.new_items import CUTOFF, METRICS, SHARE, NewItemsMeasurement
from recommendations.training.peak_memory import peak_memory_mb

EXPLAINED = {
    "new_items": "content, carried co-occurrence, mapped factors and demand, as validation chose",
    "content": "TF-IDF of texts and attributes",
    "text_embeddings": "mean word embeddings of texts",
    "lightfm": "our LightFM strategy, shoppers by their history",
    "LightFM": "the library as documented, shoppers by their own embeddings, items by their features alone",
    "LightFM hybrid": "the same with an embedding per item besides, as its data builder makes it",
}


def as_json(result: NewItemsMeasurement) -> dict[str, Any]:
    ratio = result.ratio
    return {
        "data": result.task.name,
        "protocol": "new items",
        "cases": len(result.test.cases),
        "new_items": int(result.test.new.sum()),
        "by_chance": {f"recall@{CUTOFF}": round(result.by_chance, 5)},
        "strategies": {
            name: {f"{metric}@{CUTOFF}": round(result.mean(name, metric), 5) for metric in METRICS}
            | {
                "interval": [round(result.intervals[name].low, 5), round(result.intervals[name].high, 5)],
                "train_seconds": round(result.train_seconds[name], 2),
                "parameters": result.parameters[name],
            }
            for name in result.per_case
        },
        "ratio": None
        if ratio is None
        else {
            "against": result.best_lightfm,
            "recall": round(ratio.estimate, 3),
            "interval": [round(ratio.low, 3), round(ratio.high, 3)],
        },
        "total_seconds": round(result.total_seconds, 1),
        "peak_memory_mb": round(peak_memory_mb()),
    }


def as_markdown(result: NewItemsMeasurement) -> str:
    new, data = int(result.test.new.sum()), result.test.data
    lines = [
        f"{SHARE:.0%} of the items held out: {new:,} new among {data.n_items:,}, all their interactions removed from the "
        f"{len(data):,} of training and from histories. {len(result.test.cases):,} test cases, new items ranked among new items, all of "
        f"them, ties at their mean rank; recall@{CUTOFF} by lot {result.by_chance:.4f}. Parameters chosen on a validation slice with "
        f"held-out items of its own, as many trials for LightFM as for ours. {result.total_seconds:.0f} s in all.",
        "",
        f"| strategy | {' | '.join(f'{metric}@{CUTOFF}' for metric in METRICS)} | 95 % interval of recall | training, s | chosen |",
        f"|---|{'---:|' * len(METRICS)}---:|---:|---|",
    ]
    for name in sorted(result.per_case, key=lambda name: -result.mean(name, "recall")):
        interval = result.intervals[name]
        chosen = ", ".join(f"{key} {value}" for key, value in result.parameters[name].items()) or "defaults"
        figures = " | ".join(f"{result.mean(name, metric):.4f}" for metric in METRICS)
        lines.append(
            f"| {name}: {EXPLAINED[name]} | {figures} | {interval.low:.4f}–{interval.high:.4f} | "
            f"{result.train_seconds[name]:.1f} | {chosen} |"
        )
    if result.ratio is not None:
        reached = "reached" if result.ratio.estimate >= GOAL else "not reached"
        lines += [
            "",
            f"`new_items` has {result.ratio.estimate:.2f} × the recall of `{result.best_lightfm}`, the best of its forms "
            f"(95 % interval {result.ratio.low:.2f}–{result.ratio.high:.2f}, resampled in pairs). Goal {GOAL} ×: {reached}.",
        ]
    return "\n".join(lines)


GOAL = 1.7
