"""What tells of a shopper's taste besides which products they touched: how long they looked, and which interests they named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from algorithms.types import Bool, Float32, Int32
from profiles.fold import SESSION_GAP_SECONDS, Interaction
from recommendations.serving.assortment import Assortment

MOST_INTERESTS: Final = 10
PRODUCTS_PER_INTEREST: Final = 30


def looked_at(interactions: Sequence[Interaction]) -> Float32:
    """(n,) seconds from each view to what the shopper did next in the same visit; 0 = unknown, or no view."""
    moments = np.array([entry.occurred_at for entry in interactions], np.float64)
    views = np.array([entry.name == "Product Viewed" for entry in interactions], np.bool_)
    until_next = np.append(np.diff(moments), 0.0)[: len(moments)]
    return np.where(views & (until_next <= SESSION_GAP_SECONDS), until_next, 0.0).astype(np.float32)


def interest_products(assortment: Assortment, interests: Sequence[tuple[str, str]]) -> tuple[Int32, ...]:
    """For each category or brand that the customer named, places of its most wanted products that can be had."""
    found = []
    for kind, value in interests[:MOST_INTERESTS]:
        mask = assortment.available & matches_interest(assortment, kind, value)
        places = np.flatnonzero(mask)
        best = places[np.argsort(-assortment.standing.values[places], kind="stable")[:PRODUCTS_PER_INTEREST]]
        if len(best):
            found.append(best.astype(np.int32))
    return tuple(found)


def matches_interest(assortment: Assortment, kind: str, value: str) -> Bool:
    """(n,) products of a category (and all below it) or a brand, by their slugs."""
    if kind == "category":
        return np.isin(assortment.category, list(assortment.taxonomy.named(value)))
    if kind == "brand" and value in assortment.taxonomy.brands:
        return np.asarray(assortment.brand == assortment.taxonomy.brands[value])
    return np.zeros(len(assortment), np.bool_)
