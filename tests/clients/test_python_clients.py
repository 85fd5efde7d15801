"""segment-analytics-python and rudder-sdk-python, in threads of this process as in a shop's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import rudderstack.analytics.client as rudder
import segment.analytics.client as segment

from accounts.models import Scope
from tests.clients.line import LOST, Fault, Line
from tests.clients.shop import (
    HAPPENED_AT,
    ORDER,
    PRODUCT,
    TRAITS,
    Shop,
    assert_the_whole_walk_was_stored,
    expected_messages,
    happened_at,
    who,
)
from tests.tracking.conftest import make_key

PACKAGES: dict[str, Callable[..., Any]] = {"segment": segment.Client, "rudder": rudder.Client}


@contextmanager
def client_of(package: str, key: str, line: Line, **options: Any) -> Iterator[Any]:
    """The package's client, which has sent all that it was given when the block ends. It has `failures`."""
    failures: list[tuple[Exception, int]] = []
    client = PACKAGES[package](
        key,
        host=line.url,
        on_error=lambda error, items: failures.append((error, len(items))),
        **{"upload_interval": 0.05, **options},
    )
    client.failures = failures
    try:
        yield client
        client.flush()
    finally:
        client.join()


every_package = pytest.mark.parametrize("package", PACKAGES)


@every_package
def test_every_call_is_stored(package: str, shop: Shop, line: Line) -> None:
    with client_of(package, shop.server_key, line) as client:
        client.page(
            anonymous_id="anon-1",
            name="Tents",
            properties={"url": "https://shop.example/tents"},
            timestamp=HAPPENED_AT,
        )
        client.track(
            anonymous_id="anon-1", event="Product Viewed", properties=dict(PRODUCT), timestamp=HAPPENED_AT
        )
        client.identify("u1", dict(TRAITS), anonymous_id="anon-1")
        client.track("u1", "Order Completed", dict(ORDER))
        client.alias("anon-2", "u1")
        client.group("u1", "club", {"plan": "free"})
        client.screen(anonymous_id="anon-1", name="Cart")
    assert client.failures == []
    assert_the_whole_walk_was_stored(shop)
    assert {exchange.path for exchange in line.posts} == {"/v1/batch"}


@every_package
def test_a_batch_is_one_request(package: str, shop: Shop, line: Line) -> None:
    views = expected_messages(60)
    with client_of(package, shop.server_key, line, upload_interval=2, upload_size=60) as client:
        for view in views:
            client.track(anonymous_id="anon-1", event="Product Viewed", properties=dict(view))
    assert [len(post.message_ids) for post in line.posts] == [60]
    assert [event.properties for event in shop.events()] == views
    assert shop.nothing_was_left_out()


@pytest.mark.parametrize("is_packed", [True, False])
@every_package
def test_packed_or_plain(package: str, is_packed: bool, shop: Shop, line: Line) -> None:
    with client_of(package, shop.server_key, line, gzip=is_packed) as client:
        client.track(anonymous_id="anon-1", event="Products Searched", properties={"query": "Zelt ⛺"})
    assert line.posts[0].headers.get("Content-Encoding") == ("gzip" if is_packed else None)
    assert shop.event("track").properties == {"query": "Zelt ⛺"}


@pytest.mark.parametrize("fault", [Fault(503, 1), Fault(429, 1), Fault(500), LOST], ids=str)
@every_package
def test_what_is_sent_again_is_stored_once(package: str, fault: Fault, shop: Shop, line: Line) -> None:
    line.faults.append(fault)
    with client_of(package, shop.server_key, line) as client:
        for view in expected_messages(3):
            client.track(anonymous_id="anon-1", event="Product Viewed", properties=view)
    assert client.failures == []
    refused, *taken = line.posts  # the package may have cut the three into several batches
    assert line.statuses == [fault.status, *(200 for _ in taken)]
    assert all(post.stored_with == 200 for post in line.posts)
    assert refused.message_ids == taken[0].message_ids
    assert shop.message_ids() == sorted(id_ for post in taken for id_ in post.message_ids)
    assert len(shop.message_ids()) == 3
    assert shop.nothing_was_left_out()


def test_segment_waits_as_long_as_it_is_told(shop: Shop, line: Line) -> None:
    line.faults.append(Fault(503, retry_after_seconds=2))
    with client_of("segment", shop.server_key, line) as client:
        client.track(anonymous_id="anon-1", event="Cart Viewed")
    assert line.gap_seconds(0, 1) >= 2
    assert len(shop.events()) == 1


@every_package
def test_an_unknown_key_fails_at_once_and_says_why(package: str, shop: Shop, line: Line) -> None:
    with client_of(package, "sk_" + "x" * 43, line) as client:
        client.track(anonymous_id="anon-1", event="Cart Viewed")
    ((error, given_up),) = client.failures
    assert given_up == 1
    assert (error.status, error.code) == (401, "invalid_key")
    assert "unknown or revoked" in str(error)
    assert line.statuses == [401]
    assert shop.events() == []


@every_package
def test_a_key_that_may_not_write_fails_at_once(package: str, shop: Shop, line: Line) -> None:
    _, reading_key = make_key(shop.store, Scope.RECOMMENDATIONS_READ)
    with client_of(package, reading_key, line) as client:
        client.track(anonymous_id="anon-1", event="Cart Viewed")
    assert [error.status for error, _ in client.failures] == [403]
    assert line.statuses == [403]
    assert shop.events() == []


@every_package
def test_a_faulty_event_leaves_its_neighbours_alone(package: str, shop: Shop, line: Line) -> None:
    with client_of(package, shop.server_key, line, upload_interval=1) as client:
        client.track(anonymous_id="anon-1", event="Product Viewed", properties={"product_id": "p1"})
        client.track(anonymous_id="anon-1", event="Product Viewed", properties={"price": "cheap"})
        client.track(anonymous_id="anon-1", event="Product Viewed", properties={"product_id": "p2"})
    assert client.failures == []
    assert line.statuses == [200]
    assert [event.product_id for event in shop.events()] == ["p1", "p2"]
    assert shop.quarantined() == ["missing_product_id"]


def test_a_large_event_of_rudder_is_kept_apart(shop: Shop, line: Line) -> None:
    with client_of("rudder", shop.server_key, line, upload_interval=1) as client:
        client.track(anonymous_id="anon-1", event="Product Viewed", properties={"product_id": "p1"})
        client.track(anonymous_id="anon-1", event="Cart Viewed", properties={"note": "x" * 200_000})
    assert client.failures == []
    assert [event.product_id for event in shop.events()] == ["p1"]
    assert shop.quarantined() == ["too_large"]


@pytest.mark.parametrize("is_packed", [True, False])
def test_a_batch_of_rudder_that_is_too_large_is_given_up_at_once(
    is_packed: bool, shop: Shop, line: Line
) -> None:
    with client_of("rudder", shop.server_key, line, upload_interval=2, gzip=is_packed) as client:
        for number in range(4):
            note = "x" * 1_200_000
            client.track(
                anonymous_id="anon-1", event="Cart Viewed", properties={"number": number, "note": note}
            )
    ((error, given_up),) = client.failures
    assert (error.status, error.code, given_up) == (413, "too_large", 4)
    assert line.statuses == [413]
    assert shop.events() == []


@every_package
def test_what_consent_forbids_is_counted_and_not_sent_again(package: str, shop: Shop, line: Line) -> None:
    refused = {
        "consent": {"analytics": False, "personalisation": False, "marketing": False, "sharing": False}
    }
    with client_of(package, shop.server_key, line) as client:
        client.track(anonymous_id="anon-1", event="Cart Viewed", context=refused)
    assert client.failures == []
    assert line.statuses == [200]
    assert shop.events() == []
    assert shop.discarded() == {"Cart Viewed": 1}


# What shops' data frames and copied texts hold, and JSON, UTF-8 or PostgreSQL do not.
STRANGE = {
    "not a number": ({"price": float("nan")}, "unreadable"),
    "infinite": ({"price": float("inf")}, "unreadable"),
    "half a surrogate pair": ({"note": "\ud83d"}, "unreadable"),
    "U+0000": ({"note": "\0"}, "nul_character"),
}


@pytest.mark.parametrize("value, reason", STRANGE.values(), ids=STRANGE)
@every_package
def test_a_value_that_nobody_can_store_spoils_only_its_event(
    package: str, value: dict[str, Any], reason: str, shop: Shop, line: Line
) -> None:
    with client_of(package, shop.server_key, line, upload_interval=1) as client:
        client.track(anonymous_id="anon-1", event="Product Viewed", properties={"product_id": "p1"})
        client.track(anonymous_id="anon-1", event="Product Viewed", properties={"product_id": "p2", **value})
        client.track(anonymous_id="anon-1", event="Product Viewed", properties={"product_id": "p3"})
    assert client.failures == []
    assert line.statuses == [200]
    assert [event.product_id for event in shop.events()] == ["p1", "p3"]
    assert shop.quarantined() == [reason]


@every_package
def test_ids_may_be_numbers_and_times_may_be_without_a_zone(package: str, shop: Shop, line: Line) -> None:
    local = HAPPENED_AT.astimezone().replace(tzinfo=None)
    with client_of(package, shop.server_key, line) as client:
        client.identify(42, {"loyaltyStatus": "gold"}, anonymous_id=7)
        client.track(42, "Product Viewed", {"product_id": 1234}, timestamp=local)
    assert client.failures == []
    assert shop.links() == {("7", "42")}
    view = shop.event("track")
    assert (who(view), view.product_id) == ((None, "42"), "1234")
    assert happened_at(view)
