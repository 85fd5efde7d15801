"""Whose events make a profile, and where they are read from."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from accounts import valkey as valkey_access
from accounts.models import Customer, Visitor
from consent.purposes import Purpose
from profiles import privacy, reading
from profiles import store as profile_store
from profiles.reading import profile_for
from tests.tracking.conftest import make_key, permit, viewed
from tracking.folding import fold_new_events
from tracking.ingestion.importing import ingest_messages

NOW = datetime.now(UTC)
T0 = NOW - timedelta(hours=6)


def view(minutes, product_id, anonymous_id="anon-1", **fields):
    return viewed(product_id, anonymous_id, timestamp=T0 + timedelta(minutes=minutes), **fields)


def identify(user_id, minutes, anonymous_id="anon-1"):
    at = T0 + timedelta(minutes=minutes)
    return {"type": "identify", "userId": user_id, "anonymousId": anonymous_id, "timestamp": at}


@pytest.fixture
def tell(store):
    key, _ = make_key(store)

    def tell(*messages):
        ingest_messages(store, key, messages)
        fold_new_events(store)

    return tell


@pytest.fixture(params=["valkey", "log"])
def source(request, valkey, settings):
    """Every rule holds for both sources. Called, it takes Valkey away for the second."""

    def switch():
        if request.param == "log":
            settings.REDIS_URL = "redis://127.0.0.1:1/0"
            valkey_access.breaker.reset()
        return request.param

    yield switch
    valkey_access.breaker.reset()


def products(profile):
    return [interaction.product_id for interaction in profile.interactions]


def test_a_visitor(store, tell, source):
    tell(view(0, "a"), view(1, "b"), view(2, "x", "anon-2"))
    name = source()
    profile = profile_for(store, visitor=Visitor.objects.for_store(store).get(anonymous_id="anon-1"))
    assert (products(profile), profile.source) == (["a", "b"], name)


def test_a_customer_over_all_of_their_devices_and_what_their_server_tells(store, tell, source):
    tell(
        view(0, "a", "phone"), identify("u1", 1, "phone"), view(2, "b", "laptop"), identify("u1", 3, "laptop"),
        viewed("c", None, userId="u1", timestamp=T0 + timedelta(minutes=4)), view(5, "x", "stranger"),
    )  # fmt: skip
    source()
    assert products(profile_for(store, customer=Customer.objects.for_store(store).get())) == ["a", "b", "c"]


def test_a_customer_at_a_browser_that_is_not_linked_yet(store, tell, source):
    tell(view(0, "a", "phone"), identify("u1", 1, "phone"), view(2, "new", "tablet"))
    source()
    tablet = Visitor.objects.for_store(store).get(anonymous_id="tablet")
    assert products(profile_for(store, visitor=tablet, customer=Customer.objects.for_store(store).get())) == [
        "a",
        "new",
    ]


def test_on_a_shared_device_nobody_sees_the_other(store, tell, source):
    tell(
        identify("u1", 0), view(1, "a"), view(2, "a2", userId="u1"), identify("u2", 10), view(11, "b"),
        # Told late, by name: it is the first customer's, whoever was logged in.
        view(12, "a3", userId="u1"),
    )  # fmt: skip
    source()
    first, second = Customer.objects.for_store(store).order_by("external_id")
    assert products(profile_for(store, customer=first)) == ["a", "a2", "a3"]
    assert products(profile_for(store, customer=second)) == ["b"]
    visitor = Visitor.objects.for_store(store).get()
    assert products(profile_for(store, visitor=visitor, customer=second)) == ["b"]


def test_a_profile_reads_at_most_two_queries(store, tell, django_assert_num_queries):
    tell(view(0, "a"), identify("u1", 1))
    customer, visitor = Customer.objects.for_store(store).get(), Visitor.objects.for_store(store).get()
    with django_assert_num_queries(0):
        profile_for(store, visitor=visitor)
    with django_assert_num_queries(2):
        profile_for(store, visitor=visitor, customer=customer)


def test_nobody_has_an_empty_profile(store):
    profile = profile_for(store)
    assert (profile.is_empty, profile.source) == (True, "none")


def test_an_incomplete_valkey_is_not_trusted(store, tell, valkey):
    tell(view(0, "a"))
    valkey.flushdb()
    profile = profile_for(store, visitor=Visitor.objects.for_store(store).get())
    assert (products(profile), profile.source) == (["a"], "log")


def test_past_the_deadline_there_is_no_reading_from_the_log(store, tell, no_valkey):
    tell(view(0, "a"))
    visitor = Visitor.objects.for_store(store).get()
    assert profile_for(store, visitor=visitor, deadline=time.monotonic() - 1).source == "none"
    assert profile_for(store, visitor=visitor, deadline=time.monotonic() + 5).source == "log"


def test_without_a_log_reader_and_without_valkey_it_is_empty(store, tell, no_valkey, monkeypatch):
    tell(view(0, "a"))
    monkeypatch.setattr(reading, "_log_reader", None)
    assert profile_for(store, visitor=Visitor.objects.for_store(store).get()).source == "none"


def test_what_is_not_permitted_for_personalisation_is_in_no_profile(store, source):
    key, _ = make_key(store, declared_purposes=["analytics"])
    ingest_messages(store, key, [view(0, "a")])
    fold_new_events(store)
    source()
    assert profile_for(store, visitor=Visitor.objects.for_store(store).get()).is_empty


def test_who_withdraws_is_forgotten(store, tell, django_capture_on_commit_callbacks):
    permit(store, "anon-1", at=T0 - timedelta(minutes=1))
    tell(view(0, "a"))
    key = profile_store.visitor_key(Visitor.objects.for_store(store).get().pk)
    assert profile_store.recent(store.pk, [key])
    with django_capture_on_commit_callbacks(execute=True):
        permit(store, "anon-1", Purpose.ANALYTICS)
    assert profile_store.recent(store.pk, [key]) == []


class TestPrivacy:
    def test_an_export_shows_what_recommendations_use(self, store, tell):
        from accounts.selectors.identity import subject_of

        tell(identify("u1", 0), view(1, "a"), view(2, "b", event="Product Added"))
        subject = subject_of(Customer.objects.for_store(store).get())
        rows = [row for table in privacy.export(subject) for row in table.rows]
        assert [(row["kind"], row["value"]) for row in rows] == [
            ("interaction", "a"),
            ("interaction", "b"),
            ("cart", "b"),
        ]

    def test_an_erasure_leaves_the_other_customer_of_a_shared_device_alone(self, store, tell):
        from accounts.selectors.identity import subject_of

        tell(
            identify("u1", 0), view(1, "a"), identify("u2", 10), view(11, "b"), view(12, "late", userId="u1")
        )
        first, second = Customer.objects.for_store(store).order_by("external_id")
        privacy.erase(subject_of(first))
        key = profile_store.visitor_key(Visitor.objects.for_store(store).get().pk)
        assert [event.products[0][0] for event in profile_store.recent(store.pk, [key])] == ["b"]
        assert products(profile_for(store, customer=second)) == ["b"]
        assert profile_for(store, customer=first).is_empty
