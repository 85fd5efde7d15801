"""Strategies that need the catalogue as it is now instead of a trained model: new arrivals and stated interests.

They score all n places of the assortment, so that a product imported a minute ago takes part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from algorithms.needs import Need
from algorithms.types import Bool, Float32
from recommendations.stages.context import Context
from recommendations.stages.taste import matches_interest

DAY_SECONDS: Final = 86_400.0
NEW_DAYS: Final = 45.0
NEW_HALF_LIFE_DAYS: Final = 14.0


def new_arrivals(context: Context) -> Float32:
    """0.5^(age / 14 days) up to 45 days, times 1 + the share of the shopper's interactions in the product's brand and category."""
    assortment = context.snapshot.assortment
    age_days = (context.now - assortment.published) / DAY_SECONDS
    fresh = (age_days >= 0) & (age_days <= NEW_DAYS) & (assortment.published > 0)
    scores = np.where(fresh, 0.5 ** (np.clip(age_days, 0.0, NEW_DAYS) / NEW_HALF_LIFE_DAYS), 0.0)
    return (scores * (1.0 + _liking(context))).astype(np.float32)


def _liking(context: Context) -> np.ndarray:
    """(n,) 0..2: share of the shopper's weight in the brand plus share in the category."""
    assortment, query = context.snapshot.assortment, context.query
    if not len(query.items):
        return np.zeros(len(assortment))
    liking = np.zeros(len(assortment))
    for column in (assortment.brand, assortment.category):
        codes, inverse = np.unique(column[query.items], return_inverse=True)
        share = np.bincount(inverse, weights=query.weights) / query.weights.sum()
        place = np.searchsorted(codes, column).clip(max=len(codes) - 1)
        liking += np.where((codes[place] == column) & (column >= 0), share[place], 0.0)
    return liking


def stated_interests(context: Context) -> Float32:
    """0.3 + 0.7 × how wanted the product is of late, for products of the categories and brands that the customer named."""
    matches = interest_matches(context)
    return np.where(matches, 0.3 + 0.7 * context.snapshot.assortment.standing.values, 0.0).astype(np.float32)


def interest_matches(context: Context) -> Bool:
    assortment = context.snapshot.assortment
    matches = np.zeros(len(assortment), np.bool_)
    for kind, value in context.known.interests:
        matches |= matches_interest(assortment, kind, value)
    return matches


SHOP_NEEDS: Final[Mapping[str, tuple[Need, ...]]] = MappingProxyType(
    {"new": (Need("new_items", 1, 8),), "interests": (Need("stated_interests", 1, 1),)}
)
SHOP_STRATEGIES: Final[Mapping[str, Callable[[Context], Float32]]] = MappingProxyType(
    {"new": new_arrivals, "interests": stated_interests}
)
