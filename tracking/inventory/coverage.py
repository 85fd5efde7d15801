"""Which events of the vocabulary arrive, and what is lost without those that do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tracking.vocabulary import KNOWN_EVENTS

# Events that something of ours lives on, most important first, and what that is.
IMPORTANT: Final[Mapping[str, str]] = {
    "Product Viewed": "every personal shelf learns from what is looked at",
    "Order Completed": "revenue, uplift, repurchases and what is bought together",
    "Product Added": "carts: the strongest interest short of an order, and what goes well with it",
    "identify": "one customer over several browsers",
    "Products Searched": "what people look for, found or not",
    "Product List Viewed": "categories of interest, before any product is opened",
    "Product Removed": "carts that are true",
    "Checkout Started": "where orders are lost",
    "Recommendation Viewed": "what shelves are worth: what was seen",
    "Recommendation Clicked": "what shelves are worth: what was clicked",
    "Page Left": "how long a page was read",
    "Order Refunded": "revenue that stays",
}


@dataclass(frozen=True)
class Coverage:
    """`present` are counts by event name, most first; `missing` important ones with what is lost; `unused` the other names
    of the vocabulary that did not come."""

    present: dict[str, int]
    missing: dict[str, str]
    unused: list[str]
    known: int

    @property
    def share(self) -> float:
        """Of the important events, how many arrive."""
        return 1 - len(self.missing) / len(IMPORTANT)


def coverage_of(counts: Mapping[str, int]) -> Coverage:
    """`counts`: events by name; messages without one by their type (`identify`)."""
    present = {name: count for name, count in sorted(counts.items(), key=lambda pair: -pair[1]) if count}
    missing = {name: why for name, why in IMPORTANT.items() if name not in present}
    unused = sorted(KNOWN_EVENTS - present.keys() - missing.keys())
    return Coverage(present, missing, unused, len(KNOWN_EVENTS))
