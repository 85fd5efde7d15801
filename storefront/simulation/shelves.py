"""The shelves that simulated shoppers were shown: personal ones, and popular products for the control group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from storefront.simulation.shoppers import new_uuid
from storefront.simulation.world import Floats, World

SEEN_ON_HOME: Final = 4
SEEN_ON_PRODUCT_PAGE: Final = 3
CLICK_BASE: Final = 0.006
CLICK_RANGE: Final = 0.075
_STRATEGIES: Final = ("session_knn", "item_vectors", "als", "item_knn", "content")


@dataclass(frozen=True)
class ShownShelf:
    """Products in order of rank (from 1) as indices of the world, with what produced each."""

    request_id: str
    placement: str
    variant: str
    items: tuple[int, ...]
    strategies: tuple[str, ...]

    def click_chances(self, interest: Floats) -> Floats:
        """(k,) chance of a click on each: grows with how much of the shop interests less now, falls with the rank."""
        standing = (interest[None, :] < interest[list(self.items), None]).mean(axis=1)
        chances: Floats = (CLICK_BASE + CLICK_RANGE * standing**6) * 0.9 ** np.arange(len(self.items))
        return chances


def home_shelf(
    world: World, interest: Floats, bought: Sequence[int], is_control: bool, rng: np.random.Generator
) -> ShownShelf:
    """A recommender knows interests only roughly: its order is the shopper's own with noise."""
    guess = _popular(world, interest, rng) if is_control else interest * rng.lognormal(0, 0.7, world.size)
    guess[list(bought)] = 0
    return _shelf("home", guess, SEEN_ON_HOME, is_control, rng)


def similar_shelf(
    world: World, item: int, interest: Floats, seen: Sequence[int], is_control: bool, rng: np.random.Generator
) -> ShownShelf:
    if is_control:
        guess = _popular(world, interest, rng)
    else:
        guess = np.zeros(world.size)
        related = world.related[item]
        guess[related] = np.sqrt(interest[related]) * rng.lognormal(0, 0.6, len(related))
    guess[list(seen)] = 0
    return _shelf("similar", guess, SEEN_ON_PRODUCT_PAGE, is_control, rng)


def _popular(world: World, interest: Floats, rng: np.random.Generator) -> Floats:
    """Popular products of the day, without those that are not in the shop yet."""
    popular: Floats = world.popularity * rng.lognormal(0, 0.25, world.size) * (interest > 0)
    return popular


def _shelf(
    placement: str, guess: Floats, size: int, is_control: bool, rng: np.random.Generator
) -> ShownShelf:
    order = np.argsort(-guess)[:size]
    items = tuple(int(item) for item in order if guess[item] > 0)
    strategies = tuple(
        "popular" if is_control else _STRATEGIES[int(rng.integers(len(_STRATEGIES)))] for _ in items
    )
    return ShownShelf(
        new_uuid(rng), placement, "control" if is_control else "personalised", items, strategies
    )
