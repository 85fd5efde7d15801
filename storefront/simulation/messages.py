"""From steps of a visit to messages of the tracking contract, as the shop's page and its server would send them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from storefront.simulation.browsing import Step
from storefront.simulation.calendar import Visit
from storefront.simulation.shoppers import Shopper
from storefront.simulation.world import World

Message = dict[str, Any]

PAYMENTS: Final = (("card", 0.70), ("bank_transfer", 0.18), ("voucher", 0.11), ("debit", 0.01))
FREE_SHIPPING_FROM: Final = 75.0
SHIPPING: Final = 4.9
COUPON: Final = "WELCOME10"
COUPON_SHARE: Final = 0.1
REFUND_SHARE: Final = 0.07
CANCEL_SHARE: Final = 0.015
SHOP: Final = "https://shop.example"
LIBRARY: Final = {"name": "etalage.simulator", "version": "1"}
_CAMPAIGNS: Final = (
    {"source": "newsletter", "medium": "email"},
    {"source": "search", "medium": "cpc"},
    {"source": "social", "medium": "post"},
)


@dataclass(frozen=True)
class PlacedOrder:
    """An order as the shop's own books have it: `lines` as in Order Completed, amounts in whole units of the currency."""

    order_id: str
    shopper: Shopper
    placed_at: datetime
    lines: tuple[Message, ...]
    subtotal: float
    shipping: float
    discount: float
    total: float
    payment_method: str
    is_refunded: bool


@dataclass
class Messenger:
    """Writes messages. Numbers run on through the simulation, so that the same seed gives the same `messageId`s."""

    world: World
    rng: np.random.Generator
    prefix: str
    now: datetime
    number: int = 0
    orders: list[PlacedOrder] = field(default_factory=list)
    later: dict[int, list[Message]] = field(default_factory=dict)

    def of_visit(self, visit: Visit, steps: list[Step]) -> Iterator[Message]:
        """A visit's messages in order of time. Refunds come days later: they wait in `later` by day of the simulation."""
        shopper = visit.shopper
        context = self._context(visit)
        anonymous_id = shopper.anonymous_ids[visit.device]
        is_logged_in = self._is_logged_in(shopper, anonymous_id, visit)
        ids: Message = {"anonymousId": anonymous_id}
        if is_logged_in:
            ids["userId"] = shopper.customer_id
            if anonymous_id not in shopper.identified:
                shopper.identified.add(anonymous_id)
                yield self._message(
                    {"type": "identify", "traits": self._traits(shopper, visit.started_at)},
                    ids,
                    visit.started_at,
                    context,
                )
        for step in steps:
            # What a visit would still do after this moment has not happened yet.
            if step.at >= self.now:
                return
            if step.kind == "order":
                yield from self._order(visit, step, ids, context)
            else:
                yield from self._step(step, ids, context)

    def refunds_of(self, day: int) -> list[Message]:
        return self.later.pop(day, [])

    def _message(self, body: Message, ids: Message, at: datetime, context: Message) -> Message:
        self.number += 1
        return {
            **body,
            **ids,
            "messageId": f"{self.prefix}-{self.number}",
            "timestamp": at,
            "context": context,
        }

    def _track(
        self, event: str, properties: Message, ids: Message, at: datetime, context: Message
    ) -> Message:
        return self._message({"type": "track", "event": event, "properties": properties}, ids, at, context)

    def _context(self, visit: Visit) -> Message:
        shopper = visit.shopper
        context: Message = {
            "library": LIBRARY,
            "userAgent": shopper.user_agents[visit.device],
            "location": {"country": shopper.country},
            "locale": {"FR": "fr-FR", "GB": "en-GB"}.get(shopper.country, "de-DE"),
        }
        if self.rng.random() < 0.18:
            context["campaign"] = _CAMPAIGNS[int(self.rng.integers(len(_CAMPAIGNS)))]
        return context

    def _is_logged_in(self, shopper: Shopper, anonymous_id: str, visit: Visit) -> bool:
        """Who has an account logs in on some early visit of each device and mostly stays so."""
        if shopper.customer_id is None:
            return False
        return anonymous_id in shopper.identified or visit.number >= 2 or self.rng.random() < 0.5

    def _traits(self, shopper: Shopper, at: datetime) -> Message:
        traits: Message = {
            "email": shopper.email,
            "createdAt": (at - timedelta(days=shopper.account_age_days)).isoformat(),
            "birthday": f"{shopper.birth_year}-06-15",
            "address": {"country": shopper.country, "city": shopper.city},
        }
        if shopper.gender:
            traits["gender"] = shopper.gender
        if shopper.intent > 2.2:
            traits["loyaltyStatus"] = "gold" if shopper.intent > 3.5 else "silver"
        return traits

    def _step(self, step: Step, ids: Message, context: Message) -> Iterator[Message]:
        world, at = self.world, step.at
        match step.kind:
            case "home":
                yield self._message(
                    {"type": "page", "name": "Home", "properties": {"path": "/", "url": f"{SHOP}/"}},
                    ids,
                    at,
                    context,
                )
            case "view":
                properties = world.properties(step.item)
                yield self._track(
                    "Product Viewed", {**properties, "value": properties["price"]}, ids, at, context
                )
            case "left":
                left = {
                    "product_id": world.products[step.item].product_id,
                    "dwell_seconds": round(step.seconds, 1),
                    "scroll_depth_percent": int(self.rng.integers(20, 101)),
                }
                yield self._track("Page Left", left, ids, at, context)
            case "search":
                yield self._track("Products Searched", {"query": step.text}, ids, at, context)
            case "list":
                category = world.sub_names[world.sub[step.item]]
                yield self._track(
                    "Product List Viewed", {"list_id": category, "category": category}, ids, at, context
                )
            case "shelf_seen" | "shelf_clicked":
                event = "Recommendation Viewed" if step.kind == "shelf_seen" else "Recommendation Clicked"
                yield self._track(event, self._shelf(step), ids, at, context)
            case "added" | "removed":
                event = "Product Added" if step.kind == "added" else "Product Removed"
                yield self._track(event, {**world.properties(step.item), "quantity": 1}, ids, at, context)
            case "wished":
                yield self._track("Product Added to Wishlist", world.properties(step.item), ids, at, context)
            case "cart" | "checkout":
                event = "Cart Viewed" if step.kind == "cart" else "Checkout Started"
                lines = [{**world.properties(item), "quantity": 1} for item in step.items]
                yield self._track(event, {"products": lines, "currency": "EUR"}, ids, at, context)

    def _shelf(self, step: Step) -> Message:
        shelf = step.shelf
        assert shelf is not None
        return {
            "product_id": self.world.products[step.item].product_id,
            "request_id": shelf.request_id,
            "placement": shelf.placement,
            "rank": step.rank,
            "strategy": shelf.strategies[step.rank - 1],
            "variant": shelf.variant,
        }

    def _order(self, visit: Visit, step: Step, ids: Message, context: Message) -> Iterator[Message]:
        """As the shop's server tells it. Who has not consented is named by the account, if there is one, and by nothing else."""
        shopper = visit.shopper
        quantities = tuple(1 + int(self.rng.random() < 0.14) for _ in step.items)
        lines = [
            {**self.world.properties(item), "quantity": quantity}
            for item, quantity in zip(step.items, quantities, strict=True)
        ]
        subtotal = round(sum(line["price"] * line["quantity"] for line in lines), 2)
        coupon = COUPON if self.rng.random() < (0.75 if shopper.hunts_bargains else 0.05) else ""
        discount = round(subtotal * COUPON_SHARE, 2) if coupon else 0.0
        shipping = 0.0 if subtotal >= FREE_SHIPPING_FROM else SHIPPING
        chance = self.rng.random()
        order = PlacedOrder(
            order_id=f"{self.prefix.upper()}-{len(self.orders) + 1:05d}",
            shopper=shopper,
            placed_at=step.at,
            lines=tuple(lines),
            subtotal=subtotal,
            shipping=shipping,
            discount=discount,
            total=round(subtotal + shipping - discount, 2),
            payment_method=self._payment_method(),
            is_refunded=chance < REFUND_SHARE,
        )
        self.orders.append(order)
        if not visit.is_tracked:
            # A one-off id: without consent the shop does not know the browser.
            ids = {**ids, "anonymousId": f"order-{order.order_id}"}
        properties = {
            "order_id": order.order_id,
            "currency": "EUR",
            "subtotal": subtotal,
            "shipping": shipping,
            "total": order.total,
            "discount": discount,
            "revenue": round(subtotal - discount, 2),
            **({"coupon": coupon} if coupon else {}),
            "payment_method": order.payment_method,
            "products": lines,
        }
        yield self._track("Order Completed", properties, ids, step.at, context)
        self._maybe_take_back(order, lines, ids, chance, visit.day)

    def _payment_method(self) -> str:
        return str(self.rng.choice([name for name, _ in PAYMENTS], p=[share for _, share in PAYMENTS]))

    def _maybe_take_back(
        self, order: PlacedOrder, lines: list[Message], ids: Message, chance: float, day: int
    ) -> None:
        """A refund of one line or of all, days later; or a cancellation on the next day."""
        if chance < REFUND_SHARE:
            delay, event = int(self.rng.integers(3, 15)), "Order Refunded"
            returned = lines if len(lines) == 1 or self.rng.random() < 0.5 else lines[:1]
            total = round(sum(line["price"] * line["quantity"] for line in returned), 2)
            properties = {"order_id": order.order_id, "currency": "EUR", "total": total, "products": returned}
        elif chance < REFUND_SHARE + CANCEL_SHARE:
            delay, event = 1, "Order Cancelled"
            properties = {
                "order_id": order.order_id,
                "currency": "EUR",
                "total": order.total,
                "products": lines,
            }
        else:
            return
        at = order.placed_at + timedelta(days=delay)
        if at < self.now:
            self.later.setdefault(day + delay, []).append(
                self._track(event, properties, ids, at, {"library": LIBRARY})
            )
