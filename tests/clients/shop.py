"""What a shop tells through any client, and what has to be stored of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from accounts.models import IdentityLink, Store
from tracking.models import DiscardCount, Event, QuarantinedEvent

# Three days ago: a time that only the message can have told. Whole milliseconds are what JavaScript knows.
HAPPENED_AT = datetime.now(UTC).replace(microsecond=123_000) - timedelta(days=3)
TOLERANCE = timedelta(seconds=5)

PRODUCT = {"product_id": "tent-1", "name": "Zelt „Käfer“ ⛺", "price": 199.5, "currency": "EUR"}
ORDER = {
    "order_id": "o-1",
    "total": 214.5,
    "currency": "EUR",
    "products": [
        {"product_id": "tent-1", "quantity": 1, "price": 199.5},
        {"product_id": "peg-3", "quantity": 10, "price": 1.5},
    ],
}
TRAITS = {"email": "ada@shop.example", "name": "Ada", "loyaltyStatus": "gold"}


@dataclass
class Shop:
    store: Store
    server_key: str
    browser_key: str

    def events(self) -> list[Event]:
        """The log in the order of arrival."""
        rows = Event.objects.for_store(self.store).select_related("visitor", "customer")
        return list(rows.order_by("id"))

    def message_ids(self) -> list[str]:
        return sorted(event.message_id for event in self.events())

    def event(self, kind: str, name: str | None = None) -> Event:
        """The only one of this kind."""
        found = [
            event
            for event in self.events()
            if event.get_type_display() == kind and name in (None, event.name)
        ]
        assert len(found) == 1, [(event.get_type_display(), event.name) for event in self.events()]
        return found[0]

    def links(self) -> set[tuple[str, str]]:
        """Which visitor is which customer."""
        rows = IdentityLink.objects.for_store(self.store)
        return set(rows.values_list("visitor__anonymous_id", "customer__external_id"))

    def quarantined(self) -> list[str]:
        """Reasons."""
        rows = QuarantinedEvent.objects.for_store(self.store).order_by("id")
        return list(rows.values_list("reason", flat=True))

    def discarded(self) -> dict[str, int]:
        """How many of each event consent forbade."""
        return dict(DiscardCount.objects.for_store(self.store).values_list("event_name", "count"))

    def nothing_was_left_out(self) -> bool:
        assert (self.quarantined(), self.discarded()) == ([], {})
        return True


def who(event: Event) -> tuple[str | None, str | None]:
    return (
        event.visitor.anonymous_id if event.visitor else None,
        event.customer.external_id if event.customer else None,
    )


def happened_at(event: Event, moment: datetime = HAPPENED_AT) -> bool:
    """Whether the event has that time, but for the moment between the client's `sentAt` and our receipt."""
    assert abs(event.occurred_at - moment) < TOLERANCE, (event.occurred_at, moment)
    return True


def assert_the_whole_walk_was_stored(shop: Shop) -> None:
    """Seven calls, one of each kind and two tracks: browsing as anon-1, who turns out to be customer u1, as does anon-2."""
    assert shop.nothing_was_left_out()
    assert len(shop.events()) == 7

    page = shop.event("page")
    assert (page.name, who(page)) == ("Tents", ("anon-1", None))
    assert page.properties["url"] == "https://shop.example/tents"
    assert happened_at(page)

    view = shop.event("track", "Product Viewed")
    assert (view.product_id, who(view)) == ("tent-1", ("anon-1", None))
    assert view.properties == PRODUCT
    assert happened_at(view)

    identify = shop.event("identify")
    assert who(identify) == ("anon-1", "u1")
    assert identify.properties == {"traits": sorted(TRAITS)}

    order = shop.event("track", "Order Completed")
    assert (order.properties, who(order)[1]) == (ORDER, "u1")
    assert order.is_trusted

    alias = shop.event("alias")
    assert who(alias)[1] == "u1"
    group = shop.event("group")
    assert (group.properties["groupId"], who(group)[1]) == ("club", "u1")
    screen = shop.event("screen")
    assert (screen.name, who(screen)) == ("Cart", ("anon-1", None))

    assert shop.links() == {("anon-1", "u1"), ("anon-2", "u1")}
    assert not any(event.is_bot for event in shop.events())


def expected_messages(count: int) -> list[dict[str, Any]]:
    """Views of products p0, p1, … by anon-1."""
    return [{"product_id": f"p{number}", "price": 1 + number, "currency": "EUR"} for number in range(count)]
