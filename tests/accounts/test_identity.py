from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.db import connection

from accounts.identifiers import is_forbidden_id
from accounts.models import Customer, IdentityLink, Visitor
from accounts.selectors.identity import customer_at, find_subjects, identity_map, subject_of, visitors_of
from accounts.services import (
    Identification,
    SeenVisitor,
    customers_get_or_create,
    identities_link,
    identity_end,
    identity_link,
    identity_unlink,
    visitor_get_or_create,
    visitors_get_or_create,
)
from tests.factories import CustomerFactory, StoreFactory, VisitorFactory

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def intervals(visitor: Visitor) -> list[tuple[str, datetime, datetime | None]]:
    links = (
        IdentityLink.objects.for_store(visitor.store_id)
        .filter(visitor=visitor, undone_at=None)
        .order_by("valid_from", "pk")
    )
    return [
        (link.customer.external_id, link.valid_from, link.valid_until)
        for link in links.select_related("customer")
    ]


def test_a_visitor_of_a_batch_is_made_once_and_freshened_later(django_assert_num_queries):
    store = StoreFactory()
    with connection.cursor() as cursor:
        first = visitors_get_or_create(
            cursor,
            store.pk,
            [
                SeenVisitor("b", NOON, NOON),
                SeenVisitor("a", NOON, NOON + HOUR, "DE", "mobile"),
                SeenVisitor("a", NOON - HOUR, NOON),
            ],
        )
        assert set(first) == {"a", "b"}
        with django_assert_num_queries(1), connection.cursor() as cursor:
            assert (
                visitors_get_or_create(
                    cursor, store.pk, [SeenVisitor("a", NOON, NOON), SeenVisitor("b", NOON, NOON)]
                )
                == first
            )
    with connection.cursor() as cursor:
        assert visitors_get_or_create(
            cursor, store.pk, [SeenVisitor("b", NOON, NOON + 2 * HOUR, is_bot=True)]
        ) == {"b": first["b"]}
    a, b = (Visitor.objects.for_store(store).get(anonymous_id=name) for name in "ab")
    assert (a.first_seen_at, a.last_seen_at, a.country, a.device, a.is_bot) == (
        NOON - HOUR,
        NOON + HOUR,
        "DE",
        "mobile",
        False,
    )
    assert (b.first_seen_at, b.last_seen_at, b.is_bot) == (NOON, NOON + 2 * HOUR, True)


def test_the_same_anonymous_id_in_two_stores_is_two_visitors():
    one, other = StoreFactory(), StoreFactory()
    assert (
        visitor_get_or_create(store=one, anonymous_id="x").pk
        != visitor_get_or_create(store=other, anonymous_id="x").pk
    )


@pytest.mark.parametrize(
    "value",
    [
        "",
        "null",
        " NULL ",
        "undefined",
        "guest",
        "anonymous",
        "0",
        "None",
        "[object Object]",
        '"null"',
        "x" * 201,
        "a\0b",
    ],
)
def test_ids_that_name_nobody_are_refused_and_nothing_is_stored(value):
    store = StoreFactory()
    assert is_forbidden_id(value)
    with pytest.raises(ValueError, match="anonymous id"):
        visitor_get_or_create(store=store, anonymous_id=value)
    with connection.cursor() as cursor, pytest.raises(ValueError, match="customer id"):
        customers_get_or_create(cursor, store.pk, ["fine", value])
    assert not Visitor.objects.for_store(store).exists()
    assert not Customer.objects.for_store(store).exists()


@pytest.mark.parametrize("value", ["00", "guest-17", "u1", "x" * 200, "Ünïcode"])
def test_ids_that_only_look_odd_are_taken(value):
    assert visitor_get_or_create(store=StoreFactory(), anonymous_id=value).anonymous_id == value


def test_customers_of_a_batch_are_found_or_made(django_assert_num_queries):
    store = StoreFactory()
    known = CustomerFactory(store=store, external_id="u1")
    with connection.cursor() as cursor:
        ids = customers_get_or_create(cursor, store.pk, ["u1", "u2", "u2"])
        assert ids["u1"] == known.pk
        assert set(ids) == {"u1", "u2"}
        with django_assert_num_queries(1), connection.cursor() as cursor:
            assert customers_get_or_create(cursor, store.pk, ["u2"]) == {"u2": ids["u2"]}
    made = Customer.objects.for_store(store).get(pk=ids["u2"])
    assert (made.external_id, made.interests, made.field_sources) == ("u2", [], {})


def test_a_second_customer_on_a_browser_ends_the_first_ones_link():
    store = StoreFactory()
    visitor = VisitorFactory(store=store)
    ann, ben = (
        CustomerFactory(store=store, external_id="ann"),
        CustomerFactory(store=store, external_id="ben"),
    )
    identity_link(store=store, visitor=visitor, customer=ann, at=NOON)
    identity_link(store=store, visitor=visitor, customer=ben, at=NOON + HOUR)
    assert intervals(visitor) == [("ann", NOON, NOON + HOUR), ("ben", NOON + HOUR, None)]
    assert customer_at(visitor, NOON + HOUR / 2) == ann
    assert customer_at(visitor, NOON + HOUR) == ben
    # Two people used this browser, so that nobody knows whose the time before was.
    assert customer_at(visitor, NOON - HOUR) is None
    assert visitors_of(ann, NOON + 2 * HOUR) == []
    assert visitors_of(ann) == [visitor]


def test_history_before_the_first_identification_belongs_to_an_only_customer():
    store = StoreFactory()
    visitor = VisitorFactory(store=store)
    ann = CustomerFactory(store=store)
    identity_link(store=store, visitor=visitor, customer=ann, at=NOON)
    assert customer_at(visitor, NOON - HOUR) == ann


def test_identifications_told_late_or_twice_end_in_the_same_intervals():
    """Ann at 12 and 14, Ben at 13: whatever the order they arrive in, the browser was Ann's, Ben's, Ann's."""
    store = StoreFactory()
    ann, ben = (
        CustomerFactory(store=store, external_id="ann"),
        CustomerFactory(store=store, external_id="ben"),
    )
    told = {"a": (ann, NOON), "b": (ben, NOON + HOUR), "c": (ann, NOON + 2 * HOUR)}
    expected = [
        ("ann", NOON, NOON + HOUR),
        ("ben", NOON + HOUR, NOON + 2 * HOUR),
        ("ann", NOON + 2 * HOUR, None),
    ]
    for order in ["abc", "cba", "bca", "acb", "aabbcc"]:
        visitor = VisitorFactory(store=store)
        for letter in order:
            customer, at = told[letter]
            identity_link(store=store, visitor=visitor, customer=customer, at=at)
        if order == "acb":
            # Ann's second word added nothing while Ben was unknown: his link then ran on until somebody spoke again.
            assert intervals(visitor) == [("ann", NOON, NOON + HOUR), ("ben", NOON + HOUR, None)]
        else:
            assert intervals(visitor) == expected, order


def test_a_batch_of_identifications_known_already_costs_one_query(django_assert_num_queries):
    store = StoreFactory()
    visitors = VisitorFactory.create_batch(3, store=store)
    customer = CustomerFactory(store=store)
    batch = [Identification(visitor.pk, customer.pk, NOON) for visitor in visitors]
    assert identities_link(store.pk, batch) == 3
    with django_assert_num_queries(3):  # savepoint, links, release
        assert identities_link(store.pk, batch) == 0


def test_a_link_taken_back_counts_for_nothing_and_stays_as_a_row():
    store = StoreFactory()
    visitor, customer = VisitorFactory(store=store), CustomerFactory(store=store)
    link = identity_link(store=store, visitor=visitor, customer=customer, at=NOON)
    identity_unlink(link=link)
    assert customer_at(visitor, NOON) is None
    assert visitors_of(customer) == []
    assert subject_of(customer).visitor_ids == ()
    assert IdentityLink.objects.for_store(store).filter(pk=link.pk, undone_at__isnull=False).exists()


def test_after_logging_out_the_browser_is_nobodys():
    store = StoreFactory()
    visitor, customer = VisitorFactory(store=store), CustomerFactory(store=store)
    identity_link(store=store, visitor=visitor, customer=customer, at=NOON)
    assert identity_end(store=store, visitor=visitor, at=NOON + HOUR) == 1
    assert customer_at(visitor, NOON + HOUR) is None
    assert customer_at(visitor, NOON + HOUR / 2) == customer


def test_linking_across_stores_is_refused():
    store = StoreFactory()
    with pytest.raises(ValueError, match="belong to the store"):
        identity_link(store=store, visitor=VisitorFactory(store=store), customer=CustomerFactory())
    assert not IdentityLink.all_stores.exists()


def test_the_map_resolves_as_the_single_question_does():
    store = StoreFactory()
    ann, ben = CustomerFactory(store=store), CustomerFactory(store=store)
    own, shared, lonely = VisitorFactory.create_batch(3, store=store)
    identity_link(store=store, visitor=own, customer=ann, at=NOON)
    identity_link(store=store, visitor=shared, customer=ann, at=NOON)
    identity_link(store=store, visitor=shared, customer=ben, at=NOON + HOUR)
    identity_end(store=store, visitor=shared, at=NOON + 2 * HOUR)
    visitors = [visitor for visitor in (own, shared, lonely) for _ in range(9)]
    moments = [NOON + step * HOUR / 2 for _ in range(3) for step in range(-2, 7)]
    resolved = identity_map(store).resolve(
        np.array([visitor.pk for visitor in visitors]), np.array([moment.timestamp() for moment in moments])
    )
    asked_one_by_one = [
        customer_at(visitor, moment) for visitor, moment in zip(visitors, moments, strict=True)
    ]
    assert resolved.tolist() == [customer.pk if customer else -1 for customer in asked_one_by_one]
    assert {-1, ann.pk, ben.pk} == set(resolved.tolist())


def test_the_map_of_a_store_without_links_knows_nobody():
    resolved = identity_map(StoreFactory()).resolve(np.array([1, 2]), np.array([0.0, 1.0]))
    assert resolved.tolist() == [-1, -1]


def test_a_subject_owns_its_devices_and_only_its_hours_of_a_shared_one():
    store = StoreFactory()
    ann, ben = CustomerFactory(store=store, external_id="ann"), CustomerFactory(store=store)
    own, shared = VisitorFactory(store=store), VisitorFactory(store=store)
    identity_link(store=store, visitor=own, customer=ann, at=NOON)
    identity_link(store=store, visitor=shared, customer=ann, at=NOON)
    identity_link(store=store, visitor=shared, customer=ben, at=NOON + HOUR)
    subject = subject_of(ann)
    assert subject.visitor_ids == (own.pk,)
    assert subject.anonymous_ids == (own.anonymous_id,)
    assert subject.user_ids == ("ann",)
    assert [(visit.visitor_id, visit.valid_from, visit.valid_until) for visit in subject.shared_visits] == [
        (shared.pk, NOON, NOON + HOUR)
    ]


def test_people_are_found_by_any_id():
    store = StoreFactory()
    ann = CustomerFactory(store=store, external_id="ann")
    own, lonely = VisitorFactory(store=store), VisitorFactory(store=store)
    identity_link(store=store, visitor=own, customer=ann, at=NOON)
    assert [subject.customer for subject in find_subjects(store, anonymous_id=own.anonymous_id)] == [ann]
    assert [subject.customer for subject in find_subjects(store, user_id="ann")] == [ann]
    assert [subject.visitor_ids for subject in find_subjects(store, anonymous_id=lonely.anonymous_id)] == [
        (lonely.pk,)
    ]
    assert find_subjects(StoreFactory(), user_id="ann") == []
