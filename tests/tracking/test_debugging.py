"""What the debugger is told of calls: every one while somebody watches, and nothing that must not be kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client, RequestFactory

from accounts import keys, valkey
from accounts.models import Scope, Store
from accounts.services.api_keys import api_key_revoke
from consent.policy import DiscardReason
from consent.purposes import Purpose
from tests.factories import StoreFactory
from tests.tracking.conftest import Sender, make_key, permit, quarantined, stored, viewed
from tracking.debugging import feed, reporting
from tracking.debugging.calls import MAX_CALLS, Call
from tracking.debugging.mends import CONSENT_MENDS, MENDS, mend_of
from tracking.ingestion.drafts import Reason
from tracking.models import QuarantinedEvent


@pytest.fixture(autouse=True)
def _nobody_watches_yet(store: Store) -> None:
    valkey.breaker.reset()
    feed._forget_look()
    reporting._refusals = 0


def calls(store: Store, after: str = feed.START) -> list[Call]:
    return [call for _, entry in feed.read(store.pk, after).entries for call in entry.calls]


def kept_bytes(store: Store) -> bytes:
    """All that Valkey holds of the store's calls."""
    return b"".join(
        fields[b"e"] for _, fields in valkey.client().xrange(f"etalage:{store.pk}:debugging:calls")
    )


def told(store: Store) -> list[tuple[str, str, str]]:
    return [(call.outcome, call.name, call.reason) for call in calls(store)]


def test_nothing_is_kept_while_nobody_watches(store: Store, sender: Sender) -> None:
    sender.batch(viewed())
    assert calls(store) == []
    assert list(valkey.client().scan_iter(match="*debugging*")) == []


def test_each_outcome_is_told(store: Store, sender: Sender) -> None:
    feed.watch(store.pk)
    sender.batch(viewed(messageId="m1"))
    sender.batch(viewed(messageId="m1"))
    sender.batch({"type": "track", "event": "Product Viewed", "anonymousId": "a", "messageId": "m2"})
    assert told(store) == [
        ("stored", "Product Viewed", ""),
        ("duplicate", "Product Viewed", ""),
        ("quarantined", "Product Viewed", "missing_product_id"),
    ]
    first, again, faulty = calls(store)
    row = stored(store)[0]
    assert first.pointer == again.pointer == str(row.pk)
    assert faulty.pointer == QuarantinedEvent.objects.for_store(store).get().digest
    assert first.granted == row.purposes
    assert first.key == row.api_key_id


def test_duplicates_within_a_batch_are_told_from_the_first(store: Store, sender: Sender) -> None:
    feed.watch(store.pk)
    sender.batch(viewed("p1", messageId="m1"), viewed("p2", messageId="m2"), viewed("p1", messageId="m1"))
    assert [call.outcome for call in calls(store)] == ["stored", "stored", "duplicate"]


def test_what_consent_forbids_leaves_no_id_and_no_property(store: Store, client: Client) -> None:
    _, secret = make_key(store, Scope.WRITE_PUBLIC, consent_source="ledger", declared_purposes=[])
    permit(store, "somebody-42", Purpose(0))
    feed.watch(store.pk)
    sender = Sender(client, secret)
    sender.batch(viewed("secret-product", "somebody-42", messageId="mid-7"))
    sender.batch(
        {"type": "track", "event": "Jane Doe left", "anonymousId": "somebody-42", "messageId": "mid-8"}
    )
    assert told(store) == [
        ("discarded", "Product Viewed", "consent refused"),
        ("discarded", "(other)", "consent refused"),
    ]
    call = calls(store)[0]
    assert (call.pointer, call.granted) == ("", 0)
    assert Purpose(call.purposes) == Purpose.ANALYTICS | Purpose.PERSONALISATION
    kept = kept_bytes(store)
    for word in (b"somebody-42", b"secret-product", b"mid-7", b"mid-8", b"Jane"):
        assert word not in kept


def test_stored_calls_leave_no_id_of_a_person_either(store: Store, sender: Sender) -> None:
    feed.watch(store.pk)
    sender.batch(viewed("p-77", "anon-99", userId="customer-5", messageId="mid-7"))
    kept = kept_bytes(store)
    assert b"stored" in kept
    for word in (b"anon-99", b"customer-5", b"p-77", b"mid-7"):
        assert word not in kept


def test_it_ends_by_itself(store: Store, sender: Sender) -> None:
    feed.watch(store.pk)
    sender.batch(viewed())
    client = valkey.client()
    assert 0 < client.ttl(f"etalage:{store.pk}:debugging:calls") <= feed.KEEP_SECONDS
    assert 0 < client.ttl("etalage:debugging:watched") <= feed.WATCH_SECONDS
    # As if the time were over: the mark is in the past.
    client.zadd("etalage:debugging:watched", {str(store.pk): 1.0})
    feed._forget_look()
    sender.batch(viewed("p2"))
    assert len(calls(store)) == 1


def test_other_stores_see_nothing(store: Store, sender: Sender) -> None:
    other = StoreFactory()
    feed.watch(other.pk)
    feed.watch(store.pk)
    sender.batch(viewed())
    assert len(calls(store)) == 1
    assert calls(other) == []


def test_only_the_watched_store_is_kept(store: Store, sender: Sender) -> None:
    feed.watch(StoreFactory().pk)
    sender.batch(viewed())
    assert calls(store) == []


def test_a_cursor_neither_misses_nor_repeats(store: Store, sender: Sender) -> None:
    feed.watch(store.pk)
    cursor, seen = feed.START, []
    for number in range(12):
        sender.batch(viewed(messageId=f"m{number}"))
        if number % 3 == 0:
            page = feed.read(store.pk, cursor)
            cursor = page.cursor
            seen += [call.pointer for _, entry in page.entries for call in entry.calls]
    page = feed.read(store.pk, cursor)
    seen += [call.pointer for _, entry in page.entries for call in entry.calls]
    assert seen == [str(event.pk) for event in sorted(stored(store), key=lambda event: event.pk)]
    assert feed.read(store.pk, page.cursor).entries == []


def test_a_reader_who_falls_behind_is_told(store: Store) -> None:
    entry = feed.Entry([Call(at=1.0, outcome="stored", name="x")])
    feed.publish({store.pk: entry})
    cursor = feed.read(store.pk).cursor
    for _ in range(feed.MAX_ENTRIES - 1):
        feed.publish({store.pk: entry})
    assert not feed.read(store.pk, cursor).is_cut
    feed.publish({store.pk: entry})
    feed.publish({store.pk: entry})
    page = feed.read(store.pk, cursor)
    assert page.is_cut
    assert len(page.entries) == feed.READ_ENTRIES
    assert len(feed.read(store.pk, page.cursor).entries) == feed.MAX_ENTRIES - feed.READ_ENTRIES


@pytest.mark.parametrize("cursor", ["", "1", "1-", "a-b", "1-2-3", "(1-2", "9" * 50 + "-1"])
def test_a_cursor_that_is_none_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(ValueError, match="no cursor"):
        feed.read(store.pk, cursor)


def test_many_events_of_one_commit_are_told_in_groups(store: Store, sender: Sender) -> None:
    feed.watch(store.pk)
    faulty = {"type": "track", "event": "Product Viewed", "anonymousId": "a"}
    sender.batch(*(viewed(messageId=f"m{number}") for number in range(MAX_CALLS)), faulty)
    found = calls(store)
    assert [(call.outcome, call.count) for call in found] == [("quarantined", 1), ("stored", MAX_CALLS)]


def test_without_valkey_events_are_stored(store: Store, sender: Sender, settings: object) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"  # type: ignore[attr-defined]
    assert not feed.watch(store.pk)
    sender.batch(viewed())
    assert len(stored(store)) == 1
    page = feed.read(store.pk)
    assert (page.entries, page.is_live) == ((), False)
    valkey.breaker.reset()


def test_the_library_is_told(store: Store, sender: Sender) -> None:
    feed.watch(store.pk)
    library = {"library": {"name": "analytics-python", "version": "2.4.0"}}
    sender.batch(viewed(context=library))
    sender.batch(viewed("p2", context={"library": {"name": "<b>x</b>", "version": "1"}}))
    sender.post("/v1/batch", {"batch": [viewed("p3")]}, user_agent="curl/8.5.0")
    assert [call.library for call in calls(store)] == ["analytics-python 2.4.0", "", "curl 8.5.0"]


def test_every_reason_has_its_mend() -> None:
    assert set(MENDS) == set(Reason)
    assert set(CONSENT_MENDS) == set(DiscardReason)
    assert mend_of("quarantined", "missing_product_id").startswith("The event is about a product")
    assert mend_of("stored", "") == ""


class TestRefusals:
    def test_unreadable_json_is_told_by_the_key_in_the_header(
        self, store: Store, client: Client, secret_key: str
    ) -> None:
        feed.watch(store.pk)
        answer = client.post(
            "/v1/batch", b'{"batch": [', content_type="application/json", headers={"x-api-key": secret_key}
        )
        assert answer.status_code == 400
        call = calls(store)[0]
        assert (call.outcome, call.name, call.reason, call.status) == (
            "refused",
            "POST /v1/batch",
            "invalid_json",
            400,
        )

    def test_and_by_the_key_in_a_broken_body(self, store: Store, client: Client, secret_key: str) -> None:
        feed.watch(store.pk)
        body = f'{{"writeKey": "{secret_key}", "batch": [}}'.encode()
        assert client.post("/v1/batch", body, content_type="text/plain").status_code == 400
        assert told(store) == [("refused", "POST /v1/batch", "invalid_json")]
        kept = kept_bytes(store)
        assert secret_key.encode() not in kept

    def test_a_revoked_key_is_still_known(self, store: Store, client: Client) -> None:
        key, secret = make_key(store)
        api_key_revoke(key=key, actor=None)
        keys.forget_all()
        feed.watch(store.pk)
        assert Sender(client, secret).post("/v1/batch", {"batch": [viewed()]}).status_code == 401
        assert [(call.reason, call.key) for call in calls(store)] == [("invalid_key", key.pk)]

    def test_a_misspelt_key_is_told_by_its_beginning(
        self, store: Store, client: Client, secret_key: str
    ) -> None:
        feed.watch(store.pk)
        assert Sender(client, secret_key[:-1] + "?").post("/v1/batch", {"batch": []}).status_code == 401
        assert [call.reason for call in calls(store)] == ["invalid_key"]

    def test_a_key_of_nobody_is_told_to_nobody(self, store: Store, client: Client) -> None:
        feed.watch(store.pk)
        assert Sender(client, "pk_unknown").post("/v1/batch", {"batch": []}).status_code == 401
        assert calls(store) == []

    def test_but_a_page_of_the_shop_is_recognised(self, store: Store, client: Client) -> None:
        key, _ = make_key(store, Scope.WRITE_PUBLIC, allowed_origins=["https://shop.example"])
        feed.watch(store.pk)
        answer = client.post(
            "/v1/t", b'{"event": "x"}', content_type="text/plain", headers={"origin": "https://shop.example"}
        )
        assert answer.status_code == 401
        assert [(call.reason, call.key) for call in calls(store)] == [("invalid_key", key.pk)]

    def test_a_wrong_origin_is_told(self, store: Store, client: Client) -> None:
        _, secret = make_key(store, Scope.WRITE_PUBLIC, allowed_origins=["https://shop.example"])
        feed.watch(store.pk)
        answer = Sender(client, secret).post("/v1/t", {"event": "x"}, origin="https://evil.example")
        assert answer.status_code == 403
        assert [(call.reason, call.status) for call in calls(store)] == [("invalid_key", 403)]

    def test_what_is_too_large_is_told(self, store: Store, sender: Sender) -> None:
        feed.watch(store.pk)
        answer = sender.post("/v1/batch", {"batch": [{}] * 2501})
        assert answer.status_code == 413
        assert [(call.reason, call.status) for call in calls(store)] == [("too_many_events", 413)]

    def test_a_flood_does_not_wash_the_rest_away(self, store: Store, sender: Sender) -> None:
        feed.watch(store.pk)
        for _ in range(60):
            sender.post("/v1/batch", b"nothing", x_api_key=sender.key)
        assert 10 <= len(calls(store)) < 60

    def test_an_outage_is_told_without_asking_the_database(
        self, store: Store, sender: Sender, django_assert_num_queries: Any
    ) -> None:
        feed.watch(store.pk)
        sender.batch(viewed(messageId="m1"))
        request = RequestFactory().post("/v1/batch", headers={"x-api-key": sender.key})
        stranger = RequestFactory().post("/v1/batch", headers={"x-api-key": "sk_unknown"})
        with django_assert_num_queries(0):
            reporting.refused(request, 503, "unavailable", "The database does not answer.")
            reporting.refused(stranger, 503, "unavailable", "The database does not answer.")
        assert [(call.outcome, call.status) for call in calls(store)] == [("stored", 0), ("refused", 503)]

    def test_keys_of_other_stores_are_not_looked_at(
        self, store: Store, client: Client, secret_key: str
    ) -> None:
        feed.watch(StoreFactory().pk)
        client.post("/v1/batch", b"nothing", content_type="text/plain", headers={"x-api-key": secret_key})
        assert calls(store) == []
        assert json.loads(client.get(f"/v1/projects/{secret_key}/settings").content)


def test_a_faulty_event_of_the_log_stays_with_its_reason(store: Store, sender: Sender) -> None:
    feed.watch(store.pk)
    sender.batch(viewed(messageId="m1", anonymousId="null"))
    assert quarantined(store) == {"m1": "forbidden_id"}
    assert told(store) == [("quarantined", "Product Viewed", "forbidden_id")]
