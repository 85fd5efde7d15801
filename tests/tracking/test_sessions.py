"""Sessions, worked by hand: 30 minutes idle, 24 hours at most, late events."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Customer
from consent.purposes import Purpose
from tests.tracking.conftest import make_key, order_completed, viewed
from tracking.folding import fold_new_events, rebuild
from tracking.folds.sessions import CAP, GAP, Visit, split_into_sessions
from tracking.ingestion.importing import ingest_messages
from tracking.models import Session

T0 = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def view(minutes, product_id="p1", anonymous_id="anon-1", **fields):
    return viewed(product_id, anonymous_id, timestamp=at(minutes), **fields)


@pytest.fixture
def tell(store):
    key, _ = make_key(store)

    def tell(*messages):
        ingest_messages(store, key, messages)
        fold_new_events(store, only=["sessions"])

    return tell


def sessions(store):
    rows = Session.objects.for_store(store).order_by("visitor_id", "started_at")
    return [(minutes_of(row.started_at), minutes_of(row.ended_at), row.event_count) for row in rows]


def minutes_of(moment: datetime) -> float:
    return (moment - T0).total_seconds() / 60


def test_a_gap_of_30_minutes_keeps_a_session_and_a_longer_one_ends_it(tell, store):
    tell(view(0), view(30), view(60.01), view(61))
    assert sessions(store) == [(0, 30, 2), (60.01, 61, 2)]


def test_after_24_hours_a_new_session_begins(tell, store):
    tell(*[view(minutes) for minutes in range(0, 25 * 60 + 1, 25)])
    # 0, 25, …, 1425 are below 1440 minutes: 58 events. 1450, 1475, 1500 follow.
    assert sessions(store) == [(0, 1425, 58), (1450, 1500, 3)]


def test_visitors_do_not_mix(tell, store):
    tell(view(0), view(1, anonymous_id="anon-2"), view(2))
    assert sorted(sessions(store)) == [(0, 2, 2), (1, 1, 1)]


class TestLateEvents:
    def test_in_the_middle_are_counted(self, tell, store):
        tell(view(0), view(20))
        tell(view(10))
        assert sessions(store) == [(0, 20, 3)]

    def test_bridge_two_sessions(self, tell, store):
        tell(view(0), view(50))
        assert len(sessions(store)) == 2
        tell(view(25))
        assert sessions(store) == [(0, 50, 3)]

    def test_before_the_first_move_its_start(self, tell, store):
        tell(view(20))
        tell(view(0))
        assert sessions(store) == [(0, 20, 2)]

    def test_far_from_all_stand_alone(self, tell, store):
        tell(view(0), view(500))
        tell(view(200))
        assert sessions(store) == [(0, 0, 1), (200, 200, 1), (500, 500, 1)]

    def test_shift_the_cut_of_24_hours(self, tell, store):
        tell(*[view(minutes) for minutes in range(0, 1500, 25)])  # 0 … 1475
        assert sessions(store) == [(0, 1425, 58), (1450, 1475, 2)]
        tell(view(-20))
        # Now the first session begins at −20 and takes what is below 1420: −20, 0, …, 1400.
        assert sessions(store) == [(-20, 1400, 58), (1425, 1475, 3)]

    def test_leave_the_rest_of_the_history_alone(self, tell, store):
        tell(view(0), view(500))
        untouched = Session.objects.for_store(store).get(started_at=at(500))
        tell(view(10))
        assert (
            Session.objects.for_store(store).get(started_at=at(500)).__dict__.keys()
            == untouched.__dict__.keys()
        )
        assert sessions(store) == [(0, 10, 2), (500, 500, 1)]


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=40))
def test_sessions_partition_the_visits(minutes):
    visits = [Visit(at(minute), "Product Viewed") for minute in sorted(minutes)]
    cut = list(split_into_sessions(visits))
    assert [visit for session in cut for visit in session] == visits
    for session in cut:
        assert session[-1].occurred_at - session[0].occurred_at < CAP
        assert all(b.occurred_at - a.occurred_at <= GAP for a, b in itertools.pairwise(session))
    for before, after in itertools.pairwise(cut):
        is_idle = after[0].occurred_at - before[-1].occurred_at > GAP
        assert is_idle or after[0].occurred_at - before[0].occurred_at >= CAP


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_arrival_does_not_matter(tell, store, seed):
    rng = random.Random(seed)
    messages = [view(rng.randrange(0, 4000), f"p{n}", messageId=f"m{n}") for n in range(80)]
    shuffled = rng.sample(messages, len(messages))
    for start in range(0, 80, 9):
        tell(*shuffled[start : start + 9])
    pieces = list(Session.objects.for_store(store).order_by("started_at").values())
    rebuild(store, only=["sessions"])
    assert list(Session.objects.for_store(store).order_by("started_at").values()) == pieces
    assert sum(count for _, _, count in sessions(store)) == 80


def test_what_a_session_counts(tell, store):
    phone = {
        "userAgent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0) Mobile/15E148",
        "location": {"country": "FR"},
    }

    def event(name, minutes, **properties):
        return {
            "type": "track",
            "event": name,
            "anonymousId": "anon-1",
            "timestamp": at(minutes),
            "properties": properties,
        }

    tell(
        {"type": "page", "anonymousId": "anon-1", "timestamp": at(0), "context": phone},
        view(1),
        view(2, "p2"),
        event("Products Searched", 3, query="tent"),
        event("Product Added", 4, product_id="p2"),
        event("Page Left", 5, dwell_seconds=12.5),
        event("Page Left", 6, dwell_seconds=7.5),
        event("Page Left", 6.5, dwell_seconds="much"),
        order_completed(timestamp=at(7), userId="u1"),
    )
    session = Session.objects.for_store(store).get()
    assert session.event_count == 9
    assert (session.product_view_count, session.search_count, session.cart_add_count) == (2, 1, 1)
    assert (session.order_count, session.revenue_minor_units, session.dwell_seconds) == (1, 3050, 20.0)
    assert (session.device, session.country, session.is_bot) == ("mobile", "FR", False)
    assert session.customer.external_id == "u1"


def test_a_refund_days_later_is_no_visit(tell, store):
    tell(view(0), order_completed(event="Order Refunded", timestamp=at(5000)))
    assert sessions(store) == [(0, 0, 1)]


def test_what_is_not_permitted_for_analytics_is_in_no_session(store):
    key, _ = make_key(store, declared_purposes=[Purpose.PERSONALISATION.slug])
    ingest_messages(store, key, [view(0)])
    fold_new_events(store)
    assert not sessions(store)


def test_robots_are_flagged(tell, store):
    tell(view(0, context={"userAgent": "Googlebot/2.1 (+http://www.google.com/bot.html)"}))
    assert Session.objects.for_store(store).get().is_bot


def test_earlier_visits_get_the_only_customer_who_ever_identified_there(tell, store):
    tell(view(0), view(500))
    assert set(Session.objects.for_store(store).values_list("customer", flat=True)) == {None}
    tell({"type": "identify", "userId": "u1", "anonymousId": "anon-1", "timestamp": at(505)})
    customer = Customer.objects.for_store(store).get()
    assert set(Session.objects.for_store(store).values_list("customer", flat=True)) == {customer.pk}


def test_on_a_shared_device_each_visit_is_of_its_own_customer(tell, store):
    tell(
        {"type": "identify", "userId": "u1", "anonymousId": "anon-1", "timestamp": at(0)},
        {"type": "identify", "userId": "u2", "anonymousId": "anon-1", "timestamp": at(500)},
        view(100),
        view(600),
    )
    rows = (
        Session.objects.for_store(store)
        .order_by("started_at")
        .values_list("started_at", "customer__external_id")
    )
    assert [(minutes_of(started_at), who) for started_at, who in rows] == [
        (0, "u1"),
        (100, "u1"),
        (500, "u2"),
        (600, "u2"),
    ]
