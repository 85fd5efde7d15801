"""The events that we know, by the Segment e-commerce specification v2, and what each must carry.

An event outside of the vocabulary is stored too: a shop may measure what it likes. What is in it is checked,
since everything that is learned from the log relies on these properties.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from tracking.models.event import ORDER_EVENTS, EventType

__all__ = [
    "EVENT_TYPES",
    "KNOWN_EVENTS",
    "ORDER_EVENTS",
    "OTHER_EVENT",
    "RULES",
    "SHORT_FORMS",
    "Rule",
    "countable_name",
]


@dataclass(frozen=True)
class Rule:
    """What the properties of an event must hold; `product_lines`: each of `products` names a product.

    `names_a_thing`: its `name` is a product's or a promotion's. Elsewhere it may be a person's, and is left out.
    """

    product: bool = False
    names_a_thing: bool = False
    order: bool = False
    query: bool = False
    product_lines: bool = False
    needs_product_lines: bool = False


_PRODUCT: Final = Rule(product=True, names_a_thing=True)
_PROMOTION: Final = Rule(names_a_thing=True)
_LINES: Final = Rule(product_lines=True)
_ANYTHING: Final = Rule()

RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "Products Searched": Rule(query=True),
        "Product List Viewed": _LINES,
        "Product List Filtered": _LINES,
        "Product Clicked": _PRODUCT,
        "Product Viewed": _PRODUCT,
        "Product Added": _PRODUCT,
        "Product Removed": _PRODUCT,
        "Cart Viewed": _LINES,
        "Checkout Started": _LINES,
        "Checkout Step Viewed": _ANYTHING,
        "Checkout Step Completed": _ANYTHING,
        "Payment Info Entered": _ANYTHING,
        "Order Completed": Rule(order=True, product_lines=True, needs_product_lines=True),
        "Order Updated": Rule(order=True, product_lines=True),
        "Order Refunded": Rule(order=True, product_lines=True),
        "Order Cancelled": Rule(order=True, product_lines=True),
        "Promotion Viewed": _PROMOTION,
        "Promotion Clicked": _PROMOTION,
        "Coupon Entered": _ANYTHING,
        "Coupon Applied": _ANYTHING,
        "Coupon Denied": _ANYTHING,
        "Coupon Removed": _ANYTHING,
        "Product Added to Wishlist": _PRODUCT,
        "Product Removed from Wishlist": _PRODUCT,
        "Wishlist Product Added to Cart": _PRODUCT,
        "Product Shared": _PRODUCT,
        "Cart Shared": _LINES,
        "Product Reviewed": _PRODUCT,
        "Recommendation Viewed": _PRODUCT,
        "Recommendation Clicked": _PRODUCT,
        "Page Left": _ANYTHING,
    }
)
KNOWN_EVENTS: Final = frozenset(RULES)

EVENT_TYPES: Final[Mapping[str, int]] = MappingProxyType({kind.label: kind.value for kind in EventType})
SHORT_FORMS: Final[Mapping[str, str]] = MappingProxyType(
    {"b": "batch", "t": "track", "p": "page", "i": "identify", "a": "alias", "g": "group", "s": "screen"}
)

OTHER_EVENT: Final = "(other)"


def countable_name(message_type: str, event_name: str) -> str:
    """A name fit for a count of discarded events: a word of ours, never one of a client, which might say who
    it was."""
    if message_type == "track":
        return event_name if event_name in KNOWN_EVENTS else OTHER_EVENT
    return message_type if message_type in EVENT_TYPES else OTHER_EVENT
