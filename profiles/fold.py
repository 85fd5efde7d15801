"""The one fold from events to a profile. Serving and training use it alike, so that they cannot drift apart.

It is a function of the set of events: order of arrival and repetition do not matter.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

import msgspec

from profiles.events import (
    INTERACTIONS,
    LIST_VIEWED,
    ORDER_REFUNDED,
    ORDER_UNDONE,
    PURCHASE,
    SEARCHED,
    WISHLIST_ADDED,
    WISHLIST_REMOVED,
    RecentEvent,
)

SESSION_GAP_SECONDS: Final = 30 * 60
_INTERACTIONS: Final = frozenset(INTERACTIONS)
_LOOKS: Final = frozenset(
    {"Product Viewed", "Product Clicked", "Product Shared", "Product Reviewed", "Recommendation Clicked"}
)
"""Interactions that change neither cart nor wishlist nor purchases."""
_NOTHING: Final[Mapping[str, float]] = MappingProxyType({})
_NO_COUNTS: Final[Mapping[str, int]] = MappingProxyType({})


class Interaction(msgspec.Struct, frozen=True):
    """Something done with a product. `name` is the event's, `occurred_at` Unix seconds."""

    product_id: str
    name: str
    occurred_at: float
    quantity: float = 1.0

    @property
    def is_purchase(self) -> bool:
        return self.name == PURCHASE


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a shopper from their recent events.

    `interactions`: oldest first; `session_start`: index in it where the open session begins (its length: none
    is open). `cart`: product → quantity, last added last. `purchased`: product → Unix seconds of the last
    purchase that was not cancelled. `wishlist`, `searches`, `categories`: newest first, each once. `source`:
    `valkey`, `log`, or `none` where nothing could be read. `shown`: product → how often shelves showed it lately, for products
    that the shopper never did anything with; empty unless it was asked for.
    """

    interactions: tuple[Interaction, ...] = ()
    session_start: int = 0
    cart: Mapping[str, float] = field(default_factory=lambda: _NOTHING)
    purchased: Mapping[str, float] = field(default_factory=lambda: _NOTHING)
    wishlist: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    event_count: int = 0
    last_event_at: float | None = None
    source: str = "none"
    shown: Mapping[str, int] = field(default_factory=lambda: _NO_COUNTS)

    @property
    def is_empty(self) -> bool:
        return self.event_count == 0


EMPTY: Final = Profile()


def fold(events: Iterable[RecentEvent], now: float, source: str = "none") -> Profile:
    """The profile at `now` (Unix seconds). Events after `now` do not count yet."""
    return Folding.of(events, now, source).at(now)


@dataclass(frozen=True, slots=True)
class Folding:
    """A profile that can be taken on: to a later moment (`at`), and by looks at products (`after`) without folding all again.

    `profile` is as of its last event; `known` are what makes its events one each.
    """

    profile: Profile
    known: frozenset[str]

    @classmethod
    def of(cls, events: Iterable[RecentEvent], now: float, source: str = "none") -> Folding:
        """Events after `now` are left out."""
        known = _each_once(event for event in sorted(events, key=_moment) if event.occurred_at <= now)
        ordered = list(known.values())
        if not ordered:
            return cls(Profile(source=source), frozenset())
        interactions = _interactions(ordered)
        profile = Profile(
            interactions=interactions,
            session_start=_session_start(ordered, interactions),
            cart=_cart(ordered),
            purchased=_purchased(ordered),
            wishlist=_wishlist(ordered),
            searches=_texts(ordered, SEARCHED),
            categories=_texts(ordered, LIST_VIEWED),
            event_count=len(ordered),
            last_event_at=ordered[-1].occurred_at,
            source=source,
        )
        return cls(profile, frozenset(known))

    def after(self, later: Sequence[RecentEvent], now: float) -> Folding | None:
        """What `of` gives for all events together. None where it takes folding them: where one of `later` is no mere look, or not
        later than what is known, or still to come."""
        profile, last = self.profile, self.profile.last_event_at
        if last is None or not all(
            event.name in _LOOKS and last < event.occurred_at <= now for event in later
        ):
            return None
        known = self.known.union(event.event_id for event in later)
        if len(known) < len(self.known) + len(later):
            return None
        ordered = sorted(later, key=_moment)
        start, interactions = profile.session_start, profile.interactions
        for event in ordered:
            if event.occurred_at - last > SESSION_GAP_SECONDS:
                start = len(interactions)
            interactions, last = interactions + _interactions([event]), event.occurred_at
        return Folding(
            replace(
                profile,
                interactions=interactions,
                session_start=start,
                event_count=profile.event_count + len(ordered),
                last_event_at=last,
            ),
            known,
        )

    def at(self, now: float) -> Profile:
        """The profile at a moment not before its last event: whether a session is still open."""
        profile = self.profile
        if profile.last_event_at is None or now - profile.last_event_at <= SESSION_GAP_SECONDS:
            return profile
        return replace(profile, session_start=len(profile.interactions))


def _interactions(ordered: Iterable[RecentEvent]) -> tuple[Interaction, ...]:
    return tuple(
        Interaction(product_id, event.name, event.occurred_at, quantity)
        for event in ordered
        if event.name in _INTERACTIONS
        for product_id, quantity in event.products
    )


def _each_once(events: Iterable[RecentEvent]) -> dict[str, RecentEvent]:
    """Each event once, and each order's completion once: the browser and the shop's server may both tell it."""
    known: dict[str, RecentEvent] = {}
    for event in events:
        is_order = event.name == PURCHASE and event.text
        known.setdefault(f"order {event.text}" if is_order else event.event_id, event)
    return known


def _moment(event: RecentEvent) -> tuple[float, str]:
    return (event.occurred_at, event.event_id)


def _session_start(ordered: list[RecentEvent], interactions: tuple[Interaction, ...]) -> int:
    """The first interaction of the chain of events, each within 30 minutes of the next, that ends with the last."""
    edge = ordered[-1].occurred_at
    for event in reversed(ordered):
        if edge - event.occurred_at > SESSION_GAP_SECONDS:
            break
        edge = event.occurred_at
    return bisect_left(interactions, edge, key=lambda interaction: interaction.occurred_at)


def _cart(ordered: list[RecentEvent]) -> Mapping[str, float]:
    cart: dict[str, float] = {}
    for event in ordered:
        match event.name:
            case "Product Added" | "Wishlist Product Added to Cart":
                for product_id, quantity in event.products:
                    cart[product_id] = cart.pop(product_id, 0.0) + max(quantity, 1.0)
            case "Product Removed":
                for product_id, quantity in event.products:
                    left = cart.pop(product_id, 0.0) - max(quantity, 1.0)
                    if left > 0:
                        cart[product_id] = left
            case "Cart Viewed" if event.products:
                cart = {product_id: max(quantity, 1.0) for product_id, quantity in event.products}
            case "Order Completed":
                cart = {}
    return cart


def _purchased(ordered: list[RecentEvent]) -> Mapping[str, float]:
    undone = {event.text for event in ordered if event.name == ORDER_UNDONE and event.text}
    # A refund without lines gives the whole order back.
    undone |= {
        event.text for event in ordered if event.name == ORDER_REFUNDED and event.text and not event.products
    }
    purchased: dict[str, float] = {}
    for event in ordered:
        if event.name == PURCHASE and event.text not in undone:
            purchased.update((product_id, event.occurred_at) for product_id, _ in event.products)
    return purchased


def _wishlist(ordered: list[RecentEvent]) -> tuple[str, ...]:
    wishlist: dict[str, None] = {}
    for event in ordered:
        if event.name in (WISHLIST_ADDED, WISHLIST_REMOVED):
            for product_id, _ in event.products:
                wishlist.pop(product_id, None)
                if event.name == WISHLIST_ADDED:
                    wishlist[product_id] = None
    return tuple(reversed(wishlist))


def _texts(ordered: list[RecentEvent], name: str) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(event.text for event in reversed(ordered) if event.name == name and event.text)
    )
