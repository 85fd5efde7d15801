"""@segment/analytics-node and @rudderstack/rudder-sdk-node, each in a Node process of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.clients.line import LOST, Fault, Line
from tests.clients.node_packages import run_script
from tests.clients.shop import (
    HAPPENED_AT,
    ORDER,
    PRODUCT,
    TRAITS,
    Shop,
    assert_the_whole_walk_was_stored,
    expected_messages,
    happened_at,
)

Calls = list[tuple[str, dict[str, Any]]]
Outcomes = list[dict[str, Any]]


def _segment(
    key: str, line: Line, calls: Calls, *, clock_ahead_seconds: float = 0, **options: Any
) -> Outcomes:
    return run_script(
        "segment.mjs",
        clock_ahead_seconds=clock_ahead_seconds,
        options={"writeKey": key, "host": line.url, "path": "/v1/batch", **options},
        calls=calls,
    )


def _rudder(
    key: str, line: Line, calls: Calls, *, clock_ahead_seconds: float = 0, **options: Any
) -> Outcomes:
    return run_script(
        "rudder.mjs",
        clock_ahead_seconds=clock_ahead_seconds,
        writeKey=key,
        options={"dataPlaneUrl": line.url, **options},
        calls=calls,
    )


PACKAGES: dict[str, Callable[..., Outcomes]] = {"segment": _segment, "rudder": _rudder}
every_package = pytest.mark.parametrize("package", PACKAGES)


def _view(properties: dict[str, Any], **fields: Any) -> tuple[str, dict[str, Any]]:
    return "track", {"anonymousId": "anon-1", "event": "Product Viewed", "properties": properties, **fields}


def _errors(outcomes: Outcomes) -> list[str]:
    return [outcome["error"] for outcome in outcomes if outcome["error"]]


@every_package
def test_every_call_is_stored(package: str, shop: Shop, line: Line) -> None:
    # RudderStack's package takes `originalTimestamp`, and puts the present there where the shop says nothing.
    then = {"timestamp" if package == "segment" else "originalTimestamp": HAPPENED_AT.isoformat()}
    outcomes = PACKAGES[package](
        shop.server_key,
        line,
        [
            (
                "page",
                {
                    "anonymousId": "anon-1",
                    "name": "Tents",
                    "properties": {"url": "https://shop.example/tents"},
                    **then,
                },
            ),
            _view(PRODUCT, **then),
            ("identify", {"anonymousId": "anon-1", "userId": "u1", "traits": TRAITS}),
            ("track", {"userId": "u1", "event": "Order Completed", "properties": ORDER}),
            ("alias", {"previousId": "anon-2", "userId": "u1"}),
            ("group", {"userId": "u1", "groupId": "club", "traits": {"plan": "free"}}),
            ("screen", {"anonymousId": "anon-1", "name": "Cart"}),
        ],
    )
    assert len(outcomes) == 7
    assert _errors(outcomes) == []
    assert_the_whole_walk_was_stored(shop)
    assert {exchange.path for exchange in line.posts} == {"/v1/batch"}


def test_rudder_packs_and_says_form(shop: Shop, line: Line) -> None:
    _rudder(shop.server_key, line, [_view({"product_id": "p1"})])
    headers = line.posts[0].headers
    assert (headers["Content-Encoding"], headers["Content-Type"]) == (
        "gzip",
        "application/x-www-form-urlencoded",
    )
    assert shop.event("track").product_id == "p1"


@pytest.mark.parametrize("package, sizes", [("segment", [15, 15, 10]), ("rudder", [1, 20, 19])])
def test_batches_hold_what_the_package_puts_in_them(
    package: str, sizes: list[int], shop: Shop, line: Line
) -> None:
    views = expected_messages(40)
    outcomes = PACKAGES[package](shop.server_key, line, [_view(view) for view in views])
    assert _errors(outcomes) == []
    assert sorted(len(post.message_ids) for post in line.posts) == sorted(sizes)
    stored = sorted((event.properties for event in shop.events()), key=lambda properties: properties["price"])
    assert stored == views
    assert shop.nothing_was_left_out()


@pytest.mark.parametrize("fault", [Fault(503, 1), Fault(429, 1), Fault(500), LOST], ids=str)
@every_package
def test_what_is_sent_again_is_stored_once(package: str, fault: Fault, shop: Shop, line: Line) -> None:
    line.faults.append(fault)
    outcomes = PACKAGES[package](
        shop.server_key, line, [_view(view) for view in expected_messages(3)], flushAt=3
    )
    assert _errors(outcomes) == []
    assert line.statuses.count(fault.status) == 1
    assert {post.stored_with for post in line.posts} == {200}
    # The first request came twice, with the same ids.
    assert line.posts[0].message_ids == next(
        post.message_ids for post in line.posts[1:] if post.answered_with == 200
    )
    assert shop.message_ids() == sorted({id for post in line.posts for id in post.message_ids})
    assert len(shop.events()) == 3
    assert shop.nothing_was_left_out()


@pytest.mark.parametrize("package, status", [("segment", 429), ("rudder", 503), ("rudder", 429)])
def test_it_waits_as_long_as_it_is_told(package: str, status: int, shop: Shop, line: Line) -> None:
    line.faults.append(Fault(status, retry_after_seconds=3))
    assert _errors(PACKAGES[package](shop.server_key, line, [_view({"product_id": "p1"})])) == []
    assert line.gap_seconds(0, 1) >= 2.9
    assert len(shop.events()) == 1


@every_package
def test_an_unknown_key_fails_at_once(package: str, shop: Shop, line: Line) -> None:
    outcomes = PACKAGES[package]("sk_" + "x" * 43, line, [_view({"product_id": "p1"})])
    assert len(_errors(outcomes)) == 1
    assert "401" in outcomes[0]["error"]
    assert line.statuses == [401]
    assert shop.events() == []


@every_package
def test_a_faulty_event_leaves_its_neighbours_alone(package: str, shop: Shop, line: Line) -> None:
    calls = [_view({"product_id": "p1"}), _view({"price": "cheap"}), _view({"product_id": "p2"})]
    assert _errors(PACKAGES[package](shop.server_key, line, calls)) == []
    assert set(line.statuses) == {200}
    assert sorted(event.product_id for event in shop.events()) == ["p1", "p2"]
    assert shop.quarantined() == ["missing_product_id"]


@every_package
def test_a_large_event_is_kept_apart(package: str, shop: Shop, line: Line) -> None:
    calls = [
        _view({"product_id": "p1"}),
        _view({"product_id": "p2", "note": "x" * 200_000}),
        _view({"product_id": "p3"}),
    ]
    assert _errors(PACKAGES[package](shop.server_key, line, calls)) == []
    assert sorted(event.product_id for event in shop.events()) == ["p1", "p3"]
    assert shop.quarantined() == ["too_large"]


@pytest.mark.parametrize(
    "note, reason", [("\ud83d", "unreadable"), ("\0", "nul_character")], ids=["surrogate", "nul"]
)
@every_package
def test_a_text_that_nobody_can_store_spoils_only_its_event(
    package: str, note: str, reason: str, shop: Shop, line: Line
) -> None:
    calls = [
        _view({"product_id": "p1"}),
        _view({"product_id": "p2", "note": note}),
        _view({"product_id": "p3"}),
    ]
    assert _errors(PACKAGES[package](shop.server_key, line, calls)) == []
    assert sorted(event.product_id for event in shop.events()) == ["p1", "p3"]
    assert shop.quarantined() == [reason]


@every_package
def test_what_a_wrong_clock_says_is_put_right(package: str, shop: Shop, line: Line) -> None:
    """The computer is two hours and a half fast: all that it says is, the moment of sending too."""
    outcomes = PACKAGES[package](shop.server_key, line, [_view(PRODUCT)], clock_ahead_seconds=9000)
    assert _errors(outcomes) == []
    said = datetime.fromisoformat(line.posts[0].body["sentAt"])
    assert said - datetime.now(UTC) > timedelta(hours=2)
    assert happened_at(shop.event("track"), datetime.now(UTC))
