"""What a version's shelves were like when it was trained: the figures that later ones are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from algorithms.blend import Method
from algorithms.drift import edges_of, histogram
from algorithms.types import Float64
from recommendations.model_store.measuring import MeasuringSet

LENGTH: Final = 10


def baseline_report(cases: MeasuringSet, weights: Mapping[str, float], method: Method) -> dict[str, Any]:
    """JSON for the version's metrics. `cases` are choices made after what the strategies learned from; `weights` everybody's.

    `score_edges` and `score_counts`: histogram of `shelf_scores`; `unknown_shoppers`: share of cases of whose shopper nothing was known;
    `ndcg` and `ndcg_deviation`: NDCG@10 of the cases.
    """
    mix = {name: weight for name, weight in weights.items() if name in cases.names and weight > 0}
    scores = shelf_scores(cases, mix, method)
    edges = edges_of(scores)
    accuracy = shelf_accuracy(cases, mix, method)
    return {
        "cases": len(cases),
        "weights": mix,
        "normalisation": method,
        "score_edges": [round(edge, 6) for edge in edges.tolist()],
        "score_counts": histogram(scores, np.round(edges, 6)).tolist(),
        "unknown_shoppers": round(float((cases.known == 0).mean()), 5) if len(cases) else None,
        "ndcg": round(float(accuracy.mean()), 6) if len(cases) else None,
        "ndcg_deviation": round(float(accuracy.std()), 6) if len(cases) else None,
    }


def shelf_scores(cases: MeasuringSet, weights: Mapping[str, float], method: Method) -> Float64:
    """(m,) mean score of the first ten products, 1 being the most that `weights` allow, of the m cases of whose shopper something is
    known: how sure the version is of its shelves."""
    known = np.flatnonzero(cases.known > 0)
    full = sum(weights.values()) or 1.0
    means = [np.sort(_totals(cases, int(case), weights, method))[-LENGTH:].mean() / full for case in known]
    return np.array(means, np.float64)


def shelf_accuracy(cases: MeasuringSet, weights: Mapping[str, float], method: Method) -> Float64:
    """(n,) NDCG@10 of each case."""
    gains = 1.0 / np.log2(np.arange(2, LENGTH + 2))
    accuracy = np.zeros(len(cases))
    for case in range(len(cases)):
        totals = _totals(cases, case, weights, method)
        best = np.argsort(-totals, kind="stable")[:LENGTH]
        listed = cases.items[cases.offsets[case] : cases.offsets[case + 1]][best[totals[best] > 0]]
        chosen = cases.chosen(case)
        hits = np.isin(listed, chosen)
        accuracy[case] = gains[: len(listed)][hits].sum() / gains[: min(len(chosen), LENGTH)].sum()
    return accuracy


def _totals(cases: MeasuringSet, case: int, weights: Mapping[str, float], method: Method) -> Float64:
    row = np.array([weights.get(name, 0.0) for name in cases.names])
    return np.asarray(row @ cases.scaled(case, method), np.float64)
