"""Bands by rank among the like, and how a shopper's history spreads over them: Steck, "Calibrated recommendations" (RecSys 2018)."""

from __future__ import annotations

import numpy as np

from algorithms.types import Float64, Int32


def group_quantiles(values: Float64, groups: Int32, n_groups: int, parts: int) -> Float64:
    """(n_groups, parts - 1): bounds that cut each group's values into `parts` equal shares, by linear interpolation.

    `values` and `groups` (n,), groups 0..n_groups-1. A group without values has bounds of infinity: all of it is band 0.
    """
    order = np.lexsort((values, groups))
    ordered = values[order]
    starts = np.searchsorted(groups[order], np.arange(n_groups + 1))
    size = np.diff(starts)
    at = np.maximum(size - 1, 0)[:, None] * np.linspace(0, 1, parts + 1)[None, 1:-1]
    low = np.floor(at).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(size - 1, 0)[:, None])
    if not len(ordered):
        return np.full((n_groups, parts - 1), np.inf)
    first = np.minimum(starts[:-1], len(ordered) - 1)[:, None]
    below, above = (ordered[np.minimum(first + step, len(ordered) - 1)] for step in (low, high))
    return np.where(size[:, None] > 0, below + (at - low) * (above - below), np.inf)


def bands(values: Float64, groups: Int32, bounds: Float64) -> Int32:
    """(n,) 0..parts-1: how many of its group's bounds each value lies above."""
    return np.asarray((values[:, None] > bounds[groups]).sum(axis=1), np.int32)


def band_targets(
    band: Int32, group: Int32, weight: Float64, groups: Int32, parts: int, prior: float = 2.0
) -> Float64:
    """(len(groups), parts): the shares of bands in a history of m interactions, for each of `groups`; rows sum to 1.

    `band`, `group`, `weight` (m,) > 0 belong to the history, m > 0. A group that the history knows little of leans on the
    whole history, by `prior` interactions; the whole history leans on nothing known (equal shares) likewise.
    """
    whole = np.bincount(band, weights=weight, minlength=parts) + prior / parts
    whole /= whole.sum()
    rows = np.tile(prior * whole, (len(groups), 1))
    for row, code in enumerate(groups.tolist()):
        own = group == code
        if own.any():
            rows[row] += np.bincount(band[own], weights=weight[own], minlength=parts)
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))
