"""What shelves showed a shopper: counted where they permit it, forgotten with them, never used without."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from accounts.models import Customer, Visitor
from accounts.selectors.identity import subject_of
from consent.purposes import Purpose
from profiles import privacy, sightings
from profiles import store as profile_store
from profiles.reading import StoredProfile, Who, folded, who_is
from profiles.sightings import CAPACITY, SHOWN, TTL_SECONDS, Sighting, counts
from tests.tracking.conftest import make_key, permit, viewed
from tracking.folding import fold_new_events
from tracking.ingestion.importing import ingest_messages

STORE = 7
T0 = datetime.now(UTC) - timedelta(hours=6)


def seen(n: int, product_id: str = "a", request: str = "", at: float | None = None) -> Sighting:
    return Sighting(product_id, request or f"r{n}", None, 1000.0 + n if at is None else at)


def shown(
    minutes: float, product_id: str, request_id: str, anonymous_id: str = "anon-1", **fields: Any
) -> dict[str, Any]:
    properties = {"product_id": product_id, "request_id": request_id, "placement": "home", "rank": 1}
    moment = T0 + timedelta(minutes=minutes)
    return viewed(product_id, anonymous_id, event=SHOWN, timestamp=moment, properties=properties, **fields)


def kept(store: Any, visitor: Visitor | None = None) -> list[str]:
    visitor = visitor or Visitor.objects.for_store(store).get()
    found = sightings.read(store.pk, [profile_store.visitor_key(visitor.pk)])[0]
    return [each.product_id for each in found]


@pytest.fixture
def tell(store: Any) -> Any:
    key, _ = make_key(store)

    def tell(*messages: dict[str, Any]) -> None:
        ingest_messages(store, key, messages)
        fold_new_events(store)

    return tell


class TestKeeping:
    def test_a_resend_changes_nothing(self, valkey: Any) -> None:
        for _ in range(2):
            assert sightings.remember(STORE, {"v:1": [seen(1), seen(2, "b")]})
        assert sightings.read(STORE, ["v:1"]) == [[seen(1), seen(2, "b")]]

    def test_only_the_newest_are_kept_for_two_weeks(self, valkey: Any) -> None:
        sightings.remember(STORE, {"v:1": [seen(n) for n in range(CAPACITY + 40)]})
        sightings.remember(STORE, {"v:1": [seen(CAPACITY + 40)]})
        found = sightings.read(STORE, ["v:1"])[0]
        assert len(found) == CAPACITY
        assert found[0] == seen(41)
        assert 0 < valkey.ttl("etalage:7:shown:v:1") <= TTL_SECONDS

    def test_a_member_is_read_as_it_was_written(self) -> None:
        one = Sighting("odd|id\x1fwith", "0a1b2c3d", 5, 12.5)
        assert sightings.sightings_of([one.member.encode(), b"12.5"]) == [one]


class TestCounting:
    def test_once_a_request_and_not_once_opened(self) -> None:
        found = [seen(1), seen(2), seen(2), seen(3, "b"), seen(4, "c", request="r1"), seen(5, "d")]
        assert counts(found, ["d"], 2000.0) == {"a": 2, "b": 1, "c": 1}

    def test_neither_what_is_older_than_two_weeks_nor_what_is_to_come(self) -> None:
        now = 10 * TTL_SECONDS
        found = [
            seen(1, at=now - TTL_SECONDS),
            seen(2, at=now - TTL_SECONDS + 1),
            seen(3, at=now),
            seen(4, at=now + 1),
        ]
        assert counts(found, [], float(now)) == {"a": 2}

    def test_is_left_out_where_nobody_asked_for_it(self) -> None:
        who = who_is(STORE, 1, None)
        member = seen(1, at=50.0).member.encode()
        assert folded(who, StoredProfile(True, ((), (member, b"50"))), 60.0).profile.shown == {"a": 1}
        assert folded(who, StoredProfile(True, ((),)), 60.0).profile.shown == {}
        assert isinstance(who, Who)


class TestConsent:
    def test_the_next_request_knows_what_was_just_seen(self, store: Any, tell: Any) -> None:
        tell(shown(0, "a", "one"), shown(0, "b", "one"), shown(1, "a", "two"), shown(1, "a", "two"))
        visitor = Visitor.objects.for_store(store).get()
        found = sightings.read(store.pk, [profile_store.visitor_key(visitor.pk)])[0]
        assert counts(found, [], datetime.now(UTC).timestamp()) == {"a": 2, "b": 1}

    def test_nothing_is_counted_that_is_not_permitted_for_personalisation(self, store: Any) -> None:
        key, _ = make_key(store, declared_purposes=["analytics"])
        ingest_messages(store, key, [shown(0, "a", "one")])
        assert kept(store) == []

    def test_who_withdraws_is_forgotten(
        self, store: Any, tell: Any, django_capture_on_commit_callbacks: Any
    ) -> None:
        permit(store, "anon-1", at=T0 - timedelta(minutes=1))
        tell(shown(0, "a", "one"))
        assert kept(store) == ["a"]
        with django_capture_on_commit_callbacks(execute=True):
            permit(store, "anon-1", Purpose.ANALYTICS)
        assert kept(store) == []


class TestPerson:
    def test_an_export_shows_them_and_an_erasure_takes_them(self, store: Any, tell: Any) -> None:
        identify = {"type": "identify", "userId": "u1", "anonymousId": "anon-1", "timestamp": T0}
        tell(identify, shown(1, "a", "one"))
        subject = subject_of(Customer.objects.for_store(store).get())
        rows = [row for table in privacy.export(subject) for row in table.rows]
        assert [(row["kind"], row["value"]) for row in rows] == [("shown on a shelf", "a")]
        report = privacy.erase(subject)
        assert report.deleted["lists of what shelves showed"] == 1
        assert kept(store) == []

    def test_on_a_shared_device_the_other_keeps_theirs(self, store: Any, tell: Any) -> None:
        def identify(user: str, minutes: int) -> dict[str, Any]:
            at = T0 + timedelta(minutes=minutes)
            return {"type": "identify", "userId": user, "anonymousId": "anon-1", "timestamp": at}

        tell(
            identify("u1", 0), shown(1, "a", "one"), identify("u2", 10), shown(11, "b", "two"), shown(12, "late", "three", userId="u1"),
        )  # fmt: skip
        first, _ = Customer.objects.for_store(store).order_by("external_id")
        privacy.erase(subject_of(first))
        assert kept(store) == ["b"]
