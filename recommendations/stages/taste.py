"""What tells of a shopper's taste besides which products they touched: how long they looked, and which interests they named."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np

from algorithms.types import Bool, Float32, Int32
from profiles.fold import SESSION_GAP_SECONDS, Interaction
from recommendations.serving.assortment import Assortment

MOST_INTERESTS: Final = 10
PRODUCTS_PER_INTEREST: Final = 30


def looked_at(interactions: Sequence[Interaction]) -> Float32:
    """(n,) seconds from each view to what the shopper did next in the same visit; 0 = unknown, or no view."""
    until_next = [
        later.occurred_at - entry.occurred_at if entry.name == "Product Viewed" else 0.0
        for entry, later in pairwise(interactions)
    ]
    seconds = np.array([*until_next, 0.0][: len(interactions)], np.float32)
    seconds[seconds > SESSION_GAP_SECONDS] = 0.0
    return seconds


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


MOST_KNOWN: Final = 64
_matches: WeakKeyDictionary[Assortment, dict[tuple[str, str], Bool]] = WeakKeyDictionary()


def matches_interest(assortment: Assortment, kind: str, value: str) -> Bool:
    """(n,) products of a category (and all below it) or a brand, by their slugs. Shared between shoppers: read it only."""
    known = _matches.setdefault(assortment, {})
    found = known.get((kind, value))
    if found is None:
        if len(known) >= MOST_KNOWN:
            known.clear()
        found = _matching(assortment, kind, value)
        found.setflags(write=False)
        known[kind, value] = found
    return found


def _matching(assortment: Assortment, kind: str, value: str) -> Bool:
    if kind == "category":
        return np.isin(assortment.category, list(assortment.taxonomy.named(value)))
    if kind == "brand" and value in assortment.taxonomy.brands:
        return np.asarray(assortment.brand == assortment.taxonomy.brands[value])
    return np.zeros(len(assortment), np.bool_)
