"""What becomes of single events: stored as told, or kept in quarantine with the reason, their neighbours
untouched."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from tests.tracking.conftest import order_completed, quarantined, stored, viewed
from tracking.models import QuarantinedEvent

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)

FAULTY = {
    "unknown_type": {"type": "tracked", "anonymousId": "a"},
    "missing_event_name": {"type": "track", "anonymousId": "a"},
    "invalid_event_name": viewed(event="x" * 101),
    "unreadable": {"type": "track", "event": 5, "anonymousId": "a"},
    "invalid_message_id": viewed(messageId="m" * 101),
    "missing_product_id": viewed(properties={}),
    "invalid_product_id": viewed("p\nq"),
    "missing_query": {"type": "track", "event": "Products Searched", "anonymousId": "a", "properties": {}},
    "missing_order_id": order_completed(properties={"order_id": None}),
    "invalid_products": order_completed(properties={"products": [{"quantity": 1}]}),
    "invalid_amount": order_completed(properties={"total": "a lot"}),
    "invalid_time": viewed(timestamp="yesterday"),
    "future_time": viewed(timestamp="2031-01-01T00:00:00Z"),
    "forbidden_id": {"type": "identify", "userId": "undefined", "anonymousId": "a"},
    "missing_user_id": {"type": "alias", "previousId": "a"},
    "nul_character": viewed(properties={"product_id": "p", "note": "a\0b"}),
    "too_large": viewed(properties={"product_id": "p", "note": "a" * 33_000}),
}


@pytest.mark.parametrize("reason", FAULTY)
def test_a_faulty_event_is_kept_with_its_reason_and_its_neighbours_are_stored(sender, store, reason):
    faulty = FAULTY[reason]
    sender.batch(viewed("before", messageId="m1"), faulty, viewed("after", messageId="m2"))
    assert [event.product_id for event in stored(store)] == ["before", "after"]
    row = QuarantinedEvent.objects.for_store(store).get()
    assert row.reason == reason
    assert row.detail
    assert json.loads(bytes(row.raw)) == faulty


@pytest.mark.parametrize(
    "raw",
    [
        b'{"type":"track","event":"Product Viewed","anonymousId":"a","messageId":"bad","properties":{"product_id":"\\ud800"}}',
        b'{"type":"track","event":"Product Viewed","anonymousId":"a","messageId":"bad","properties":{"product_id":"\xff"}}',
        b'{"type":"track","event":"Product Viewed","anonymousId":"a","messageId":"bad","properties":{"product_id":"p","n":1e999}}',
        b'{"type":"track","event":"Product Viewed","anonymousId":"a","messageId":"bad","context":[]}',
    ],
    ids=["half a surrogate pair", "no UTF-8", "a number beyond all numbers", "a context that is a list"],
)
def test_bytes_that_cannot_be_read_are_kept_exactly(sender, store, raw):
    good = json.dumps(viewed("good", messageId="good")).encode()
    key = sender.key.encode()
    body = (
        b'{ "writeKey" : "' + key + b'" , "batch" : [ ' + good + b" , " + raw + b" ] , " + b'"sentAt": null }'
    )
    response = sender.post("/v1/batch", body)
    assert response.status_code == 200
    assert [event.product_id for event in stored(store)] == ["good"]
    assert bytes(QuarantinedEvent.objects.for_store(store).get().raw) == raw
    assert quarantined(store) == {"bad": "unreadable"}


@pytest.mark.parametrize("event", [42, "text", [], None, True])
def test_what_is_no_object_is_kept_too(sender, store, event):
    sender.batch(viewed("good", messageId="m"), event)
    assert len(stored(store)) == 1
    assert list(quarantined(store).values()) == ["unreadable"]


def test_a_faulty_event_that_is_resent_is_one_row(sender, store):
    for sent_at in ("2026-05-04T12:00:00Z", "2026-05-04T12:00:09Z"):
        sender.batch(viewed(properties={}, messageId="m", sentAt=sent_at))
        sender.batch(viewed(properties={}))
    assert QuarantinedEvent.objects.for_store(store).count() == 2


def test_a_literal_backslash_u0000_is_no_nul(sender, store):
    sender.batch(viewed(properties={"product_id": "p", "note": r"\u0000"}))
    assert stored(store)[0].properties["note"] == r"\u0000"


def test_a_search_for_sql_or_markup_is_a_search(sender, store):
    query = "'; DROP TABLE tracking_event; -- <script>alert(1)</script>"
    sender.batch(
        {"type": "track", "event": "Products Searched", "anonymousId": "a", "properties": {"query": query}}
    )
    assert stored(store)[0].properties == {"query": query}


def test_an_event_about_an_unknown_product_and_an_event_of_the_shops_own_are_stored(sender, store):
    sender.batch(viewed("no-such-product", messageId="m1"))
    sender.batch({"type": "track", "event": "Size Guide Opened", "anonymousId": "a", "messageId": "m2"})
    assert [event.name for event in stored(store)] == ["Product Viewed", "Size Guide Opened"]


def test_a_sku_stands_in_for_a_product_id_and_numbers_are_ids(sender, store):
    sender.batch(
        viewed(properties={"sku": "S-1"}, messageId="m1"),
        viewed(properties={"product_id": 7}, messageId="m2"),
    )
    assert [event.product_id for event in stored(store)] == ["S-1", "7"]


def test_numbers_and_nulls_as_ids(sender, store):
    sender.batch(
        {
            "type": "page",
            "anonymousId": 12.0,
            "userId": None,
            "messageId": 99,
            "properties": None,
            "context": None,
        }
    )
    event = stored(store)[0]
    assert (event.message_id, event.visitor.anonymous_id, event.customer) == ("99", "12", None)


class TestMissingMessageId:
    def test_a_resend_is_one_row(self, sender, store):
        event = viewed(timestamp="2026-05-04T10:00:00Z")
        sender.batch(event, sentAt="2026-05-04T10:00:01Z")
        sender.batch(event, sentAt="2026-05-04T10:00:09Z")
        assert len(stored(store)) == 1
        assert stored(store)[0].message_id.startswith("content-")

    def test_another_time_or_product_is_another_event(self, sender, store):
        sender.batch(
            viewed("p1", timestamp="2026-05-04T10:00:00Z"),
            viewed("p1", timestamp="2026-05-04T10:00:01Z"),
            viewed("p2", timestamp="2026-05-04T10:00:00Z"),
        )
        assert len(stored(store)) == 3

    def test_the_order_of_keys_does_not_matter(self, sender, store):
        sender.batch(
            viewed(properties={"product_id": "p", "price": 1}),
            viewed(properties={"price": 1, "product_id": "p"}),
        )
        assert len(stored(store)) == 1


class TestTime:
    """timestamp = receivedAt − (sentAt − original), with received at 12:00."""

    @pytest.fixture(autouse=True)
    def _noon(self):
        with time_machine.travel(NOW, tick=False):
            yield

    @pytest.mark.parametrize(
        "times, batch, occurred",
        [
            # The client's clock is an hour fast: it happened 10 s before it was sent, so at 11:59:50.
            ({"timestamp": "2026-05-04T13:00:00Z", "sentAt": "2026-05-04T13:00:10Z"}, {}, "11:59:50"),
            # The batch's sentAt counts where the event has none.
            ({"timestamp": "2026-05-04T13:00:00Z"}, {"sentAt": "2026-05-04T13:00:10Z"}, "11:59:50"),
            # originalTimestamp goes before timestamp (RudderStack).
            (
                {"originalTimestamp": "2026-05-04T11:00:00Z", "timestamp": "2026-05-04T09:00:00Z"},
                {},
                "11:00:00",
            ),
            # Without sentAt the event's own time stands; without any, the time of receipt.
            ({"timestamp": "2026-05-04T11:00:00Z"}, {}, "11:00:00"),
            ({}, {}, "12:00:00"),
            ({}, {"sentAt": "2026-05-04T13:00:10Z"}, "12:00:00"),
            # A sentAt that cannot be read is passed over.
            ({"timestamp": "2026-05-04T11:00:00Z", "sentAt": "soon"}, {}, "11:00:00"),
            # Other zones, no zone (UTC), seconds and milliseconds since 1970: 1777892400 is 11:00 UTC.
            ({"timestamp": "2026-05-04T13:00:00+02:00"}, {}, "11:00:00"),
            ({"timestamp": "2026-05-04T11:00:00"}, {}, "11:00:00"),
            ({"timestamp": 1777892400}, {}, "11:00:00"),
            ({"timestamp": 1777892400000}, {}, "11:00:00"),
            # Up to 24 hours ahead it is believed.
            ({"timestamp": "2026-05-04T23:30:00Z"}, {}, "23:30:00"),
        ],
    )
    def test_is_corrected_for_the_clients_clock(self, sender, store, times, batch, occurred):
        sender.batch(viewed(**times), **batch)
        event = stored(store)[0]
        assert event.occurred_at == datetime.fromisoformat(f"2026-05-04T{occurred}+00:00")
        assert event.received_at == NOW

    @pytest.mark.parametrize("timestamp", ["2026-05-05T12:00:01Z", "9999-12-31T23:59:59Z"])
    def test_more_than_a_day_ahead_goes_to_quarantine(self, sender, store, timestamp):
        sender.batch(viewed(timestamp=timestamp))
        assert list(quarantined(store).values()) == ["future_time"]

    @pytest.mark.parametrize("timestamp", ["1989-12-31T23:59:59Z", "0001-01-01T00:00:00Z", True, [], 1e300])
    def test_times_that_cannot_be_go_to_quarantine(self, sender, store, timestamp):
        sender.batch(viewed(timestamp=timestamp))
        assert list(quarantined(store).values()) == ["invalid_time"]

    def test_times_ages_apart_go_to_quarantine(self, sender, store):
        sender.batch(viewed(timestamp="9999-12-31T00:00:00Z", sentAt="0001-01-01T00:00:00Z"))
        assert list(quarantined(store).values()) == ["invalid_time"]
        assert not stored(store)

    def test_a_client_cannot_say_when_we_received_it(self, sender, store):
        sender.batch(viewed(receivedAt="2020-01-01T00:00:00Z"))
        assert stored(store)[0].received_at == NOW


class TestForbiddenIds:
    @pytest.mark.parametrize(
        "nobody", ["null", "undefined", "guest", "Anonymous", "0", " ", "x" * 201, "a\0b"]
    )
    def test_are_ignored_where_another_id_is_left(self, sender, store, nobody):
        sender.batch(viewed(userId=nobody, messageId="m1"))
        if "\0" in nobody:
            assert list(quarantined(store).values()) == ["nul_character"]
            return
        event = stored(store)[0]
        assert (event.visitor.anonymous_id, event.customer) == ("anon-1", None)

    def test_alone_they_send_the_event_to_quarantine(self, sender, store):
        sender.batch(viewed(anonymous_id="null", messageId="m1"))
        assert quarantined(store) == {"m1": "forbidden_id"}

    def test_join_nobody(self, sender, store):
        sender.batch(
            {"type": "identify", "userId": "null", "anonymousId": "anon-1", "messageId": "m1"},
            {"type": "alias", "userId": "u1", "previousId": "undefined", "messageId": "m2"},
        )
        assert quarantined(store) == {"m1": "forbidden_id", "m2": "forbidden_id"}


class TestRobots:
    GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
    PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Version/17.0 Mobile/15E148 Safari/604.1"

    def test_are_flagged_by_the_context_and_stored(self, sender, store):
        sender.batch(
            viewed(context={"userAgent": self.GOOGLEBOT}), viewed("p2", context={"userAgent": self.PHONE})
        )
        assert {event.product_id: event.is_bot for event in stored(store)} == {"p1": True, "p2": False}

    def test_are_flagged_by_the_browsers_own_header(self, browser_sender, store):
        browser_sender.post("/v1/batch", {"batch": [viewed()]}, **{"User-Agent": self.GOOGLEBOT})
        assert stored(store)[0].is_bot

    def test_the_user_agent_of_a_shops_server_says_nothing(self, sender, store):
        sender.post("/v1/batch", {"batch": [viewed()]}, **{"User-Agent": "python-requests/2.32"})
        event = stored(store)[0]
        assert not event.is_bot
        assert event.context == {}

    def test_the_visitors_device_is_told_by_it(self, sender, store):
        sender.batch(viewed(context={"userAgent": self.PHONE, "location": {"country": "fr"}}))
        visitor = stored(store)[0].visitor
        assert (visitor.device, visitor.country) == ("mobile", "FR")


def test_late_events_are_stored_by_arrival_and_keep_their_time(sender, store):
    with time_machine.travel(NOW, tick=False):
        sender.batch(viewed("new", messageId="m1", timestamp=NOW.isoformat()))
        sender.batch(viewed("old", messageId="m2", timestamp=(NOW - timedelta(days=2)).isoformat()))
    first, second = sorted(stored(store), key=lambda event: event.id)
    assert (first.product_id, second.product_id) == ("new", "old")
    assert first.occurred_at > second.occurred_at


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        ({"payments": [{"method": "card", "amount": 1e300}]}, "properties.payments[0].amount"),
        ({"payments": [{}, {"amount": "1e999999999"}]}, "properties.payments[1].amount"),
        ({"products": [{"product_id": "p", "discount": -1e13}]}, "properties.products[0].discount"),
        ({"products": [{"product_id": "p", "quantity": 1e12}]}, "properties.products[0].quantity"),
    ],
)
def test_numbers_that_no_table_holds_wait_in_quarantine(sender, store, properties, told):
    sender.batch(order_completed(properties=properties))
    row = QuarantinedEvent.objects.for_store(store).get()
    assert row.reason == "invalid_amount"
    assert told in row.detail
    assert stored(store) == []


def test_a_discount_in_words_and_a_payment_that_goes_back_are_no_fault(sender, store):
    properties = {
        "payments": [{"method": "voucher", "amount": -5}, "card"],
        "products": [{"product_id": "p", "discount": "10 %", "quantity": 2}],
    }
    sender.batch(order_completed(properties=properties))
    assert len(stored(store)) == 1
