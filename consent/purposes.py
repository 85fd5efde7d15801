"""What data may be used for, and which event serves what.

A purpose is a bit, so that the permission of an event or a person is one small integer in tables and arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntFlag
from types import MappingProxyType
from typing import Final


class Purpose(IntFlag):
    """A set of purposes: iterate over it, test with `in`, join with `|`. `slug` is the word in APIs, cookies and texts."""

    NECESSARY = 1
    ANALYTICS = 2
    PERSONALISATION = 4
    MARKETING = 8
    SHARING = 16

    @property
    def slug(self) -> str:
        """The word for one purpose. Raises ValueError for a set of several or none."""
        if len(self) != 1 or self.name is None:
            raise ValueError(f"{self!r} is not one purpose: ask each of its members for its slug.")
        return self.name.lower()

    @classmethod
    def from_slug(cls, slug: str) -> Purpose:
        """Raises ValueError for a word that names no purpose."""
        try:
            return cls[slug.upper()]
        except KeyError:
            known = ", ".join(purpose.slug for purpose in ALL)
            raise ValueError(f"There is no purpose {slug!r}: use one of {known}.") from None


NONE: Final = Purpose(0)
ALL: Final = (
    Purpose.NECESSARY | Purpose.ANALYTICS | Purpose.PERSONALISATION | Purpose.MARKETING | Purpose.SHARING
)
OPTIONAL: Final = ALL & ~Purpose.NECESSARY

# Only who permits one of these is recognised again: without them an event is stored without its visitor, and no tracking id is set.
RECOGNITION: Final = Purpose.ANALYTICS | Purpose.PERSONALISATION


def slugs(purposes: int) -> list[str]:
    """Words of a mask, in the order of the bits. Bits that mean nothing are left out."""
    return [purpose.slug for purpose in Purpose(purposes) & ALL]


def mask(words: Iterable[str]) -> Purpose:
    """The set that the words name. Raises ValueError for a word that names no purpose."""
    purposes = NONE
    for word in words:
        purposes |= Purpose.from_slug(word)
    return purposes


_MEASURED: Final = Purpose.ANALYTICS
_INTEREST: Final = Purpose.ANALYTICS | Purpose.PERSONALISATION
_ORDER: Final = Purpose.NECESSARY | Purpose.ANALYTICS | Purpose.PERSONALISATION | Purpose.MARKETING
_CONTACT: Final = Purpose.ANALYTICS | Purpose.PERSONALISATION | Purpose.MARKETING

# Event names of the vocabulary (contracts/tracking.md), and message types that have no event name.
# An event is stored with those of its purposes that are permitted, and not at all where none is.
EVENT_PURPOSES: Final[Mapping[str, Purpose]] = MappingProxyType(
    {
        # Browsing
        "Products Searched": _INTEREST,
        "Product List Viewed": _INTEREST,
        "Product List Filtered": _INTEREST,
        "Product Clicked": _INTEREST,
        "Product Viewed": _INTEREST,
        "Page Left": _INTEREST,
        # Promotions
        "Promotion Viewed": _MEASURED | Purpose.MARKETING,
        "Promotion Clicked": _MEASURED | Purpose.MARKETING,
        # Cart and checkout. The cart itself is the shop's; what is told about it here is not needed to sell.
        "Product Added": _INTEREST,
        "Product Removed": _INTEREST,
        "Cart Viewed": _INTEREST,
        "Checkout Started": _INTEREST,
        "Checkout Step Viewed": _MEASURED,
        "Checkout Step Completed": _MEASURED,
        "Payment Info Entered": _MEASURED,
        # Orders
        "Order Completed": _ORDER,
        "Order Updated": _ORDER,
        "Order Refunded": _ORDER,
        "Order Cancelled": _ORDER,
        # Coupons
        "Coupon Entered": _MEASURED | Purpose.MARKETING,
        "Coupon Applied": _MEASURED | Purpose.MARKETING,
        "Coupon Denied": _MEASURED | Purpose.MARKETING,
        "Coupon Removed": _MEASURED | Purpose.MARKETING,
        # Wishlist
        "Product Added to Wishlist": _INTEREST,
        "Product Removed from Wishlist": _INTEREST,
        "Wishlist Product Added to Cart": _INTEREST,
        # Sharing and reviewing
        "Product Shared": _INTEREST,
        "Cart Shared": _MEASURED,
        "Product Reviewed": _INTEREST,
        # Our own
        "Recommendation Viewed": _INTEREST,
        "Recommendation Clicked": _INTEREST,
        # Messages without an event name
        "page": _INTEREST,
        "screen": _INTEREST,
        "group": _MEASURED,
        "identify": _CONTACT,
        "alias": _INTEREST,
    }
)

# A shop's own events are measured; they say nothing that we know how to personalise with.
UNKNOWN_EVENT_PURPOSES: Final = Purpose.ANALYTICS


def purposes_of(message_type: str, event_name: str) -> Purpose:
    """What an event may serve. `message_type` is `track`, `page`, `identify`, …; only a `track` is known by its name.

    Raises nothing: a name outside of the vocabulary is analytics.
    """
    key = event_name if message_type == "track" else message_type
    return EVENT_PURPOSES.get(key, UNKNOWN_EVENT_PURPOSES)
