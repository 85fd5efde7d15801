"""The endpoints, as clients meet them."""

from __future__ import annotations

import base64
import gzip
import io
import json
from io import BytesIO

import pytest
from django.core.handlers.wsgi import LimitedStream
from django.test import RequestFactory

from accounts.models import Scope
from accounts.services.api_keys import api_key_revoke
from tests.tracking.conftest import Sender, discarded, make_key, quarantined, stored, viewed
from tracking.ingestion import committer
from tracking.models import Event, QuarantinedEvent
from tracking.views import collect


def nothing_was_stored(store):
    return not stored(store) and not quarantined(store) and not discarded(store)


def test_a_batch_is_stored_and_answered_as_clients_expect(sender, store):
    response = sender.batch(viewed("p1", messageId="m1"), viewed("p2", messageId="m2"))
    assert response.content == b'{"success":true}'
    assert response["Content-Type"] == "application/json"
    assert [(event.message_id, event.product_id, event.name, event.type) for event in stored(store)] == [
        ("m1", "p1", "Product Viewed", 1),
        ("m2", "p2", "Product Viewed", 1),
    ]
    assert not QuarantinedEvent.objects.for_store(store).exists()


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    "path, message, kind",
    [
        ("track", {"event": "Product Viewed", "properties": {"product_id": "p"}}, 1),
        ("t", {"event": "Product Viewed", "properties": {"product_id": "p"}}, 1),
        ("page", {"name": "Home"}, 2),
        ("p", {"name": "Home"}, 2),
        ("identify", {"userId": "u1", "traits": {}}, 3),
        ("i", {"userId": "u1"}, 3),
        ("alias", {"previousId": "anon-1", "userId": "u1"}, 4),
        ("a", {"previousId": "anon-1", "userId": "u1"}, 4),
        ("group", {"groupId": "g1", "userId": "u1"}, 5),
        ("g", {"groupId": "g1", "userId": "u1"}, 5),
        ("screen", {"name": "Cart"}, 6),
        ("s", {"name": "Cart"}, 6),
    ],
)
def test_single_calls_know_their_kind_by_their_path(sender, store, path, slash, message, kind):
    response = sender.post(f"/v1/{path}{slash}", {"anonymousId": "anon-1", "messageId": "m", **message})
    assert (response.status_code, response.content) == (200, b'{"success":true}')
    assert [event.type for event in stored(store)] == [kind]


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/batch/", "/v1/b", "/v1/b/"])
def test_a_batch_has_a_short_form(sender, store, path):
    response = sender.post(path, {"batch": [viewed(messageId="m")]})
    assert response.status_code == 200
    assert len(stored(store)) == 1


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded"]
)
@pytest.mark.parametrize("is_packed", [False, True])
def test_any_content_type_plain_or_packed(sender, store, content_type, is_packed):
    body = json.dumps({"writeKey": sender.key, "batch": [viewed(messageId="m")]}).encode()
    headers = {"Content-Encoding": "gzip"} if is_packed else {}
    response = sender.post("/v1/batch", gzip.compress(body) if is_packed else body, content_type, **headers)
    assert response.status_code == 200
    assert len(stored(store)) == 1


def test_the_key_may_stand_in_header_body_or_query(client, store, secret_key):
    basic = base64.b64encode(f"{secret_key}:".encode()).decode()
    body = {"batch": [viewed()]}
    assert Sender(client, "").post("/v1/batch", body, Authorization=f"Basic {basic}").status_code == 200
    assert Sender(client, secret_key).post("/v1/batch", body).status_code == 200
    query = client.post(f"/v1/batch?writeKey={secret_key}", json.dumps(body), content_type="text/plain")
    assert query.status_code == 200


@pytest.mark.parametrize("key", ["", "pk_nobody_has_this_key_at_all", "x" * 1000])
def test_a_missing_or_unknown_key_is_401_and_stores_nothing(client, store, key):
    response = Sender(client, key).post("/v1/batch", {"batch": [viewed()]})
    assert response.status_code == 401
    assert set(response.json()) == {"code", "message"}
    assert nothing_was_stored(store)


def test_a_revoked_key_is_401(client, store, django_capture_on_commit_callbacks):
    key, secret = make_key(store)
    assert Sender(client, secret).post("/v1/batch", {"batch": []}).status_code == 200
    with django_capture_on_commit_callbacks(execute=True):
        api_key_revoke(key=key)
    assert Sender(client, secret).post("/v1/batch", {"batch": [viewed()]}).status_code == 401
    assert nothing_was_stored(store)


def test_a_key_without_a_write_scope_is_403(client, store):
    _, secret = make_key(store, Scope.RECOMMENDATIONS_READ)
    assert Sender(client, secret).post("/v1/batch", {"batch": [viewed()]}).status_code == 403
    assert nothing_was_stored(store)


def test_a_key_of_one_origin_is_403_on_another(client, store):
    _, secret = make_key(store, Scope.WRITE_PUBLIC, allowed_origins=["https://shop.example"])
    sender = Sender(client, secret)
    assert sender.post("/v1/batch", {"batch": [viewed()]}, Origin="https://other.example").status_code == 403
    assert nothing_was_stored(store)
    assert sender.post("/v1/batch", {"batch": [viewed()]}, Origin="https://shop.example").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"[]",
        b"42",
        b'"text"',
        b"null",
        b'{"batch": {}}',
        b'{"no": "batch"}',
        b"\xff\xfe",
        b"[" * 5000,
    ],
)
def test_what_is_no_batch_is_400(client, store, secret_key, body):
    response = client.post(f"/v1/batch?writeKey={secret_key}", body, content_type="application/json")
    assert response.status_code == 400
    assert set(response.json()) == {"code", "message"}
    assert nothing_was_stored(store)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"42", b"null"])
def test_what_is_no_message_is_400(client, store, secret_key, body):
    assert client.post(f"/v1/track?writeKey={secret_key}", body, content_type="text/plain").status_code == 400
    assert nothing_was_stored(store)


def test_a_broken_gzip_stream_is_400(client, secret_key):
    whole = gzip.compress(b'{"batch": []}')
    for body in (whole[:-9], b"\x1f\x8b not gzip"):
        response = client.post(f"/v1/batch?writeKey={secret_key}", body, content_type="application/json")
        assert (response.status_code, response.json()["code"]) == (400, "invalid_gzip")


def test_five_megabytes_are_413(sender, store):
    response = sender.post(
        "/v1/batch", {"batch": [viewed(properties={"product_id": "x", "text": "a" * 5_000_000})]}
    )
    assert (response.status_code, response.json()["code"]) == (413, "too_large")
    assert nothing_was_stored(store)


def test_five_megabytes_in_a_small_gzip_are_413(sender, store):
    body = json.dumps(
        {"writeKey": sender.key, "batch": [viewed(properties={"text": "a" * 5_000_000})]}
    ).encode()
    packed = gzip.compress(body)
    assert len(packed) < 10_000
    assert sender.post("/v1/batch", packed).status_code == 413
    assert nothing_was_stored(store)


def test_more_than_2500_events_are_413_and_2500_are_not(sender, store):
    assert sender.post("/v1/batch", {"batch": [{}] * 2501}).status_code == 413
    assert nothing_was_stored(store)
    assert (
        sender.post("/v1/batch", {"batch": [viewed(messageId=f"m{n}") for n in range(2500)]}).status_code
        == 200
    )
    assert Event.objects.for_store(store).count() == 2500


def test_half_a_body_is_refused_so_that_the_client_tries_again(secret_key, store):
    body = json.dumps({"writeKey": secret_key, "batch": [viewed()]}).encode()
    request = RequestFactory().post("/v1/batch", body, content_type="application/json")
    request._stream = LimitedStream(BytesIO(body[:-20]), len(body))
    response = collect(request, kind="batch")
    assert (response.status_code, json.loads(response.content)["code"]) == (408, "incomplete_body")
    assert nothing_was_stored(store)


def test_an_empty_batch_is_fine(sender, store):
    sender.batch()
    assert nothing_was_stored(store)


def test_a_body_without_length_that_the_server_cannot_see_the_end_of_is_411(client, secret_key, store):
    body = json.dumps({"writeKey": secret_key, "batch": [viewed()]})
    in_chunks = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
    response = client.post("/v1/batch", body, content_type="application/json", **in_chunks)
    assert (response.status_code, set(response.json())) == (411, {"code", "message"})
    assert nothing_was_stored(store)
    ended = {**in_chunks, "wsgi.input_terminated": True, "wsgi.input": io.BytesIO(body.encode())}
    assert client.post("/v1/batch", body, content_type="application/json", **ended).status_code == 200
    assert len(stored(store)) == 1


def test_get_is_405_and_says_what_to_do(client):
    response = client.get("/v1/track")
    assert (response.status_code, response["Allow"]) == (405, "POST, OPTIONS")


def test_a_page_on_another_origin_may_send(client, secret_key, store):
    preflight = client.options(
        "/v1/batch",
        headers={
            "Origin": "https://shop.example",
            "Access-Control-Request-Method": "POST",
            # What analytics.js asks for when it sends again.
            "Access-Control-Request-Headers": "authorization,content-type,x-retry-count",
        },
    )
    assert preflight.status_code in (200, 204)
    assert {"authorization", "content-type", "x-retry-count"} <= set(
        preflight["Access-Control-Allow-Headers"].split(", ")
    )
    assert preflight["Access-Control-Allow-Origin"] in ("*", "https://shop.example")
    assert "POST" in preflight["Access-Control-Allow-Methods"]
    response = Sender(client, secret_key).post("/v1/batch", {"batch": []}, Origin="https://shop.example")
    assert response["Access-Control-Allow-Origin"] in ("*", "https://shop.example")


@pytest.mark.parametrize("slash", ["", "/"])
def test_analytics_next_gets_its_settings(client, public_key, slash):
    response = client.get(f"/v1/projects/{public_key}/settings{slash}")
    assert response.json() == {"integrations": {"Segment.io": {"apiKey": public_key}}}
    assert client.get(f"/v1/projects/unknown/settings{slash}").status_code == 404


def test_a_full_queue_is_503_with_retry_after(sender, store, monkeypatch):
    def full(drafts):
        raise committer.Unavailable("Full.", retry_after_seconds=1.2)

    monkeypatch.setattr(committer, "submit", full)
    response = sender.post("/v1/batch", {"batch": [viewed()]})
    assert (response.status_code, response["Retry-After"], response.json()["code"]) == (
        503,
        "2",
        "unavailable",
    )
    assert nothing_was_stored(store)


def test_a_browser_that_sends_too_much_is_429_and_a_server_is_not(
    browser_sender, sender, store, settings, valkey
):
    settings.ETALAGE_PUBLIC_CALLS_PER_MINUTE = 2
    settings.ETALAGE_SECRET_CALLS_PER_MINUTE = 2
    answers = [browser_sender.post("/v1/batch", {"batch": []}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[2]["Retry-After"]) <= 60
    assert [sender.post("/v1/batch", {"batch": []}).status_code for _ in range(3)] == [200, 200, 200]


def test_a_key_writes_into_its_own_store_only(client, store, sender):
    from tests.factories import StoreFactory

    other = StoreFactory()
    _, other_key = make_key(other)
    sender.batch(viewed(messageId="same"))
    Sender(client, other_key).batch(viewed(messageId="same"))
    assert len(stored(store)) == len(stored(other)) == 1


def test_the_tracker_has_a_short_address(client):
    response = client.get("/etalage/tracker.js")
    assert response["Content-Type"].startswith("text/javascript")
    assert response["Access-Control-Allow-Origin"] == "*"
    again = client.get("/etalage/tracker.js", headers={"If-None-Match": response["ETag"]})
    assert again.status_code == 304
