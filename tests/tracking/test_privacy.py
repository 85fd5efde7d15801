"""The log about a person: exported, erased, and kept no longer than promised."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from accounts import personal_data
from accounts.models import Customer, Visitor
from accounts.selectors.identity import subject_of, subject_of_visitor
from consent.models import Notice, PurposeText
from consent.purposes import Purpose
from tests.tracking.conftest import make_key, order_completed, stored, viewed
from tracking import privacy
from tracking.folding import fold_new_events, rebuild
from tracking.ingestion.importing import ingest_messages
from tracking.models import DiscardCount, Event, Order, OrderLine, QuarantinedEvent, Session
from tracking.retention import (
    expire_blocked_orders,
    expire_discard_counts,
    expire_events,
    expire_quarantine,
    expire_sessions,
    kept_since,
    retention_days,
)

NOW = datetime.now(UTC)
T0 = NOW - timedelta(days=3)


def at(minutes):
    return T0 + timedelta(minutes=minutes)


@pytest.fixture
def tell(store):
    key, _ = make_key(store)

    def tell(*messages):
        ingest_messages(store, key, messages)
        fold_new_events(store)

    return tell


def identify(user_id, minutes, anonymous_id="anon-1"):
    return {"type": "identify", "userId": user_id, "anonymousId": anonymous_id, "timestamp": at(minutes)}


def test_an_export_holds_everything_and_only_theirs(store, tell):
    tell(
        identify("u1", 0), viewed("a", timestamp=at(1)), order_completed("o1", timestamp=at(2)),
        viewed(properties={}, timestamp=at(3), messageId="faulty"),
        viewed("b", "stranger", timestamp=at(1)), order_completed("o2", "stranger", timestamp=at(2)),
    )  # fmt: skip
    tables = {
        table.name: list(table.rows)
        for table in privacy.export(subject_of(Customer.objects.for_store(store).get()))
    }
    assert [row["event"] for row in tables["events"]] == ["", "Product Viewed", "Order Completed"]
    assert tables["events"][1]["properties"] == {"product_id": "a"}
    assert tables["events"][1]["purposes"] == ["analytics", "personalisation"]
    assert [row["event_count"] for row in tables["sessions"]] == [3]
    assert [row["order_id"] for row in tables["orders"]] == ["o1"]
    assert [(row["order_id"], row["product_id"]) for row in tables["order_lines"]] == [("o1", "p2")]
    assert [row["reason"] for row in tables["quarantined_events"]] == ["missing_product_id"]


def test_an_erasure_leaves_nothing_but_the_sale(store, tell):
    tell(
        identify("u1", 0), viewed("a", timestamp=at(1)), order_completed("o1", timestamp=at(2)),
        viewed(properties={}, timestamp=at(3)), viewed("b", None, userId="u1", timestamp=at(4)),
    )  # fmt: skip
    report = privacy.erase(subject_of(Customer.objects.for_store(store).get()))
    assert report.deleted == {
        "events": 4,
        "sessions": 1,
        "orders": 0,
        "quarantined events": 1,
        "findings": 0,
    }
    assert not stored(store)
    assert not Session.objects.for_store(store).exists()
    assert not QuarantinedEvent.objects.for_store(store).exists()
    order = Order.objects.for_store(store).get()
    assert (order.customer, order.visitor, order.is_blocked, order.purposes) == (None, None, True, 1)
    assert order.blocked_until == order.placed_at + timedelta(days=3650)
    kept = report.kept[0]
    assert (kept.what, kept.count, kept.until) == ("orders", 1, order.blocked_until)
    assert "law" in kept.reason


def test_an_erasure_may_be_run_again_and_a_rebuild_brings_nothing_back(store, tell):
    tell(identify("u1", 0), viewed("a", timestamp=at(1)), order_completed("o1", timestamp=at(2)))
    subject = subject_of(Customer.objects.for_store(store).get())
    privacy.erase(subject)
    again = privacy.erase(subject)
    assert (sum(again.deleted.values()), again.kept) == (0, ())
    rebuild(store)
    assert not Session.objects.for_store(store).exists()
    assert Order.objects.for_store(store).get().is_blocked


def test_an_order_that_only_a_browser_told_is_no_sale(store, browser_sender):
    browser_sender.batch(order_completed("o1"))
    fold_new_events(store)
    report = privacy.erase(subject_of_visitor(Visitor.objects.for_store(store).get()))
    assert (report.deleted["orders"], report.kept) == (1, ())
    assert not Order.objects.for_store(store).exists()


def test_on_a_shared_device_only_the_own_time_is_erased(store, tell):
    tell(
        viewed("nobody's", timestamp=at(-60)), identify("u1", 0), viewed("a", timestamp=at(1)), identify("u2", 100),
        viewed("b", timestamp=at(101)), viewed("a, told late", userId="u1", timestamp=at(102)),
    )  # fmt: skip
    privacy.erase(subject_of(Customer.objects.for_store(store).get(external_id="u1")))
    assert {event.product_id for event in stored(store)} == {"nobody's", "", "b"}
    assert set(Session.objects.for_store(store).values_list("customer__external_id", flat=True)) == {
        None,
        "u2",
    }


def test_quarantine_is_found_by_ids_that_were_not_believed(store, browser_sender, sender):
    sender.batch({"type": "identify", "userId": "victim", "anonymousId": "anon-1"})
    browser_sender.batch(
        {"type": "identify", "userId": "victim", "anonymousId": "thief", "traits": {"email": "v@x.example"}}
    )
    assert json.loads(bytes(QuarantinedEvent.objects.for_store(store).get().raw))["userId"] == "victim"
    privacy.erase(subject_of(Customer.objects.for_store(store).get()))
    assert not QuarantinedEvent.objects.for_store(store).exists()


def test_every_model_of_ours_is_classified():
    ours = {
        label
        for label in personal_data.unclassified_models()
        if label.split(".")[0] in ("tracking", "profiles")
    }
    assert not ours
    assert personal_data.processor("tracking")
    assert personal_data.processor("profiles")


class TestRetention:
    @pytest.fixture
    def notice(self, store):
        notice = Notice.objects.create(
            store=store, version=1, language="en", title="t", body="b", published_at=NOW
        )
        for slug, days in (
            ("necessary", 3650),
            ("analytics", 100),
            ("personalisation", 30),
            ("marketing", 10),
        ):
            PurposeText.objects.create(
                store=store,
                notice=notice,
                purpose=slug,
                name=slug,
                text="…",
                legal_basis="consent",
                retention_days=days,
            )

    def test_terms_are_those_of_the_published_notice(self, store, notice):
        draft = Notice.objects.create(store=store, version=2, language="en", title="t", body="b")
        PurposeText.objects.create(
            store=store,
            notice=draft,
            purpose="analytics",
            name="a",
            text="…",
            legal_basis="consent",
            retention_days=5,
        )
        assert retention_days(store) == {
            Purpose.NECESSARY: 3650, Purpose.ANALYTICS: 100, Purpose.PERSONALISATION: 30, Purpose.MARKETING: 10, Purpose.SHARING: 90,
        }  # fmt: skip
        assert kept_since(store, Purpose.PERSONALISATION, NOW) == NOW - timedelta(days=30)

    def test_an_event_leaves_when_the_last_of_its_purposes_ends(self, store, notice):
        keys = {
            slugs: make_key(store, declared_purposes=slugs.split())[0]
            for slugs in ("analytics personalisation", "personalisation")
        }
        for slugs, key in keys.items():
            for days in (9, 29, 31, 99, 101):
                ingest_messages(store, key, [viewed(f"{slugs} {days}", timestamp=NOW - timedelta(days=days))])
        assert expire_events(NOW) == 4
        left = {event.product_id for event in stored(store)}
        assert left == {
            *(f"analytics personalisation {days}" for days in (9, 29, 31, 99)),
            *(f"personalisation {days}" for days in (9, 29)),
        }

    def test_an_order_stays_as_long_as_it_is_necessary(self, store, notice):
        key, _ = make_key(store)
        ingest_messages(
            store, key, [order_completed(f"o{d}", timestamp=NOW - timedelta(days=d)) for d in (3649, 3651)]
        )
        assert expire_events(NOW) == 1
        assert stored(store)[0].properties["order_id"] == "o3649"

    def test_batches_go_on_until_nothing_is_left(self, store, notice, monkeypatch):
        from tracking import retention

        monkeypatch.setattr(retention, "DELETE_ROWS", 3)
        key, _ = make_key(store)
        ingest_messages(store, key, [viewed(f"p{n}", timestamp=NOW - timedelta(days=200)) for n in range(8)])
        assert expire_events(NOW) == 8
        assert not Event.objects.for_store(store).exists()

    def test_the_rest_expires_too(self, store, notice):
        key, _ = make_key(store)
        ingest_messages(store, key, [viewed(timestamp=NOW - timedelta(days=d)) for d in (99, 101)])
        fold_new_events(store, only=["sessions"])
        assert expire_sessions(NOW) == 1
        for days in (89, 91):
            QuarantinedEvent.objects.create(
                store=store, raw=b"{}", digest=str(days), reason="x", received_at=NOW - timedelta(days=days)
            )
        assert expire_quarantine(NOW) == 1
        for days in (729, 731):
            DiscardCount.objects.create(
                store=store, day=(NOW - timedelta(days=days)).date(), event_name="x", reason="x", count=1
            )
        assert expire_discard_counts(NOW) == 1

    def test_a_blocked_order_goes_when_the_law_lets_it(self, store):
        for name, days in (("due", -1), ("not yet", 1)):
            order = Order.objects.create(
                store=store, order_id=name, status="completed", placed_at=NOW, currency="EUR",
                is_blocked=True, blocked_until=NOW + timedelta(days=days),
            )  # fmt: skip
            OrderLine.objects.create(
                store=store, order=order, position=0, product_id="p", quantity=1, unit_price_minor_units=1
            )
        expire_blocked_orders(NOW)
        assert Order.objects.for_store(store).get().order_id == "not yet"
        assert OrderLine.objects.for_store(store).count() == 1
