"""Sessions, worked by hand: 30 minutes idle, 24 hours at most, late events."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts import keys
from accounts.models import Customer
from accounts.services import identity_link_end, identity_unlink
from consent.purposes import Purpose
from tests.factories import StoreFactory
from tests.tracking.conftest import make_key, order_completed, viewed
from tracking.folding import LoggedEvent, fold_new_events, rebuild
from tracking.folds.sessions import CAP, GAP, Visit, apply, split_into_sessions
from tracking.ingestion.importing import ingest_messages
from tracking.models import Event, Session

CLICK_DIGEST = "3f32423a"
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


def fold_alone(store, *messages):
    """Take the messages and give the fold these alone, as when earlier ones have long been folded."""
    key, _ = make_key(store)
    known = set(Event.objects.for_store(store).values_list("pk", flat=True))
    ingest_messages(store, key, messages)
    columns = [name for name in LoggedEvent._fields if name != "properties"]
    rows = Event.objects.for_store(store).exclude(pk__in=known).values_list(*columns)
    apply(store.pk, [LoggedEvent(*row, {}) for row in rows])


def places(store) -> dict[float, str]:
    """Where each session's row lies in its table, by its start: a row that was written anew lies elsewhere."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT started_at, ctid::text FROM tracking_session WHERE store_id = %s", [store.pk])
        return {minutes_of(started_at): place for started_at, place in cursor.fetchall()}


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

    def test_rewrite_their_neighbours_only(self, store):
        fold_alone(store, *[view(minutes) for minutes in (0, 200, 225, 500)])
        before = places(store)
        fold_alone(store, view(240))
        after = places(store)
        assert sessions(store) == [(0, 0, 1), (200, 240, 3), (500, 500, 1)]
        assert {start for start in after if after[start] != before[start]} == {200}

    def test_leave_the_days_of_a_robot_that_never_sleeps_before_them_alone(self, store):
        fold_alone(store, *[view(minutes) for minutes in range(0, 3 * 1440, 25)])
        before = places(store)
        # Cut every 1450 minutes, the first multiple of 25 that is not below 1440.
        assert sorted(before) == [0, 1450, 2900]
        fold_alone(store, view(3 * 1440))
        after = places(store)
        assert {start for start in after if after[start] != before[start]} == {2900}
        assert sessions(store)[-1] == (2900, 4320, 58)


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


class TestCampaigns:
    """Off by default; the store's setting makes another campaign begin a session."""

    SPRING = {"campaign": {"source": "mail", "name": "spring"}}

    def test_begin_no_session_by_default(self, tell, store):
        tell(view(0), view(5, context=self.SPRING), view(10))
        assert sessions(store) == [(0, 10, 3)]

    def test_begin_a_session_where_the_setting_says_so(self, tell, store):
        store.campaign_starts_session = True
        store.save(update_fields=["campaign_starts_session"])
        tell(
            view(0),
            view(5, context=self.SPRING),
            view(6),  # a page of the same visit names no campaign
            view(10, context=self.SPRING),  # the same campaign again is no other
            view(
                15, context={"page": {"url": "https://shop.example/tents?utm_source=ads&utm_campaign=sale"}}
            ),
            view(20, context={"page": {"search": "?gclid=Cj0KCQ-first"}}),
            view(25, context={"page": {"search": "?gclid=Cj0KCQ-second"}}),
        )
        assert sessions(store) == [(0, 0, 1), (5, 10, 3), (15, 15, 1), (20, 20, 1), (25, 25, 1)]

    def test_of_an_address_are_kept_without_the_id_of_the_click(self, tell, store):
        address = "https://shop.example/?utm_source=ads&utm_campaign=sale&q=secret&gclid=Cj0KCQ"
        tell(view(0, context={"page": {"url": address}}))
        context = Event.objects.for_store(store).get().context
        # The first 8 hexadecimal digits of SHA-256 of the id: `printf %s Cj0KCQ | sha256sum`.
        assert context["campaign"] == {"source": "ads", "name": "sale", "click": "gclid:" + CLICK_DIGEST}
        assert context["page"] == {"url": "https://shop.example/"}

    def test_two_at_one_moment_begin_one_session(self, tell, store):
        store.campaign_starts_session = True
        store.save(update_fields=["campaign_starts_session"])
        tell(view(0, messageId="a"), view(0, messageId="b", context=self.SPRING))
        assert sessions(store) == [(0, 0, 2)]


# Minutes since the visit before and its campaign: gaps of exactly 30 minutes, and chains of 60 of them, which pass 24 hours.
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 10, 30, 30, 30, 31]), st.sampled_from([None, None, None, "spring", "sale"])
    ),
    min_size=1,
    max_size=60,
)


@pytest.mark.django_db
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, starts_session=st.booleans(), random=st.randoms(use_true_random=False))
def test_any_order_of_arrival_gives_the_sessions_of_the_sorted_order(steps, starts_session, random):
    keys.forget_all()
    store = StoreFactory(campaign_starts_session=starts_session)
    minutes = list(itertools.accumulate(step for step, _ in steps))
    told = [
        view(
            minute,
            messageId=f"m{n:02}",
            context={"campaign": {"name": campaign}} if campaign else {},
        )
        for n, (minute, (_, campaign)) in enumerate(zip(minutes, steps, strict=True))
    ]
    expected = [
        (minutes_of(cut[0].occurred_at), minutes_of(cut[-1].occurred_at), len(cut))
        for cut in split_into_sessions(
            Visit(at(minute), "Product Viewed", campaign=campaign if starts_session else None)
            for minute, (_, campaign) in zip(minutes, steps, strict=True)
        )
    ]
    random.shuffle(told)
    while told:
        size = random.randrange(1, 12)
        fold_alone(store, *told[:size])
        del told[:size]
    assert sessions(store) == expected


def test_visits_follow_the_judgement_of_staff(tell, store):
    tell(
        {"type": "identify", "userId": "u1", "anonymousId": "anon-1", "timestamp": at(0)},
        view(100),
        view(200),
    )
    customer = Customer.objects.for_store(store).get()
    link = customer.links.get()
    identity_link_end(link=link, at=at(150))
    named = dict(Session.objects.for_store(store).values_list("started_at", "customer"))
    assert named == {at(0): customer.pk, at(100): customer.pk, at(200): None}
    identity_unlink(link=link)
    named = dict(Session.objects.for_store(store).values_list("started_at", "customer"))
    # The first visit's own event names the customer: nobody has doubted what the shop said itself.
    assert named == {at(0): customer.pk, at(100): None, at(200): None}
