"""Many opinions brought to one scale, weighted, and added up.

Where a strategy has no opinion of an item it scores 0, on every scale.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.stats import rankdata

from algorithms.types import Float32, Float64

Method = Literal["max", "zscore", "rrf"]
METHODS: tuple[Method, ...] = get_args(Method)

RRF_K = 60.0
"""Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet" (SIGIR 2009)."""

CALIBRATED = frozenset({"reminder"})
"""Strategies whose scores mean the same for every shopper: stretching them would make a doubt as loud as a certainty."""


@dataclass(frozen=True)
class BlendResult:
    """`total` has the shape of the scores; it is the sum of `contributions`, one array per strategy that has weight."""

    total: Float32
    contributions: dict[str, Float32]


def normalise(scores: Float32, method: Method = "max") -> Float32:
    """Scores ≥ 0, (n_items,) or (q, n_items), on one scale per row; a row of zeros stays zeros.

    "max" divides by the row's maximum. "zscore" divides by its standard deviation: z-scores moved so that "no opinion"
    is 0, which leaves the order of every weighted sum what it is. "rrf" is 61 / (60 + rank), ties at their mean rank.
    """
    if method == "rrf":
        return _reciprocal_ranks(scores)
    scale = scores.max(axis=-1, keepdims=True, initial=0.0)
    if method == "zscore":
        deviation = _deviation(scores)
        # All alike, but for rounding, is an opinion too: as loud as one standard deviation.
        scale = np.where(deviation > 1e-6 * scale, deviation, scale)
    elif method != "max":
        raise ValueError(f"unknown method {method!r}: choose one of {', '.join(METHODS)}")
    return np.asarray(scores / np.where(scale > 0.0, scale, 1.0), np.float32)


def _deviation(scores: Float32) -> Float64:
    if not scores.shape[-1]:
        return np.zeros((*scores.shape[:-1], 1))
    return np.asarray(scores.std(axis=-1, keepdims=True, dtype=np.float64))


def _reciprocal_ranks(scores: Float32) -> Float32:
    ranks = rankdata(-scores, axis=-1)
    return np.where(scores > 0.0, (RRF_K + 1.0) / (RRF_K + ranks), 0.0).astype(np.float32)


def blend(
    scores: Mapping[str, Float32],
    weights: Mapping[str, float],
    method: Method = "max",
    calibrated: Collection[str] = CALIBRATED,
) -> BlendResult:
    """The weighted sum of `scores`, all of one shape, each first brought to one scale; `calibrated` ones are left as is.

    A strategy without weight contributes nothing. Raises ValueError for a negative weight, for shapes that differ and
    where `scores` is empty.
    """
    if not scores:
        raise ValueError("nothing to blend: give the scores of one strategy at least")
    if negative := [name for name, weight in weights.items() if not weight >= 0.0]:
        raise ValueError(f"weights must be 0 or above, but for {', '.join(negative)}")
    if len(shapes := {row.shape for row in scores.values()}) > 1:
        raise ValueError(f"scores must have one shape, found {sorted(shapes)}")
    total = np.zeros(next(iter(shapes)), np.float32)
    contributions = {}
    for name in scores:
        if weight := weights.get(name, 0.0):
            opinion = (
                scores[name] if name in calibrated and method != "rrf" else normalise(scores[name], method)
            )
            contributions[name] = np.float32(weight) * opinion
            total += contributions[name]
    return BlendResult(total, contributions)
