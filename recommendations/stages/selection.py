"""Popular products for places that nothing better fills, and pins. No variant family twice."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from algorithms.types import Bool, Int32
from recommendations.serving.assortment import Assortment
from recommendations.stages.rules import CompiledRules


@dataclass
class _Shelf:
    """Places chosen so far, at most `limit`; knows whether one more would be a second variant."""

    assortment: Assortment
    limit: int
    places: list[int] = field(default_factory=list)
    taken: set[int] = field(default_factory=set)
    families: set[int] = field(default_factory=set)

    @property
    def is_full(self) -> bool:
        return len(self.places) >= self.limit

    def admits(self, place: int) -> bool:
        family = int(self.assortment.family[place])
        return place not in self.taken and (family < 0 or family not in self.families)

    def add(self, place: int) -> None:
        self.places.append(place)
        self.taken.add(place)
        family = int(self.assortment.family[place])
        if family >= 0:
            self.families.add(family)


def top_up(
    assortment: Assortment, chosen: list[int], mask: Bool, limit: int, rules: CompiledRules
) -> list[int]:
    """Popular products that fill what is left of `limit`, in the order of `Standing`, then `rules`' boosts and burials."""
    shelf = _Shelf(assortment, limit)
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
    pinned = pinned_places(assortment, mask, limit, rules)
    rest = top_up(assortment, list(pinned.values()), mask, limit, rules)
    return with_pins(rest, pinned, limit)


def _eligible_in(order: Int32, mask: Bool) -> list[int]:
    """A large shop is searched in steps: the head of the order nearly always suffices."""
    head = order[:1000]
    found: list[int] = head[mask[head]].tolist()
    if len(order) > len(head) and len(found) < 200:
        rest = order[len(head) :]
        found += rest[mask[rest]].tolist()
    return found


def pinned_places(assortment: Assortment, mask: Bool, limit: int, rules: CompiledRules) -> dict[int, int]:
    """Rank → place. Of two pins to one rank the later goes below; a pin that is not eligible, or a second variant, is passed over."""
    pinned: dict[int, int] = {}
    shelf = _Shelf(assortment, limit)
    for rank, place in rules.pins:
        if not mask[place] or shelf.is_full or not shelf.admits(place):
            continue
        free = next((r for r in range(rank, limit + 1) if r not in pinned), None)
        if free is None:
            continue
        pinned[free] = place
        shelf.add(place)
    return pinned


def with_pins(others: list[int], pinned: dict[int, int], limit: int) -> list[int]:
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
