"""The log as arrays: only what may be used, purchases from confirmed orders, people over their devices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from accounts.models import Customer, Scope
from consent.purposes import OPTIONAL, Purpose
from profiles.events import INTERACTIONS
from profiles.reading import profile_for
from tests.tracking.conftest import make_key, order_completed, permit, viewed
from tracking.folding import fold_new_events
from tracking.ingestion.importing import ingest_messages
from tracking.selectors.interactions import number_sessions, read_interactions, stream_interactions

NOW = datetime.now(UTC)
T0 = NOW - timedelta(days=2)


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def view(minutes, product_id="p1", anonymous_id="anon-1", **fields):
    return viewed(product_id, anonymous_id, timestamp=at(minutes), **fields)


@pytest.fixture
def key(store):
    return make_key(store)[0]


def tell(store, key, *messages):
    ingest_messages(store, key, messages)
    fold_new_events(store)


def rows(interactions):
    """(subject, session, product, event, basket), in their order."""
    return [
        (int(s), int(v), interactions.products[p], INTERACTIONS[e], int(b))
        for s, v, p, e, b in zip(
            interactions.subject,
            interactions.session,
            interactions.product,
            interactions.event,
            interactions.basket,
            strict=True,
        )
    ]


def test_one_shopper_by_hand(store, key):
    tell(store, key, view(0, "b"), view(5, "a"), view(100, "b"), order_completed(timestamp=at(101)))
    interactions = read_interactions(store)
    assert interactions.products == ["a", "b", "p2"]
    assert rows(interactions) == [
        (0, 0, "b", "Product Viewed", -1),
        (0, 0, "a", "Product Viewed", -1),
        (0, 1, "b", "Product Viewed", -1),
        (0, 1, "p2", "Order Completed", 0),
    ]
    assert interactions.quantity.tolist() == [1, 1, 1, 2]
    assert interactions.occurred_at[0] == pytest.approx(at(0).timestamp())
    assert interactions.subject_visitor.tolist() == [interactions.visitor[0]]
    dtypes = {
        name: getattr(interactions, name).dtype
        for name in ("subject", "session", "product", "event", "basket")
    }
    assert dtypes == {
        "subject": np.int32,
        "session": np.int32,
        "product": np.int32,
        "event": np.int8,
        "basket": np.int32,
    }


def test_a_customer_is_one_person_on_all_of_their_devices(store, key):
    def identify(anonymous_id, minutes):
        return {"type": "identify", "userId": "u1", "anonymousId": anonymous_id, "timestamp": at(minutes)}

    tell(
        store, key, view(0, "a", "phone"), identify("phone", 1), view(500, "b", "laptop"), identify("laptop", 501),
        view(900, "c", "stranger"), viewed("d", None, userId="u1", timestamp=at(950)),
    )  # fmt: skip
    interactions = read_interactions(store)
    customer = Customer.objects.for_store(store).get()
    assert interactions.n_subjects == 2
    person = interactions.subject_customer.tolist().index(customer.pk)
    assert [product for subject, _, product, _, _ in rows(interactions) if subject == person] == [
        "a",
        "b",
        "d",
    ]


def test_on_a_shared_device_everybody_has_their_own(store, key):
    def identify(user_id, minutes):
        return {"type": "identify", "userId": user_id, "anonymousId": "anon-1", "timestamp": at(minutes)}

    tell(store, key, identify("u1", 0), view(1, "a"), identify("u2", 10), view(11, "b"))
    assert read_interactions(store).n_subjects == 2


def test_what_counts_is_confirmed_and_counted_once(store, key):
    browser, _ = make_key(store, Scope.WRITE_PUBLIC)
    tell(
        store,
        browser,
        order_completed("o1", timestamp=at(0)),
        order_completed("only-told-by-a-browser", timestamp=at(0)),
    )
    tell(store, key, order_completed("o1", timestamp=at(1)))
    tell(
        store,
        key,
        order_completed("gone", timestamp=at(2)),
        order_completed("gone", event="Order Cancelled", timestamp=at(3)),
    )
    assert [(event, basket) for _, _, _, event, basket in rows(read_interactions(store))] == [
        ("Order Completed", 0)
    ]


def test_an_unknown_buyer_is_somebody(store, key):
    tell(
        store, key, order_completed("o1", None, timestamp=at(0)), order_completed("o2", None, timestamp=at(1)), view(2, "a", None),
    )  # fmt: skip
    interactions = read_interactions(store)
    assert interactions.n_subjects == 2
    assert interactions.subject_customer.tolist() == interactions.subject_visitor.tolist() == [0, 0]
    assert sorted(interactions.basket.tolist()) == [0, 1]
    assert sum(len(chunk) for chunk in stream_interactions(store)) == 3


class TestWhatMayNotBeUsed:
    def test_robots(self, store, key):
        tell(store, key, view(0, context={"userAgent": "Googlebot/2.1 (+http://www.google.com/bot.html)"}))
        assert len(read_interactions(store)) == 0

    def test_what_was_permitted_for_something_else(self, store):
        key, _ = make_key(store, declared_purposes=["analytics"])
        tell(store, key, view(0), order_completed(timestamp=at(1)))
        assert len(read_interactions(store)) == 0
        assert len(read_interactions(store, permitted_for=Purpose.ANALYTICS)) == 2

    def test_who_has_said_no_since(self, store, key):
        tell(store, key, view(0), view(0, anonymous_id="anon-2"), order_completed(timestamp=at(1)))
        permit(store, "anon-1", Purpose(0))
        assert [product for _, _, product, _, _ in rows(read_interactions(store))] == ["p1"]
        permit(store, "anon-1", OPTIONAL)
        assert len(read_interactions(store)) == 3

    @pytest.mark.parametrize("flag", ["has_objected_to_profiling", "is_processing_restricted"])
    def test_who_objected_or_is_frozen(self, store, key, flag):
        tell(store, key, viewed("p1", None, userId="u1", timestamp=at(0)), view(0, "p2"))
        Customer.objects.for_store(store).update(**{flag: True})
        assert [product for _, _, product, _, _ in rows(read_interactions(store))] == ["p2"]

    def test_what_is_older_than_its_term(self, store, key):
        tell(store, key, viewed("old", timestamp=NOW - timedelta(days=500)), view(0, "new"))
        assert read_interactions(store).products == ["new"]


def test_only_the_asked_window(store, key):
    tell(store, key, view(0, "a"), view(10, "b"), view(20, "c"))
    assert read_interactions(store, since=at(10), until=at(20)).products == ["b"]


def test_an_empty_log(store):
    interactions = read_interactions(store)
    assert (len(interactions), interactions.n_subjects, interactions.products) == (0, 0, [])


def test_chunks_share_their_vocabulary(store, key):
    tell(store, key, *[view(n, f"p{n % 7}") for n in range(50)])
    chunks = list(stream_interactions(store, chunk_rows=8))
    assert [len(chunk) for chunk in chunks] == [8] * 6 + [2]
    read = [chunks[-1].products[code] for chunk in chunks for code in chunk.product]
    assert sorted(read) == sorted(f"p{n % 7}" for n in range(50))


def test_product_ids_with_commas_quotes_and_letters_of_all_kinds(store, key):
    names = ['a,b"c', "çé漢字", "'; --", " spaced ", "\\N", "NULL"]
    tell(store, key, *[view(n, name) for n, name in enumerate(names)])
    assert read_interactions(store).products == sorted(name.strip() for name in names)


def test_serving_and_training_see_the_same(store, key):
    """The profile of a shopper and their rows in the arrays are two readings of one log."""
    tell(
        store, key, view(0, "a"), view(3, "b"), view(4, "a", event="Product Added", properties={"product_id": "a", "quantity": 3}),
        view(5, "c", event="Recommendation Clicked"), view(6, "d", event="Product Removed"), order_completed(timestamp=at(7)),
    )  # fmt: skip
    interactions = read_interactions(store)
    profile = profile_for(store, visitor=int(interactions.visitor[0]))
    assert [(i.product_id, i.name, i.quantity) for i in profile.interactions] == [
        (interactions.products[product], INTERACTIONS[event], quantity)
        for product, event, quantity in zip(
            interactions.product, interactions.event, interactions.quantity, strict=True
        )
    ]


@pytest.mark.parametrize(
    "subject, minutes, expected",
    [
        ([], [], []),
        ([0, 0, 0], [0, 30, 60.1], [0, 0, 1]),
        ([0, 0, 1], [0, 1, 2], [0, 0, 1]),
        # Every 25 minutes for 25 hours: the 59th event (1450) is past 24 hours.
        ([0] * 61, [25 * n for n in range(61)], [0] * 58 + [1] * 3),
    ],
)
def test_visits_are_numbered(subject, minutes, expected):
    numbers = number_sessions(np.array(subject, np.int32), np.array(minutes, float) * 60)
    assert numbers.tolist() == expected
