"""How far what is seen now lies from what was seen at training: the population stability index of binned values.

PSI = Σ (actual − expected) · ln(actual / expected) over the bins' shares (Siddiqi, "Credit Risk Scorecards", 2006, ch. 6): below 0.1 little
has changed, above 0.25 much has. By chance alone PSI / (1/n + 1/m) follows χ² with bins − 1 degrees of freedom (Yurdakul and Naranjo,
"Statistical properties of the population stability index", Journal of Risk Model Validation 2020): with few observations it is high though
nothing changed.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.stats import chi2

from algorithms.types import Array, Float64, Int64

BINS: Final = 10
CONFIDENCE: Final = 0.999
EMPTY_BIN: Final = 0.5
"""Observations that an empty bin counts as: the logarithm of 0 is none."""


def edges_of(values: Float64, bins: int = BINS) -> Float64:
    """(≤ bins − 1,) inner edges that cut `values` into bins of equal numbers; fewer where values repeat."""
    if not len(values):
        return np.empty(0)
    return np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1]))


def histogram(values: Float64, edges: Float64) -> Int64:
    """(len(edges) + 1,) how many values lie in each bin; a value on an edge belongs to the bin above."""
    return np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)


def psi(expected: Array, actual: Array) -> float:
    """Of two histograms over the same bins. 0 where either is empty. Raises ValueError for different bins."""
    if expected.shape != actual.shape:
        raise ValueError(f"histograms must have the same bins: {expected.shape} against {actual.shape}")
    if not expected.sum() or not actual.sum():
        return 0.0
    shares = [
        (filled := np.maximum(counts.astype(np.float64), EMPTY_BIN)) / filled.sum()
        for counts in (expected, actual)
    ]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def psi_by_chance(expected: int, actual: int, bins: int, confidence: float = CONFIDENCE) -> float:
    """What PSI stays below with `confidence` if nothing has changed; `expected` and `actual` are numbers of observations."""
    if not expected or not actual or bins < 2:
        return float("inf")
    return float(chi2.ppf(confidence, bins - 1) * (1 / expected + 1 / actual))


def mass_bins(counts: Int64, bins: int = BINS) -> Int64:
    """(n,) bin of each thing, so that every bin holds about the same share of `counts` (n,): 0 has the few that are counted most.
    What was never counted is a bin of its own, the last one."""
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    bin_of = np.empty(len(counts), np.int64)
    bin_of[order] = np.minimum(before * bins // max(int(counts.sum()), 1), bins - 1)
    bin_of[counts == 0] = bins
    return bin_of


def overlap_at(expected: Int64, actual: Int64, k: int) -> float:
    """Share of the k things most counted in `actual` (n,) that are among the k most counted in `expected` (n,); fewer than k where
    fewer were counted at all. 1 where nothing was."""
    top = [
        np.argsort(-counts, kind="stable")[: min(k, int((counts > 0).sum()))] for counts in (expected, actual)
    ]
    return float(np.isin(top[1], top[0]).mean()) if len(top[1]) else 1.0
