"""From the best items to a good list: variety, caps, calibrated price bands, places kept for the new, a share for chance.

Everything here takes the few hundred candidates of a shelf as aligned arrays (c,), best first, and costs microseconds.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import numba
import numpy as np

from algorithms.types import Bool, Float32, Float64, Int32, Int64

BRAND_LIKENESS = 0.36
"""Two items of one category are alike; of one brand, this much of that."""
SMOOTHING = 0.01
"""Steck 2018 (section 3): a list that lacks a band altogether is far from the wish, not infinitely far."""


@dataclass(frozen=True)
class Wish:
    """How a list should spread over bands. `band` (c,) 0..b-1; `group` (c,) row of `targets` (g, b), whose rows sum to 1.

    An item's own row says which share of each band is wished for among items like it.
    """

    band: Int32
    group: Int32
    targets: Float64

    @classmethod
    def nothing(cls, n: int) -> Wish:
        return cls(np.zeros(n, np.int32), np.zeros(n, np.int32), np.ones((1, 1)))


@dataclass(frozen=True)
class Chosen:
    """`order`: places among the candidates, best first. The first `within` of them keep all caps, in any selection."""

    order: Int32
    within: int


def choose(
    relevance: Float32 | Float64,
    family: Int32,
    brand: Int32,
    category: Int32,
    k: int,
    *,
    max_per_brand: int = 0,
    max_per_category: int = 0,
    diversity: float = 0.0,
    wish: Wish | None = None,
    calibration: float = 0.0,
    standing: int = 0,
) -> Chosen:
    """At most k candidates, one after the other, each the best beside those before it.

    Best is the largest (1 - calibration) · ((1 - diversity) · relevance / max - diversity · largest likeness to one chosen)
    - calibration · divergence. The first part is maximal marginal relevance (Carbonell and Goldstein 1998), the second calibrated
    recommendation (Steck 2018): the Kullback-Leibler divergence of the list's bands from the wish, above that of the best
    band for the item's group, so that groups are not played off against each other. Without either, `relevance` decides; ties
    go to the earlier candidate.

    Codes (c,) are equal for items of one family, brand or category, -1 for none. Only one of a family is chosen. Caps of 0 are
    no caps; they give way before the list stays short. The first `standing` candidates stand on the list already: they
    count for caps, families, likeness and bands, and are not given back. Raises ValueError for shares outside of 0..1.
    """
    for name, share in (("diversity", diversity), ("calibration", calibration)):
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"{name} must lie in 0..1, not {share}")
    bands = wish or Wish.nothing(len(relevance))
    order, within = _choose(
        np.ascontiguousarray(relevance, np.float64), np.ascontiguousarray(family, np.int32), np.ascontiguousarray(brand, np.int32),
        np.ascontiguousarray(category, np.int32), np.ascontiguousarray(bands.band, np.int32),
        np.ascontiguousarray(bands.group, np.int32), np.ascontiguousarray(bands.targets, np.float64),
        standing, max(k, 0), max_per_brand, max_per_category, diversity, calibration if wish else 0.0,
    )  # fmt: skip
    return Chosen(order, int(within))


@numba.njit(nogil=True, cache=True)
def _choose(
    relevance: Float64, family: Int32, brand: Int32, category: Int32, band: Int32, group: Int32, targets: Float64,
    standing: int, k: int, max_per_brand: int, max_per_category: int, diversity: float, calibration: float,
) -> tuple[Int32, int]:  # fmt: skip
    n = len(relevance)
    out, capped = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    closest, of_brand, of_category = np.zeros(n), np.zeros(n, np.int32), np.zeros(n, np.int32)
    counts, wished = np.zeros(targets.shape[1]), np.zeros(targets.shape[1])
    penalty = np.zeros(targets.shape)
    worth = _scaled(relevance, standing, 1.0 - diversity)
    order = np.empty(min(k, n), np.int32)
    m, within = 0, -1
    for step in range(standing + min(k, n)):
        best = step
        if step >= standing:
            if calibration > 0.0:
                _divergence(counts, wished, targets, step, penalty)
            best = _best(worth, closest, penalty, band, group, out, capped, standing, diversity, calibration)
            if best < 0 and within < 0:
                within = m
                capped[:] = False
                best = _best(
                    worth, closest, penalty, band, group, out, capped, standing, diversity, calibration
                )
            if best < 0:
                break
            order[m] = best
            m += 1
        out[best] = True
        counts[band[best]] += 1.0
        wished += targets[group[best]]
        _stand_beside(best, family, brand, category, diversity, out, closest, of_brand, of_category)
        if within < 0:
            _cap(of_brand, of_category, max_per_brand, max_per_category, capped)
    return order[:m].copy(), m if within < 0 else within


@numba.njit(nogil=True, cache=True)
def _scaled(relevance: Float64, standing: int, share: float) -> Float64:
    """`share` times what part each has of the largest of those that do not stand on the list yet."""
    top = 0.0
    for j in range(standing, len(relevance)):
        top = max(top, relevance[j])
    return relevance * (share / top if top > 0.0 else 0.0)


@numba.njit(nogil=True, cache=True)
def _best(
    worth: Float64, closest: Float64, penalty: Float64, band: Int32, group: Int32, out: Bool, capped: Bool,
    standing: int, diversity: float, calibration: float,
) -> int:  # fmt: skip
    """The first of the best that may still be chosen; -1 where none may."""
    best, highest = -1, -np.inf
    for j in range(standing, len(worth)):
        if out[j] or capped[j]:
            continue
        value = worth[j] - diversity * closest[j]
        if calibration > 0.0:
            value = (1.0 - calibration) * value - calibration * penalty[group[j], band[j]]
        if value > highest:
            best, highest = j, value
    return best


@numba.njit(nogil=True, cache=True)
def _stand_beside(
    best: int, family: Int32, brand: Int32, category: Int32, diversity: float,
    out: Bool, closest: Float64, of_brand: Int32, of_category: Int32,
) -> None:  # fmt: skip
    """What it means for all others that `best` stands on the list."""
    for j in range(len(family)):
        if family[j] >= 0 and family[j] == family[best]:
            out[j] = True
        same_brand = brand[j] >= 0 and brand[j] == brand[best]
        same_category = category[j] >= 0 and category[j] == category[best]
        of_brand[j] += same_brand
        of_category[j] += same_category
        if diversity > 0.0 and (same_brand or same_category):
            likeness = same_category + BRAND_LIKENESS * same_brand
            own = (category[j] >= 0) + BRAND_LIKENESS * (brand[j] >= 0)
            other = (category[best] >= 0) + BRAND_LIKENESS * (brand[best] >= 0)
            closest[j] = max(closest[j], likeness / np.sqrt(own * other))


@numba.njit(nogil=True, cache=True)
def _cap(of_brand: Int32, of_category: Int32, per_brand: int, per_category: int, capped: Bool) -> None:
    """Those of whose brand or category enough stand on the list; 0 is no cap."""
    for j in range(len(capped)):
        if (0 < per_brand <= of_brand[j]) or (0 < per_category <= of_category[j]):
            capped[j] = True


@numba.njit(nogil=True, cache=True)
def _divergence(counts: Float64, wished: Float64, targets: Float64, n: int, penalty: Float64) -> None:
    """Into `penalty` (g, b): the divergence of the list after one more item of that group and band, its group's least taken off."""
    bands = targets.shape[1]
    for g in range(targets.shape[0]):
        least = np.inf
        for b in range(bands):
            divergence = 0.0
            for x in range(bands):
                p = (wished[x] + targets[g, x]) / (n + 1)
                q = (counts[x] + (x == b)) / (n + 1)
                if p > 0.0:
                    divergence += p * np.log(p / ((1.0 - SMOOTHING) * q + SMOOTHING * p))
            penalty[g, b] = divergence
            least = min(least, divergence)
        for b in range(bands):
            penalty[g, b] -= least


def shrink(observations: Float64, prior: float) -> Float64:
    """Factors (c,) n / (n + prior): what is known of an item by few observations counts for less, by `prior` of them half."""
    return np.asarray(observations / np.maximum(observations + prior, 1e-12))


def value_factor(percentile: Float64, bound: float, tilt: float = 0.0) -> Float64:
    """Factors within 1 / (1 + bound) .. 1 + bound for values at `percentile` (c,) 0..1 of their like; 0.5 leaves a score alone.

    `tilt` in -1..1 is by how much the shopper's own value strengthens (> 0) or weakens (< 0) the push; the bound holds.
    """
    return np.asarray((1.0 + bound) ** np.clip((2.0 * percentile - 1.0) * (1.0 + tilt), -1.0, 1.0))


def fatigue(times: Float64, strength: float) -> Float64:
    """Factors (c,) 1 / (1 + strength · times) for items shown so many times without a click."""
    return np.asarray(1.0 / (1.0 + strength * times))


def slot_ranks(slots: int, k: int) -> list[int]:
    """Where `slots` kept places stand on a list of k, ranks from 1: spread evenly, neither first nor together. 2 of 12: 4 and 8."""
    count = min(max(slots, 0), k)
    return [max(1, round(place * k / (count + 1))) for place in range(1, count + 1)]


def reserve(order: list[int], newcomers: list[int], slots: int, new: Set[int], k: int) -> list[int]:
    """`order` with at least `slots` items of `new` on it: as many `newcomers`, best first, as are missing, at `slot_ranks`.

    What is new and stands on the list by itself stays and counts. Newcomers fill the list up to k first, then push out its
    last items that are not new.
    """
    kept = list(order)
    missing = slots - sum(item in new for item in kept)
    coming = [item for item in newcomers if item not in kept][: max(missing, 0)]
    while coming and len(kept) + len(coming) > k:
        last = next((place for place in range(len(kept) - 1, -1, -1) if kept[place] not in new), None)
        if last is None:
            coming.pop()
        else:
            kept.pop(last)
    for rank, item in zip(slot_ranks(len(coming), len(kept) + len(coming)), coming, strict=True):
        kept.insert(rank - 1, item)
    return kept


@dataclass(frozen=True)
class Explored:
    """`takes[x]` = which of the pool stands at free place x, -1 = what stood there. `propensity` (f,): how likely that was."""

    takes: Int64
    propensity: Float64


def explore(free: int, pool: Int64, share: float, seed: int) -> Explored:
    """Give each of `free` places with probability `share` to an item of `pool` (p,), numbers that name the items for good.

    A pure function of `seed`, `share` and the pool: whoever asks again with the same is shown the same. Each place is explored
    independently, by whichever of the pool with the same probability: an explored item had share / p, one that was
    left in its place 1 - share (what inverse propensity scoring divides by). With fewer items in the pool than places,
    only the last places may be explored; there the first ones are certain.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share must lie in 0..1, not {share}")
    takes = np.full(free, -1, np.int64)
    propensity = np.ones(free)
    open_places = np.arange(max(0, free - len(pool)), free)
    if not len(open_places) or share == 0.0:
        return Explored(takes, propensity)
    by_chance = np.argsort(_mixed(pool.astype(np.uint64), seed ^ 0x5851F42D4C957F2D), kind="stable")
    drawn = _mixed(open_places.astype(np.uint64), seed) / 2.0**64 < share
    propensity[open_places] = np.where(drawn, share / len(pool), 1.0 - share)
    explored = open_places[drawn]
    takes[explored] = by_chance[: len(explored)]
    return Explored(takes, propensity)


def _mixed(numbers: np.ndarray, seed: int) -> np.ndarray:
    """(n,) uint64, each spread over 0..2^64-1 as if by chance: the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        z = (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed & (2**64 - 1))
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(z ^ (z >> np.uint64(31)))
