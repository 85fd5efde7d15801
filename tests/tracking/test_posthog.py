"""PostHog's events as messages of ours; the package itself is run by tests/clients."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.personal_data import Subject
from consent.pseudonyms import IdentifierKind, pseudonym
from consent.services.suppression import subject_suppress
from tests.tracking.conftest import quarantined, stored
from tracking.ingestion.posthog import message_of
from tracking.models import QuarantinedEvent

BROWSER = "0198c1f0-6c1a-7b5e-9d3e-1b6f0a6f2c11"


def translated(event, *, is_trusted=True):
    message = json.loads(message_of(json.dumps(event).encode(), is_trusted=is_trusted))
    context = message.pop("context")
    return message, context


@pytest.mark.parametrize(
    "distinct_id, properties, is_trusted, who",
    [
        ("u1", {}, True, {"userId": "u1"}),
        (17, {}, True, {"userId": "17"}),
        ("u1", {}, False, {"anonymousId": "u1"}),
        (BROWSER, {}, True, {"anonymousId": BROWSER}),
        ("u1", {"$process_person_profile": False}, True, {"anonymousId": "u1"}),
        ("u1", {"$process_person_profile": True}, True, {"userId": "u1"}),
    ],
)
def test_whose_id_it_is(distinct_id, properties, is_trusted, who):
    event = {"event": "Cart Viewed", "distinct_id": distinct_id, "properties": properties}
    message, _ = translated(event, is_trusted=is_trusted)
    assert message == {"type": "track", "event": "Cart Viewed", **who, "properties": {}}


@pytest.mark.parametrize(
    "event, message",
    [
        (
            {"event": "$set", "distinct_id": "u1", "$set": {"plan": "x"}},
            {"type": "identify", "userId": "u1", "anonymousId": None, "traits": {"plan": "x"}},
        ),
        (
            {"event": "$set", "distinct_id": BROWSER, "$set": {"plan": "x"}},
            {"type": "identify", "userId": BROWSER, "anonymousId": BROWSER, "traits": {"plan": "x"}},
        ),
        (
            {
                "event": "$identify",
                "distinct_id": "u1",
                "properties": {"$anon_distinct_id": "b", "$set": {"plan": "x"}},
            },
            {"type": "identify", "userId": "u1", "anonymousId": "b", "traits": {"plan": "x"}},
        ),
        (
            {"event": "$create_alias", "distinct_id": "b", "properties": {"distinct_id": "b", "alias": "u1"}},
            {"type": "alias", "previousId": "b", "userId": "u1"},
        ),
        (
            {
                "event": "$groupidentify",
                "distinct_id": "u1",
                "properties": {"$group_type": "company", "$group_key": "acme", "$group_set": {"size": 3}},
            },
            {"type": "group", "userId": "u1", "groupId": "acme", "traits": {"size": 3}},
        ),
        (
            {
                "event": "$screen",
                "distinct_id": "u1",
                "properties": {"$screen_name": "Cart", "colour": "green", "$os": "Linux"},
            },
            {"type": "screen", "userId": "u1", "name": "Cart", "properties": {"colour": "green"}},
        ),
    ],
)
def test_calls_that_are_not_tracks(event, message):
    assert translated(event)[0] == {key: value for key, value in message.items() if value is not None}


def test_ids_times_and_context_come_along():
    message, context = translated(
        {
            "event": "Product Viewed",
            "distinct_id": "u1",
            "uuid": "5f0c2d2e-6f0e-4a57-9d3e-1b6f0a6f2c11",
            "timestamp": "2026-05-04T10:00:00+00:00",
            "properties": {
                "product_id": "p1",
                "$lib": "posthog-python",
                "$lib_version": "7",
                "$ip": "203.0.113.7",
                "$raw_user_agent": "Mozilla/5.0",
                "$current_url": "https://shop.example/p1",
                "$geoip_country_code": "FR",
                "$consent": {"analytics": False},
            },
        }
    )
    assert message["messageId"] == "5f0c2d2e-6f0e-4a57-9d3e-1b6f0a6f2c11"
    assert message["timestamp"] == "2026-05-04T10:00:00+00:00"
    assert message["properties"] == {"product_id": "p1"}
    assert context == {
        "library": {"name": "posthog-python", "version": "7"},
        "ip": "203.0.113.7",
        "userAgent": "Mozilla/5.0",
        "page": {"url": "https://shop.example/p1"},
        "location": {"country": "FR"},
        "consent": {"analytics": False},
    }


def test_faulty_events_go_to_quarantine_and_their_neighbours_are_stored(client, store, secret_key):
    good = {"event": "Product Viewed", "distinct_id": "u1", "uuid": "m1", "properties": {"product_id": "p1"}}
    faulty = [42, {"event": None}, {**good, "uuid": "m2", "properties": {}}, {**good, "uuid": 3}]
    body = {"api_key": secret_key, "batch": [*faulty, good], "sent_at": "2026-05-04T10:00:00Z"}
    response = client.post("/batch/", json.dumps(body), content_type="application/json")
    assert (response.status_code, response.json()) == (200, {"success": True})
    assert [event.message_id for event in stored(store)] == ["m1"]
    assert sorted(QuarantinedEvent.objects.for_store(store).values_list("reason", flat=True)) == [
        "missing_product_id",
        "unreadable",
        "unreadable",
        "unreadable",
    ]


FAULTY = [
    ({"event": "x", "distinct_id": "u1", "uuid": 5}, {"userId": "u1"}),
    ({"event": 7, "distinct_id": BROWSER}, {"anonymousId": BROWSER}),
    ({"event": "x", "distinct_id": "u1", "properties": []}, {"userId": "u1"}),
    (
        {"event": "$identify", "distinct_id": "u1", "uuid": 5, "properties": {"$anon_distinct_id": "b"}},
        {"userId": "u1", "anonymousId": "b"},
    ),
    (
        {"event": "$create_alias", "uuid": 5, "properties": {"distinct_id": "b", "alias": "u1"}},
        {"userId": "u1", "previousId": "b"},
    ),
]
_KINDS = {
    "userId": IdentifierKind.USER_ID,
    "anonymousId": IdentifierKind.ANONYMOUS_ID,
    "previousId": IdentifierKind.ANONYMOUS_ID,
}


@pytest.mark.parametrize("event, ids", FAULTY)
def test_a_faulty_event_is_found_by_an_erasure(client, store, secret_key, event, ids):
    body = {"api_key": secret_key, "batch": [event]}
    assert client.post("/batch/", json.dumps(body), content_type="application/json").status_code == 200
    row = QuarantinedEvent.objects.for_store(store).get()
    assert row.reason == "unreadable"
    assert row.subject_pseudonyms == sorted(
        pseudonym(store.pk, _KINDS[key], value) for key, value in ids.items()
    )
    assert json.loads(json.loads(bytes(row.raw))["properties"]) == event


def test_a_faulty_event_of_somebody_who_was_erased_is_not_kept(client, store, secret_key):
    subject_suppress(subject=Subject(store, user_ids=("u1",)), until=timezone.now() + timedelta(days=1))
    event, _ = FAULTY[0]
    body = {"api_key": secret_key, "batch": [event, {**event, "distinct_id": "u2"}]}
    assert client.post("/batch/", json.dumps(body), content_type="application/json").status_code == 200
    (row,) = QuarantinedEvent.objects.for_store(store)
    assert row.subject_pseudonyms == [pseudonym(store.pk, IdentifierKind.USER_ID, "u2")]


def test_bytes_that_are_no_text_can_be_turned_back():
    raw = b'{"event":"x\xff","distinct_id":"u1"}'
    message = json.loads(message_of(raw, is_trusted=True))
    assert message["userId"] == "u1"
    assert message["properties"].encode("utf-8", "surrogateescape") == raw


@pytest.mark.parametrize(
    "body, status",
    [(b"{", 400), (b"[]", 400), (b'{"batch": {}}', 400), (b'{"batch": [' + b"1," * 2500 + b"1]}", 413)],
)
def test_what_is_no_batch_is_refused(client, store, body, status):
    response = client.post("/batch", body, content_type="application/json")
    assert (response.status_code, set(response.json())) == (status, {"code", "message"})


def test_a_public_key_cannot_say_who_it_is(client, store, public_key):
    named = {"event": "$set", "distinct_id": "u1", "uuid": "m1", "$set": {"loyaltyStatus": "gold"}}
    viewed = {
        "event": "Product Viewed",
        "distinct_id": "u1",
        "uuid": "m2",
        "properties": {"product_id": "p1"},
    }
    body = {"api_key": public_key, "batch": [named, viewed]}
    assert client.post("/batch/", json.dumps(body), content_type="application/json").status_code == 200
    (view,) = stored(store)
    assert (view.visitor.anonymous_id, view.customer) == ("u1", None)
    assert quarantined(store) == {"m1": "unsigned_user_id"}
