"""An event as a profile sees it: what was done with which product, in a few bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

PURCHASE: Final = "Order Completed"
ORDER_UNDONE: Final = "Order Cancelled"
ORDER_REFUNDED: Final = "Order Refunded"
CART_ADDED: Final = "Product Added"
CART_REMOVED: Final = "Product Removed"
CART_VIEWED: Final = "Cart Viewed"
WISHLIST_ADDED: Final = "Product Added to Wishlist"
WISHLIST_REMOVED: Final = "Product Removed from Wishlist"
SEARCHED: Final = "Products Searched"
LIST_VIEWED: Final = "Product List Viewed"

# Events that show interest in the products they name. Their weights are the merchandiser's; the names are the
# vocabulary's.
INTERACTIONS: Final = (
    "Product Viewed",
    "Product Clicked",
    CART_ADDED,
    PURCHASE,
    WISHLIST_ADDED,
    "Wishlist Product Added to Cart",
    "Product Shared",
    "Product Reviewed",
    "Recommendation Clicked",
)
# All that a profile is folded from. Stored by position in what Valkey holds: append, never reorder.
PROFILE_EVENTS: Final = (
    *INTERACTIONS,
    CART_REMOVED,
    CART_VIEWED,
    WISHLIST_REMOVED,
    SEARCHED,
    LIST_VIEWED,
    ORDER_UNDONE,
    ORDER_REFUNDED,
)
_CODES: Final = {name: code for code, name in enumerate(PROFILE_EVENTS)}
MAX_PRODUCTS: Final = 50
MAX_TEXT: Final = 100


class RecentEvent(msgspec.Struct, frozen=True, array_like=True):
    """`products` are (product id, quantity) pairs; `text` is the words searched for, the category of a list,
    or the order id.

    `customer_id` is the customer whom the event itself names. `occurred_at` is in Unix seconds and stands
    outside of the stored form, as the score: a resend of the event may have another correction of its clock,
    and is still the same.
    """

    event_id: str
    code: int
    customer_id: int | None = None
    products: tuple[tuple[str, float], ...] = ()
    text: str = ""
    occurred_at: float = 0.0

    @property
    def name(self) -> str:
        return PROFILE_EVENTS[self.code]


def recent_event(
    *,
    message_id: str,
    name: str,
    product_id: str,
    properties: Mapping[str, Any],
    occurred_at: float,
    customer_id: int | None,
) -> RecentEvent | None:
    """The event of the log as a profile sees it, None for one that says nothing about taste, cart or
    purchases."""
    code = _CODES.get(name)
    if code is None:
        return None
    return RecentEvent(
        hashlib.blake2b(message_id.encode(), digest_size=8).hexdigest(),
        code,
        customer_id,
        _products(name, product_id, properties),
        _text(name, properties),
        occurred_at,
    )


def _products(name: str, product_id: str, properties: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    if product_id:
        return ((product_id, quantity_of(properties)),)
    lines = properties.get("products")
    if name in (SEARCHED, LIST_VIEWED) or not isinstance(lines, list):
        return ()
    found = ((_id_of(line), quantity_of(line)) for line in lines[:MAX_PRODUCTS] if isinstance(line, Mapping))
    return tuple(pair for pair in found if pair[0])


def _id_of(line: Mapping[str, Any]) -> str:
    for key in ("product_id", "sku"):
        value = line.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return str(value)
    return ""


def quantity_of(line: Mapping[str, Any]) -> float:
    """The quantity of a line, 1 where none is said or it cannot be read."""
    try:
        return float(line.get("quantity", 1))
    except (TypeError, ValueError):
        return 1.0


def _text(name: str, properties: Mapping[str, Any]) -> str:
    match name:
        case "Products Searched":
            value = properties.get("query")
        case "Product List Viewed":
            value = properties.get("category") or properties.get("list_id")
        case "Order Completed" | "Order Cancelled" | "Order Refunded":
            value = properties.get("order_id")
        case _:
            return ""
    return str(value)[:MAX_TEXT] if isinstance(value, str | int) else ""
