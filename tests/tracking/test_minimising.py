"""What clients say too much of is left out before anything is stored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tracking.conftest import order_completed, stored, viewed
from tracking.ingestion.contexts import device_of
from tracking.ingestion.minimising import (
    CARD_MARK,
    EMAIL_MARK,
    needs_scrubbing,
    scrub_text,
    truncated_address,
)

CARD = "4111 1111 1111 1111"  # passes the check of Luhn


@pytest.mark.parametrize(
    "text, cleaned",
    [
        ("tent for ann@shop.example please", f"tent for {EMAIL_MARK} please"),
        ("ann%40shop.example", EMAIL_MARK),
        ("first.last+tag@mail.shop.example", EMAIL_MARK),
        (f"pay with {CARD}!", f"pay with {CARD_MARK}!"),
        ("4111-1111-1111-1111", CARD_MARK),
        # One digit off, so no card; an article number; a phone number; a time in milliseconds.
        ("4111 1111 1111 1112", "4111 1111 1111 1112"),
        ("4006381333931", "4006381333931"),
        ("+49 30 1234567", "+49 30 1234567"),
        ("@home", "@home"),
    ],
)
def test_addresses_and_card_numbers_are_struck_out(text, cleaned):
    assert scrub_text(text) == cleaned


@given(st.emails(domains=st.just("shop.example")))
def test_no_address_of_common_form_escapes_the_first_look(address):
    if scrub_text(address) != address:
        assert needs_scrubbing(address.encode())


def test_free_text_is_scrubbed_wherever_it_stands(sender, store):
    properties = {
        "query": f"ann@shop.example {CARD}",
        "filters": [{"value": "bob@shop.example"}],
        "order_id": "4111111111111111",
    }
    sender.batch(
        {"type": "track", "event": "Products Searched", "anonymousId": "a", "properties": properties}
    )
    assert stored(store)[0].properties == {
        "query": f"{EMAIL_MARK} {CARD_MARK}",
        "filters": [{"value": EMAIL_MARK}],
        "order_id": "4111111111111111",
    }


def test_direct_identifiers_do_not_reach_the_log(sender, store):
    sender.batch(
        order_completed(
            properties={"email": "a@b.example", "firstName": "Ann", "shipping_address": {"street": "x"}}
        )
    )
    assert stored(store)[0].properties.keys() == {"order_id", "total", "currency", "products"}


def test_the_name_of_a_product_or_a_promotion_is_kept_and_a_persons_is_not(sender, store):
    sender.batch(
        viewed(messageId="1", properties={"product_id": "p1", "name": "Tent"}),
        viewed(
            messageId="2", event="Promotion Viewed", properties={"name": "May sale", "full_name": "Ann A."}
        ),
        viewed(messageId="3", event="Checkout Started", properties={"name": "Ann"}),
        viewed(messageId="4", event="Newsletter Joined", properties={"name": "Ann"}),
        {"type": "screen", "messageId": "5", "anonymousId": "anon-1", "properties": {"name": "Ann"}},
    )
    assert [event.properties for event in stored(store)] == [
        {"product_id": "p1", "name": "Tent"},
        {"name": "May sale"},
        {},
        {},
        {},
    ]


def test_a_page_loses_its_query_and_an_address_its_last_part(sender, store):
    context = {
        "ip": "203.0.113.77",
        "page": {
            "url": "https://shop.example/s?q=secret#x",
            "path": "/s",
            "search": "?q=secret",
            "title": "Search",
        },
        "traits": {"email": "a@b.example"},
        "os": {"name": "x"},
        "locale": "de-DE",
        "campaign": {"source": "mail", "secret": "x"},
    }
    page = {
        "url": "https://shop.example/s?q=secret",
        "referrer": "https://else.example/?u=ann",
        "search": "?q=secret",
    }
    sender.batch({"type": "page", "anonymousId": "a", "properties": page, "context": context})
    event = stored(store)[0]
    assert event.properties == {"url": "https://shop.example/s", "referrer": "https://else.example/"}
    assert event.context == {
        "ip": "203.0.113.0",
        "page": {"url": "https://shop.example/s", "path": "/s", "title": "Search"},
        "locale": "de-DE",
        "campaign": {"source": "mail"},
    }


def test_a_browsers_own_address_is_cut_too_and_its_context_is_not_asked(browser_sender, store):
    browser_sender.client.post(
        "/v1/batch",
        data={"writeKey": browser_sender.key, "batch": [viewed(context={"ip": "9.9.9.9"})]},
        content_type="application/json",
        REMOTE_ADDR="198.51.100.23",
    )
    assert stored(store)[0].context["ip"] == "198.51.100.0"


@pytest.mark.parametrize(
    "address, network",
    [
        ("203.0.113.77", "203.0.113.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("::1", "::"),
        ("nonsense", ""),
        ("", ""),
    ],
)
def test_networks(address, network):
    assert truncated_address(address) == network


@pytest.mark.parametrize(
    "user_agent, device",
    [
        ("Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X) AppleWebKit/605 Mobile/15E148", "tablet"),
        ("Mozilla/5.0 (Linux; Android 14; SM-X710) AppleWebKit/537 Chrome/120 Safari/537", "tablet"),
        ("Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537 Chrome/120 Mobile Safari/537", "mobile"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0) Mobile/15E148", "mobile"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/120", "desktop"),
        ("", ""),
    ],
)
def test_devices(user_agent, device):
    assert device_of(user_agent) == device
