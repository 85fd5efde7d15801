"""The fold, by hand and by properties: a function of the set of events."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.events import PROFILE_EVENTS, RecentEvent, recent_event
from profiles.fold import Folding, fold

MINUTE = 60.0
T0 = 1_777_000_000.0


def event(name, *products, minute=0.0, text="", event_id=None, customer_id=None):
    pairs = tuple(product if isinstance(product, tuple) else (product, 1.0) for product in products)
    key = event_id or f"{name} {pairs} {minute} {text}"
    return RecentEvent(key, PROFILE_EVENTS.index(name), customer_id, pairs, text, T0 + minute * MINUTE)


def at(minute):
    return T0 + minute * MINUTE


def test_nobody():
    profile = fold([], T0)
    assert profile.is_empty
    assert (profile.interactions, profile.session_start, dict(profile.cart), profile.last_event_at) == (
        (),
        0,
        {},
        None,
    )


def test_interactions_come_oldest_first_and_searches_are_none():
    profile = fold(
        [
            event("Product Viewed", "b", minute=2),
            event("Products Searched", minute=1, text="tent"),
            event("Product Viewed", "a", minute=0),
        ],
        at(3),
    )
    assert [(i.product_id, i.occurred_at) for i in profile.interactions] == [("a", at(0)), ("b", at(2))]
    assert (profile.event_count, profile.last_event_at) == (3, at(2))


def test_the_future_does_not_count_yet():
    assert fold([event("Product Viewed", "a", minute=10)], at(9)).is_empty


@pytest.mark.parametrize(
    "minutes, now, start",
    [
        ([0, 10, 20], 25, 0),  # one chain up to now
        ([0, 40, 60], 70, 1),  # a gap of 40 minutes before the last two
        ([0, 10], 41, 2),  # nothing in the last 30 minutes: no session is open
        ([0, 10], 40, 0),  # exactly 30 minutes still are
        ([], 0, 0),
    ],
)
def test_where_the_open_session_begins(minutes, now, start):
    events = [event("Product Viewed", f"p{minute}", minute=minute) for minute in minutes]
    assert fold(events, at(now)).session_start == start


def test_a_search_keeps_a_session_open():
    events = [
        event("Product Viewed", "a", minute=0),
        event("Products Searched", minute=25, text="tent"),
        event("Product Viewed", "b", minute=50),
    ]
    assert fold(events, at(51)).session_start == 0


class TestCart:
    def test_adds_and_removes(self):
        profile = fold(
            [
                event("Product Added", ("tent", 1.0), minute=0),
                event("Product Added", ("peg", 10.0), minute=1),
                event("Product Removed", ("peg", 4.0), minute=2),
                event("Product Added", ("tent", 1.0), minute=3),
                event("Product Removed", ("mug", 1.0), minute=4),
            ],
            at(5),
        )
        assert list(profile.cart.items()) == [("peg", 6.0), ("tent", 2.0)]

    def test_the_cart_page_says_what_is_in_it(self):
        events = [event("Product Added", "tent", minute=0), event("Cart Viewed", ("mug", 2.0), minute=1)]
        assert dict(fold(events, at(2)).cart) == {"mug": 2.0}

    def test_an_order_empties_it(self):
        events = [
            event("Product Added", "tent", minute=0),
            event("Order Completed", "tent", minute=1, text="o1"),
        ]
        assert dict(fold(events, at(2)).cart) == {}


class TestPurchases:
    def test_are_remembered_by_their_last_time(self):
        events = [
            event("Order Completed", "tent", "peg", minute=0, text="o1"),
            event("Order Completed", "peg", minute=9, text="o2"),
        ]
        assert dict(fold(events, at(10)).purchased) == {"tent": at(0), "peg": at(9)}

    @pytest.mark.parametrize("name", ["Order Cancelled", "Order Refunded"])
    def test_that_were_undone_are_none(self, name):
        events = [event("Order Completed", "tent", minute=0, text="o1"), event(name, minute=1, text="o1")]
        assert dict(fold(events, at(2)).purchased) == {}

    def test_of_which_a_line_came_back_still_are(self):
        events = [
            event("Order Completed", "tent", "peg", minute=0, text="o1"),
            event("Order Refunded", "peg", minute=1, text="o1"),
        ]
        assert set(fold(events, at(2)).purchased) == {"tent", "peg"}

    def test_told_twice_are_one(self):
        events = [
            event("Order Completed", "tent", minute=0, text="o1", event_id="browser"),
            event("Order Completed", "tent", minute=1, text="o1", event_id="server"),
        ]
        assert len(fold(events, at(2)).interactions) == 1


def test_wishlist_searches_and_categories_newest_first():
    profile = fold(
        [
            event("Product Added to Wishlist", "a", minute=0),
            event("Product Added to Wishlist", "b", minute=1),
            event("Product Removed from Wishlist", "a", minute=2),
            event("Products Searched", minute=3, text="tent"),
            event("Products Searched", minute=4, text="mug"),
            event("Products Searched", minute=5, text="tent"),
            event("Product List Viewed", minute=6, text="camping/tents"),
        ],
        at(7),
    )
    assert (profile.wishlist, profile.searches, profile.categories) == (
        ("b",),
        ("tent", "mug"),
        ("camping/tents",),
    )


events_of_a_shopper = st.lists(
    st.builds(
        RecentEvent,
        event_id=st.integers(0, 30).map(str),
        code=st.integers(0, len(PROFILE_EVENTS) - 1),
        customer_id=st.none(),
        products=st.lists(st.tuples(st.sampled_from("abcd"), st.floats(1, 5)), max_size=2).map(tuple),
        text=st.sampled_from(["", "o1", "o2"]),
        occurred_at=st.integers(0, 7200).map(lambda second: T0 + second),
    ),
    max_size=25,
    unique_by=lambda event: event.event_id,
)


@given(events_of_a_shopper, st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter(events, rng: random.Random):
    shuffled = rng.sample(events, len(events))
    assert fold(shuffled, at(130)) == fold(events, at(130))


@given(events_of_a_shopper)
def test_an_event_that_is_told_twice_counts_once(events):
    assert fold([*events, *events], at(130)) == fold(events, at(130))


@given(events_of_a_shopper)
def test_a_profile_is_sound(events):
    profile = fold(events, at(130))
    times = [interaction.occurred_at for interaction in profile.interactions]
    assert times == sorted(times)
    assert 0 <= profile.session_start <= len(times)
    assert all(quantity > 0 for quantity in profile.cart.values())
    assert len(set(profile.searches)) == len(profile.searches)


@given(events_of_a_shopper, st.integers(0, 7200), st.integers(0, 240))
def test_what_is_taken_on_is_what_is_folded_together(events, second, minute):
    """Wherever the events are cut, and whenever the profile is asked for; where it cannot be taken on, it says so."""
    now = max(at(minute), at(120))
    events.sort(key=lambda event: (event.occurred_at, event.event_id))
    first = [event for event in events if event.occurred_at <= T0 + second]
    later = [event for event in events if event.occurred_at > T0 + second]
    taken_on = Folding.of(first, now).after(later, now)
    if taken_on is not None:
        assert taken_on == Folding.of(events, now)
        assert taken_on.at(now) == fold(events, now)


class TestTakingOn:
    def first(self):
        return Folding.of(
            [event("Product Added", "a", minute=0), event("Product Viewed", "b", minute=5)], at(5)
        )

    def test_looks_are_added(self):
        later = [event("Product Clicked", "c", minute=20), event("Product Viewed", "c", minute=80)]
        profile = self.first().after(later, at(81)).at(at(81))
        assert [i.product_id for i in profile.interactions] == ["a", "b", "c", "c"]
        assert (profile.session_start, profile.cart, profile.event_count) == (3, {"a": 1.0}, 4)

    @pytest.mark.parametrize(
        "later",
        [
            event("Product Added", "c", minute=6),  # changes the cart
            event("Product Viewed", "c", minute=5),  # as late as what is known
            event("Product Viewed", "c", minute=9),  # still to come
            event("Product Viewed", "b", minute=6, event_id="Product Viewed (('b', 1.0),) 5 "),  # known
        ],
    )
    def test_all_else_is_folded_anew(self, later):
        assert self.first().after([later], at(8)) is None

    def test_a_visit_ends_without_an_event(self):
        assert [self.first().at(at(minute)).session_start for minute in (35, 36)] == [0, 2]


class TestFromTheLog:
    def make(self, name, product_id="", **properties):
        return recent_event(
            message_id="m",
            name=name,
            product_id=product_id,
            properties=properties,
            occurred_at=T0,
            customer_id=3,
        )

    def test_a_view(self):
        made = self.make("Product Viewed", "tent", quantity="2")
        assert (made.name, made.products, made.customer_id, made.occurred_at) == (
            "Product Viewed",
            (("tent", 2.0),),
            3,
            T0,
        )

    def test_an_order_has_its_lines_and_its_id(self):
        made = self.make(
            "Order Completed", order_id=7, products=[{"product_id": "a", "quantity": 2}, {"sku": "b"}, {}, 5]
        )
        assert (made.products, made.text) == ((("a", 2.0), ("b", 1.0)), "7")

    def test_a_search_has_its_words_and_no_products(self):
        made = self.make("Products Searched", query="tent", products=[{"product_id": "a"}])
        assert (made.products, made.text) == ((), "tent")

    @pytest.mark.parametrize("name", ["Checkout Started", "Recommendation Viewed", "Anything Else", ""])
    def test_other_events_say_nothing(self, name):
        assert self.make(name, "tent") is None

    def test_the_same_message_is_the_same_event(self):
        assert self.make("Product Viewed", "a").event_id == self.make("Product Viewed", "b").event_id
