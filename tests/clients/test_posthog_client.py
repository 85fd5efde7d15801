"""posthog (Python), which sends to /batch/ in words of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from posthog import Posthog

from tests.clients.line import LOST, Fault, Line
from tests.clients.shop import HAPPENED_AT, ORDER, PRODUCT, TRAITS, Shop, happened_at, who

# A browser's id, as PostHog makes them.
BROWSER = "0198c1f0-6c1a-7b5e-9d3e-1b6f0a6f2c11"


@contextmanager
def client_of(key: str, line: Line, **options: Any) -> Iterator[Any]:
    failures: list[tuple[Exception, int]] = []
    client = Posthog(
        key,
        host=line.url,
        on_error=lambda error, items: failures.append((error, len(items))),
        **{"flush_interval": 0.05, **options},
    )
    client.failures = failures
    try:
        yield client
        client.flush()
    finally:
        client.shutdown()


def test_every_call_is_stored(shop: Shop, line: Line) -> None:
    with client_of(shop.server_key, line) as client:
        client.capture(
            "$pageview",
            distinct_id=BROWSER,
            properties={"$current_url": "https://shop.example/tents?q=1", "title": "Tents"},
        )
        client.capture("Product Viewed", distinct_id=BROWSER, properties=PRODUCT, timestamp=HAPPENED_AT)
        client.alias(previous_id=BROWSER, distinct_id="u1")
        client.set(distinct_id="u1", properties=TRAITS)
        client.capture("Order Completed", distinct_id="u1", properties=ORDER)
        client.group_identify("company", "club", {"plan": "free"}, distinct_id="u1")
        client.capture("Products Searched", properties={"query": "Zelt ⛺"})
    assert client.failures == []
    assert shop.nothing_was_left_out()
    assert {post.path for post in line.posts} == {"/batch/"}

    page = shop.event("page")
    assert (page.name, page.properties["url"], who(page)) == (
        "Tents",
        "https://shop.example/tents",
        (BROWSER, None),
    )
    view = shop.event("track", "Product Viewed")
    assert (view.properties, who(view)) == (PRODUCT, (BROWSER, None))
    assert happened_at(view)
    assert view.context["library"] == {"name": "posthog-python", "version": "7.91.1"}
    assert who(shop.event("identify"))[1] == "u1"
    assert shop.event("identify").properties == {"traits": sorted(TRAITS)}
    order = shop.event("track", "Order Completed")
    assert (order.properties, who(order)) == (ORDER, (None, "u1"))
    assert shop.event("group").properties["groupId"] == "club"
    search = shop.event("track", "Products Searched")
    assert search.properties == {"query": "Zelt ⛺"}
    # Captured without saying of whom: nobody's.
    assert who(search)[1] is None
    assert shop.links() == {(BROWSER, "u1")}


@pytest.mark.parametrize("fault", [Fault(503, 1), Fault(429, 1), LOST], ids=str)
def test_what_is_sent_again_is_stored_once(fault: Fault, shop: Shop, line: Line) -> None:
    line.faults.append(fault)
    with client_of(shop.server_key, line, gzip=True) as client:
        client.capture("Product Viewed", distinct_id=BROWSER, properties=PRODUCT)
    assert client.failures == []
    assert line.statuses == [fault.status, 200]
    assert [post.stored_with for post in line.posts] == [200, 200]
    assert line.posts[0].headers["Content-Encoding"] == "gzip"
    assert shop.message_ids() == [event["uuid"] for event in line.posts[0].body["batch"]]


def test_an_unknown_key_fails_at_once_and_says_why(shop: Shop, line: Line) -> None:
    with client_of("sk_" + "x" * 43, line) as client:
        client.capture("Cart Viewed", distinct_id=BROWSER)
    ((error, given_up),) = client.failures
    assert (error.status, given_up) == (401, 1)
    assert "unknown or revoked" in str(error)
    assert line.statuses == [401]
    assert shop.events() == []
