"""Last choice: which of the best-scored products stand on the shelf, and where. Variant families, caps, diversity, pins, top-up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from algorithms.ranking import top_k
from algorithms.rerank import mmr
from algorithms.types import Bool, Float32, Int32
from recommendations.serving.assortment import Assortment
from recommendations.serving.configuration import BlendSettings
from recommendations.stages.rules import CompiledRules

CANDIDATES_PER_PLACE = 12
MIN_CANDIDATES = 120


@dataclass
class _Shelf:
    """Places chosen so far, at most `limit`; knows whether one more would break a cap."""

    assortment: Assortment
    limit: int
    caps: dict[str, int]
    places: list[int] = field(default_factory=list)
    taken: set[int] = field(default_factory=set)
    families: set[int] = field(default_factory=set)
    counts: dict[str, Counter[int]] = field(default_factory=dict)

    @property
    def is_full(self) -> bool:
        return len(self.places) >= self.limit

    def admits(self, place: int, *, capped: bool = True) -> bool:
        family = int(self.assortment.family[place])
        if place in self.taken or (family >= 0 and family in self.families):
            return False
        return not capped or all(
            (code := int(getattr(self.assortment, column)[place])) < 0
            or self.counts.get(column, Counter())[code] < cap
            for column, cap in self.caps.items()
        )

    def add(self, place: int) -> None:
        self.places.append(place)
        self.taken.add(place)
        family = int(self.assortment.family[place])
        if family >= 0:
            self.families.add(family)
        for column in self.caps:
            self.counts.setdefault(column, Counter())[int(getattr(self.assortment, column)[place])] += 1


def select(
    assortment: Assortment,
    scores: Float32,
    mask: Bool,
    limit: int,
    blend: BlendSettings | None,
    rules: CompiledRules,
) -> list[int]:
    """Places in the order of the shelf, at most `limit`, all eligible and scored, pins aside. Ties go to the lower place.

    Caps give way rather than leave places empty: a shop of one brand has a shelf of one brand.
    """
    shelf = _Shelf(assortment, limit, _caps(blend))
    pinned = _pinned(assortment, mask, limit, rules)
    for place in pinned.values():
        shelf.add(place)
    candidates = top_k(scores, max(MIN_CANDIDATES, limit * CANDIDATES_PER_PLACE))
    if blend is not None and blend.diversity > 0:
        candidates = _diversified(assortment, scores, candidates, limit, blend.diversity)
    for capped in (True, False):
        for place in candidates.tolist():
            if shelf.is_full:
                break
            if shelf.admits(place, capped=capped):
                shelf.add(place)
    return _with_pins(shelf.places[len(pinned) :], pinned, limit)


def top_up(
    assortment: Assortment, chosen: list[int], mask: Bool, limit: int, rules: CompiledRules
) -> list[int]:
    """Popular products that fill what is left of `limit`, in the order of `Standing`, then `rules`' boosts and burials."""
    shelf = _Shelf(assortment, limit, {})
    for place in chosen:
        shelf.add(place)
    order = assortment.standing.order
    if rules.factor is not None:
        order = order[np.argsort(-(assortment.standing.values * rules.factor)[order], kind="stable")]
    for place in _eligible_in(order, mask):
        if shelf.is_full:
            break
        if shelf.admits(place):
            shelf.add(place)
    return shelf.places[len(chosen) :]


def popular(assortment: Assortment, mask: Bool, limit: int, rules: CompiledRules) -> list[int]:
    """A shelf of popular products: what everybody gets who cannot or must not get a shelf of their own."""
    pinned = _pinned(assortment, mask, limit, rules)
    rest = top_up(assortment, list(pinned.values()), mask, limit, rules)
    return _with_pins(rest, pinned, limit)


def _eligible_in(order: Int32, mask: Bool) -> list[int]:
    """A large shop is searched in steps: the head of the order nearly always suffices."""
    head = order[:1000]
    found: list[int] = head[mask[head]].tolist()
    if len(order) > len(head) and len(found) < 200:
        rest = order[len(head) :]
        found += rest[mask[rest]].tolist()
    return found


def _caps(blend: BlendSettings | None) -> dict[str, int]:
    if blend is None:
        return {}
    caps = {"brand": blend.max_per_brand, "category": blend.max_per_category}
    return {column: cap for column, cap in caps.items() if cap}


def _pinned(assortment: Assortment, mask: Bool, limit: int, rules: CompiledRules) -> dict[int, int]:
    """Rank → place. Of two pins to one rank the later goes below; a pin that is not eligible, or a second variant, is passed over."""
    pinned: dict[int, int] = {}
    shelf = _Shelf(assortment, limit, {})
    for rank, place in rules.pins:
        if not mask[place] or shelf.is_full or not shelf.admits(place):
            continue
        free = next((r for r in range(rank, limit + 1) if r not in pinned), None)
        if free is None:
            continue
        pinned[free] = place
        shelf.add(place)
    return pinned


def _with_pins(others: list[int], pinned: dict[int, int], limit: int) -> list[int]:
    """`others` in order around the pins; where they are too few to reach a pin's rank, the pin moves up."""
    total = min(limit, len(others) + len(pinned))
    waiting = iter(others)
    pins = dict(sorted(pinned.items()))
    places: list[int] = []
    for rank in range(1, total + 1):
        place = pins.pop(rank, None)
        if place is None:
            place = next(waiting, None)
        if place is None:
            place = pins.pop(min(pins))
        places.append(place)
    return places


def _diversified(
    assortment: Assortment, scores: Float32, candidates: Int32, limit: int, diversity: float
) -> Int32:
    """Maximal marginal relevance at the head, two products being alike by category and, less, by brand; the rest as scored."""
    vectors = np.hstack(
        [_one_hot(assortment.category[candidates]), 0.6 * _one_hot(assortment.brand[candidates])]
    )
    head = mmr(candidates, scores[candidates], vectors.astype(np.float32), 2 * limit, 1.0 - diversity)
    return np.concatenate([head, candidates[~np.isin(candidates, head)]])


def _one_hot(codes: Int32) -> Float32:
    """(c, distinct codes); a row of zeros where there is no code."""
    distinct, inverse = np.unique(codes, return_inverse=True)
    return np.eye(len(distinct), dtype=np.float32)[inverse] * (codes >= 0)[:, None]
