"""Nothing is stored or used that is not permitted: when it happened, and when it came."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from accounts.models import Scope, Visitor
from consent.models import Suppression
from consent.pseudonyms import IdentifierKind, pseudonym
from consent.purposes import OPTIONAL, Purpose
from tests.tracking.conftest import (
    Sender,
    discarded,
    make_key,
    order_completed,
    permit,
    quarantined,
    stored,
    viewed,
)
from tracking.models import DiscardCount, Order

LEDGER = {"legal_basis": "consent", "consent_source": "ledger", "declared_purposes": []}


@pytest.fixture
def shop(client, store):
    """A browser's key: what it may store stands in our own ledger."""
    return Sender(client, make_key(store, Scope.WRITE_PUBLIC, **LEDGER)[1])


@pytest.fixture
def server(client, store):
    return Sender(client, make_key(store, Scope.WRITE_SECRET, **LEDGER)[1])


def test_without_a_decision_nothing_is_stored_but_a_count(shop, store):
    shop.batch(viewed(), viewed("p2"), {"type": "page", "anonymousId": "anon-1"})
    assert not stored(store)
    assert not Visitor.objects.for_store(store).exists()
    assert discarded(store) == {
        ("Product Viewed", "no consent recorded"): 2,
        ("page", "no consent recorded"): 1,
    }


def test_a_permitted_event_says_for_what(shop, store):
    permit(store, "anon-1", Purpose.ANALYTICS)
    shop.batch(viewed())
    assert stored(store)[0].purposes == Purpose.ANALYTICS


def test_after_a_refusal_nothing_but_the_order_is_stored_and_without_its_visitor(server, store):
    permit(store, "anon-1", Purpose(0))
    context = {"page": {"path": "/checkout"}, "userAgent": "Mozilla/5.0 (X11; Linux x86_64)"}
    server.batch(viewed(), order_completed(context=context))
    event = stored(store)[0]
    assert (event.name, event.purposes, event.visitor_id, event.context) == ("Order Completed", 1, None, {})
    assert not Visitor.objects.for_store(store).exists()
    assert discarded(store) == {("Product Viewed", "consent refused"): 1}


def test_a_withdrawal_counts_from_its_moment_and_for_late_events_too(shop, store):
    now = datetime.now(UTC)
    permit(store, "anon-1", OPTIONAL, at=now - timedelta(days=2))
    permit(store, "anon-1", Purpose(0), at=now - timedelta(days=1))
    then = (now - timedelta(days=1, hours=5)).isoformat()
    shop.batch(viewed(timestamp=then), viewed("p2"))
    assert not stored(store)
    assert discarded(store) == {("Product Viewed", "consent refused"): 2}


def test_what_happened_before_the_consent_stays_out(shop, store):
    permit(store, "anon-1")
    shop.batch(
        viewed("before", timestamp=(datetime.now(UTC) - timedelta(hours=1)).isoformat()), viewed("after")
    )
    assert [event.product_id for event in stored(store)] == ["after"]


@pytest.mark.parametrize(
    "consent",
    [
        {"categoryPreferences": {"Analytics": True, "Advertising": False, "Personalization": False}},
        {"allowedConsentIds": ["analytics"], "deniedConsentIds": ["personalisation"]},
        {"analytics": True},
    ],
)
def test_the_clients_own_word_narrows_what_the_ledger_permits(shop, store, consent):
    permit(store, "anon-1")
    shop.batch(viewed(context={"consent": consent}))
    assert stored(store)[0].purposes == Purpose.ANALYTICS


def test_the_clients_own_word_does_not_widen_it(shop, store):
    shop.batch(viewed(context={"consent": {"analytics": True, "personalisation": True}}))
    assert not stored(store)


def test_global_privacy_control_withholds_profiling(shop, store):
    permit(store, "anon-1", Purpose.ANALYTICS | Purpose.PERSONALISATION)
    shop.post("/v1/batch", {"batch": [viewed()]}, **{"Sec-GPC": "1"})
    assert stored(store)[0].purposes == Purpose.ANALYTICS


class TestSourcesWithoutABanner:
    def test_by_default_only_what_is_necessary_is_taken(self, client, store):
        _, secret = make_key(store, legal_basis="contract", consent_source="declared")
        Sender(client, secret).batch(viewed(userId="u1"), order_completed(userId="u1"))
        assert [(event.name, event.purposes) for event in stored(store)] == [("Order Completed", 1)]

    def test_a_key_takes_what_its_shop_declares(self, client, store):
        _, secret = make_key(store, declared_purposes=["analytics"])
        Sender(client, secret).batch(viewed(userId="u1"))
        assert stored(store)[0].purposes == Purpose.ANALYTICS

    def test_a_key_may_leave_it_to_each_message(self, client, store):
        _, secret = make_key(store, consent_source="client")
        Sender(client, secret).batch(
            viewed("said", userId="u1", context={"consent": {"personalisation": True}}),
            viewed("unsaid", userId="u1"),
        )
        assert [(event.product_id, event.purposes) for event in stored(store)] == [
            ("said", Purpose.PERSONALISATION)
        ]

    def test_our_own_ledger_overrules_what_a_shop_declares(self, client, store):
        permit(store, "anon-1", Purpose(0))
        Sender(client, make_key(store)[1]).batch(viewed(), viewed("p2", anonymous_id="anon-2"))
        assert [event.product_id for event in stored(store)] == ["p2"]


class TestTheGateComesBeforeTheQuarantine:
    def test_a_faulty_event_of_somebody_who_refused_is_not_kept(self, shop, store):
        permit(store, "anon-1", Purpose(0))
        shop.batch(viewed(properties={}), {"type": "track", "event": 5, "anonymousId": "anon-1"})
        assert not quarantined(store)
        assert sum(discarded(store).values()) == 2

    def test_one_of_somebody_who_agreed_is(self, shop, store):
        permit(store, "anon-1")
        shop.batch(viewed(properties={}), {"type": "track", "event": 5, "anonymousId": "anon-1"})
        assert sorted(quarantined(store).values()) == ["missing_product_id", "unreadable"]


def test_a_count_of_discarded_events_never_repeats_what_a_client_wrote(shop, store):
    shop.batch(
        {"type": "track", "event": "Jane Doe bought a ring", "anonymousId": "a"}, {"type": "jane@doe.example"}
    )
    assert set(DiscardCount.objects.for_store(store).values_list("event_name", flat=True)) == {"(other)"}


def test_an_erased_person_stays_erased(sender, store):
    erased_at = datetime.now(UTC) - timedelta(hours=1)
    for kind, value in ((IdentifierKind.ANONYMOUS_ID, "anon-1"), (IdentifierKind.USER_ID, "u1")):
        digest = pseudonym(store.pk, kind, value)
        Suppression.objects.create(store=store, kind=kind, digest=digest, suppressed_until=erased_at)
    before = (erased_at - timedelta(days=1)).isoformat()
    sender.batch(
        viewed("p1", timestamp=before),
        viewed("p2", anonymous_id=None, userId="u1", timestamp=before),
        order_completed(timestamp=before),
        viewed(properties={}, timestamp=before),
        viewed("p3", anonymous_id="anon-2", timestamp=before),
    )
    assert [event.product_id for event in stored(store)] == ["p3"]
    assert not quarantined(store)
    assert discarded(store) == {
        ("Product Viewed", "erased person"): 3,
        ("Order Completed", "erased person"): 1,
    }
    assert not Order.objects.for_store(store).exists()
