"""Kernels for a blend that is worked out only where it can be high: see `recommendations/stages/few.py`."""

from __future__ import annotations

import numba
import numpy as np

from algorithms.ranking import top_k
from algorithms.types import Bool, Float32, Int32

BINS = 1024


@numba.njit(nogil=True, cache=True)
def add_opinion(
    row: Float32, mask: Bool, weight: np.float32, is_stretched: bool, total: Float32
) -> np.float32:
    """Add weight · row / scale to `total` (n,) where `mask` is true, as `algorithms.blend` does by "max"; gives the scale.

    `row` may be shorter than `total`. The scale is the largest of the row within the mask, or 1 where nothing is to be stretched; 0
    where the row says nothing there.
    """
    top = np.float32(0.0)
    for i in range(len(row)):
        if mask[i] and row[i] > top:
            top = row[i]
    if top == 0.0:
        return top
    scale = top if is_stretched else np.float32(1.0)
    for i in range(len(row)):
        if mask[i] and row[i] > 0.0:
            total[i] += weight * (row[i] / scale)
    return scale


@numba.njit(nogil=True, cache=True)
def add_stated(
    items: Int32, scores: Float32, mask: Bool, weight: np.float32, is_stretched: bool, total: Float32
) -> np.float32:
    """The same of an opinion of few: distinct `items` and their `scores`, above 0."""
    top = np.float32(0.0)
    for x in range(len(items)):
        if mask[items[x]] and scores[x] > top:
            top = scores[x]
    if top == 0.0:
        return top
    scale = top if is_stretched else np.float32(1.0)
    for x in range(len(items)):
        if mask[items[x]]:
            total[items[x]] += weight * (scores[x] / scale)
    return scale


@numba.njit(cache=True)
def look_up(row: Float32, places: Int32, scale: np.float32, out: Float32) -> None:
    """Into `out` (c,) what `row` says of `places`, divided by `scale`; places beyond it stay what they are."""
    for c in range(len(places)):
        if places[c] < len(row):
            out[c] = row[places[c]] / scale


@numba.njit(cache=True)
def look_up_stated(
    items: Int32, scores: Float32, places: Int32, scale: np.float32, position: Float32, out: Float32
) -> None:
    """The same of an opinion of few. `position` are (≥ n,) zeros to work with, and zeros again afterwards."""
    for c in range(len(places)):
        position[places[c]] = c + 1
    for x in range(len(items)):
        c = int(position[items[x]])
        if c:
            out[c - 1] = scores[x] / scale
    for c in range(len(places)):
        position[places[c]] = 0.0


def strongest(total: Float32, k: int) -> Int32:
    """Places of the k largest values above 0, ascending, with some more that are nearly as large; all where there are fewer."""
    places, is_exact = _above_bar(total, k, 4 * k)
    return places if is_exact else np.sort(top_k(total, k))


@numba.njit(nogil=True, cache=True)
def _above_bar(total: Float32, k: int, most: int) -> tuple[Int32, bool]:
    """By counting values into bins: two passes, no sorting. False where more than `most` fall into the last bin."""
    top = np.float32(0.0)
    for i in range(len(total)):
        top = max(top, total[i])
    places = np.empty(most, np.int32)
    if top <= 0.0:
        return places[:0].copy(), True
    counts = np.zeros(BINS + 1, np.int64)
    factor = np.float32(BINS) / top
    for i in range(len(total)):
        if total[i] > 0.0:
            counts[int(total[i] * factor)] += 1
    bar, above = BINS, counts[BINS]
    while above < k and bar > 0:
        bar -= 1
        above += counts[bar]
    if above > most:
        return places[:0].copy(), False
    n = 0
    for i in range(len(total)):
        if total[i] > 0.0 and int(total[i] * factor) >= bar:
            places[n] = i
            n += 1
    return places[:n].copy(), True


@numba.njit(nogil=True, cache=True)
def joined(places: Int32, others: Int32, mask: Bool) -> Int32:
    """All of `places` and those of `others` that the mask has, each once, ascending. `others` beyond the mask are left out."""
    wanted = np.zeros(len(mask), np.bool_)
    n = 0
    for place in places:
        if not wanted[place]:
            wanted[place] = True
            n += 1
    for place in others:
        if place < len(mask) and mask[place] and not wanted[place]:
            wanted[place] = True
            n += 1
    both = np.empty(n, np.int32)
    at = 0
    for place in range(len(mask)):
        if wanted[place]:
            both[at] = place
            at += 1
    return both
