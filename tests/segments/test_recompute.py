from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts import shopper_changes
from accounts.models import Customer
from accounts.selectors.identity import subject_of, subject_of_visitor
from segments import caches, privacy
from segments.clusters import find_clusters, match_to_earlier, unique_names, words_of
from segments.feature_table import feature_table
from segments.models import ClusterModel, Segment, SegmentMembership
from segments.rules import InvalidRules
from segments.selectors import count_members, segments_of
from segments.selectors.as_of import as_of
from segments.selectors.sizes import forget_tables
from segments.services import default_segments_create, segment_recompute, segment_save, segments_recompute
from tests.factories import CustomerFactory, StoreFactory, VisitorFactory
from tests.segments.log import NOW, ago, decide, event, order
from tracking.models import Order

pytestmark = pytest.mark.django_db


@pytest.fixture
def store():
    forget_tables()
    store = StoreFactory()
    caches.forget(store.pk)
    return store


def slugs(segments) -> list[str]:
    return [segment.slug for segment in segments]


def buyer(store, **values) -> Customer:
    return CustomerFactory(store=store, **values)


def make_segment(store, rules, slug="test", **values) -> Segment:
    return segment_save(segment=Segment(store=store, slug=slug, name=slug, rules=rules, **values))


def test_a_store_starts_with_the_usual_segments_once(store):
    assert len(default_segments_create(store=store)) == 11
    Segment.objects.for_store(store).filter(slug="vip").update(name="Our best")
    assert default_segments_create(store=store) == []
    assert Segment.objects.for_store(store).get(slug="vip").name == "Our best"


def test_shoppers_fall_into_the_usual_segments(store):
    """Five buyers of rising value: the fifth is the top quintile of money, and has three orders."""
    default_segments_create(store=store)
    for rank in range(4):
        order(store, customer=buyer(store), days=3, total=1000 * (rank + 1))
    vip = buyer(store, loyalty_status="gold")
    for days in (3, 23, 43):
        order(store, customer=vip, days=days, total=9000)
    newcomer = VisitorFactory(store=store, first_seen_at=ago(1), device="mobile")
    event(store, visitor=newcomer)
    abandoner = VisitorFactory(store=store, first_seen_at=ago(40))
    event(store, "Product Added", visitor=abandoner, days=3)
    segments_recompute(store=store, now=NOW)
    assert slugs(segments_of(store, customer=vip)) == ["vip", "active-customers", "loyalty-members"]
    assert slugs(segments_of(store, visitor=newcomer)) == ["new-visitors", "mobile-shoppers"]
    assert slugs(segments_of(store, visitor=abandoner)) == ["cart-abandoners", "window-shoppers"]
    sizes = dict(Segment.objects.for_store(store).values_list("slug", "member_count"))
    assert (sizes["vip"], sizes["new-visitors"], sizes["cart-abandoners"], sizes["churned"]) == (1, 5, 1, 0)


def test_recomputing_replaces_members_and_keeps_since(store):
    segment = make_segment(store, {"field": "orders_30d", "operator": "gte", "value": 1})
    stays, leaves = buyer(store), buyer(store)
    order(store, customer=stays, days=1)
    order(store, customer=leaves, days=29)
    first = segments_recompute(store=store, now=NOW)
    assert first.sizes == {"test": 2}
    joins = buyer(store)
    order(store, customer=joins, days=0)
    later = NOW + timedelta(days=3)
    segments_recompute(store=store, now=later)
    rows = {row.customer_id: row.since for row in SegmentMembership.objects.for_store(store)}
    assert rows == {stays.pk: NOW, joins.pk: later}
    segment.refresh_from_db()
    assert (segment.member_count, segment.computed_at) == (2, later)


def test_recomputing_twice_changes_nothing(store):
    default_segments_create(store=store)
    for days in range(1, 8):
        order(store, customer=buyer(store), days=days)
    segments_recompute(store=store, now=NOW)
    before = sorted(
        SegmentMembership.objects.for_store(store).values_list("pk", "segment_id", "customer_id", "since")
    )
    segments_recompute(store=store, now=NOW)
    assert (
        sorted(
            SegmentMembership.objects.for_store(store).values_list("pk", "segment_id", "customer_id", "since")
        )
        == before
    )
    assert before


def test_a_failure_leaves_the_old_memberships(store, monkeypatch):
    make_segment(store, {"field": "orders_30d", "operator": "gte", "value": 1})
    order(store, customer=buyer(store))
    segments_recompute(store=store, now=NOW)
    order(store, customer=buyer(store))
    monkeypatch.setattr(
        "segments.services.memberships._INSERT", "SELECT 1 / 0 WHERE %s IS NOT NULL AND %s IS NOT NULL"
    )
    with pytest.raises(Exception, match="division by zero"):
        segments_recompute(store=store, now=NOW)
    assert SegmentMembership.objects.for_store(store).count() == 1


def test_an_inactive_segment_has_no_members(store):
    segment = make_segment(store, {"field": "orders_30d", "operator": "gte", "value": 1})
    customer = buyer(store)
    order(store, customer=customer)
    assert segment_recompute(segment=segment, now=NOW) == 1
    segment.is_active = False
    segment_save(segment=segment)
    assert segments_of(store, customer=customer) == []
    assert segment_recompute(segment=segment, now=NOW) == 0


def test_who_withdraws_is_out_at_the_next_computation(store):
    make_segment(store, {"field": "sessions_30d", "operator": "gte", "value": 1})
    visitor = VisitorFactory(store=store)
    event(store, visitor=visitor)
    segments_recompute(store=store, now=NOW)
    assert slugs(segments_of(store, visitor=visitor)) == ["test"]
    decide(store, f"v:{visitor.anonymous_id}", 1)
    segments_recompute(store=store, now=NOW)
    assert not SegmentMembership.objects.for_store(store).exists()


@pytest.mark.parametrize("way", ["decision", "objection", "restriction", "pause", "browser"])
def test_who_says_no_is_out_at_once(store, way, django_capture_on_commit_callbacks):
    make_segment(store, {"field": "days_since_seen", "operator": "lte", "value": 30})
    visitor, customer, other = VisitorFactory(store=store), buyer(store, external_id="ann"), buyer(store)
    for who in ({"visitor": visitor}, {"customer": customer}, {"customer": other}):
        event(store, **who)
    segments_recompute(store=store, now=NOW)
    if way == "decision":
        decide(store, "c:ann", 3)
    elif way == "browser":
        decide(store, f"v:{visitor.anonymous_id}", 3)
    else:
        flag = {"objection": "has_objected_to_profiling", "restriction": "is_processing_restricted"}.get(
            way, "is_personalisation_paused"
        )
        Customer.objects.for_store(store).filter(pk=customer.pk).update(**{flag: True})
    with django_capture_on_commit_callbacks(execute=True):
        shopper_changes.changed(
            store.pk, anonymous_ids=[visitor.anonymous_id], customer_ids=["ann", other.external_id]
        )
    left = SegmentMembership.objects.for_store(store)
    gone = visitor if way == "browser" else customer
    kept = {visitor, customer, other} - {gone}
    assert {row.customer or row.visitor for row in left} == kept
    assert Segment.objects.for_store(store).get().member_count == 2


def test_one_stores_computation_leaves_the_other_alone(store):
    other = StoreFactory()
    for shop in (store, other):
        make_segment(shop, {"field": "orders_30d", "operator": "gte", "value": 1})
        order(shop, customer=CustomerFactory(store=shop))
    segments_recompute(store=store, now=NOW)
    assert SegmentMembership.objects.for_store(store).count() == 1
    assert not SegmentMembership.objects.for_store(other).exists()


def test_bad_rules_are_refused_and_nothing_is_stored(store):
    with pytest.raises(ValidationError) as caught:
        make_segment(store, {"all": [{"field": "shoe_size", "operator": "gt", "value": 1}]})
    assert "all[0].field" in caught.value.message_dict["rules"][0]
    assert not Segment.objects.for_store(store).exists()


def test_a_segment_may_not_take_an_address_of_the_interface(store):
    with pytest.raises(ValidationError, match="of-shopper"):
        make_segment(store, {"field": "orders_30d", "operator": "gte", "value": 1}, slug="of-shopper")


@pytest.mark.parametrize("rules", [{}, [], {"all": []}, {"field": "gone", "operator": "eq", "value": 1}])
def test_rules_that_cannot_be_read_have_no_members_and_hold_nobody_up(store, rules):
    Segment.objects.create(store=store, slug="broken", name="Broken", rules=rules)
    make_segment(store, {"field": "sessions_30d", "operator": "gte", "value": 1})
    visitor = VisitorFactory(store=store)
    event(store, visitor=visitor)
    assert slugs(segments_of(store, visitor=VisitorFactory(store=store))) == ["test"]
    assert segments_recompute(store=store, now=NOW).sizes == {"broken": 0, "test": 1}
    assert slugs(segments_of(store, visitor=visitor)) == ["test"]


def test_segments_of_is_one_query(store, django_assert_num_queries):
    make_segment(store, {"field": "sessions_30d", "operator": "gte", "value": 1})
    visitor = VisitorFactory(store=store)
    event(store, visitor=visitor)
    segments_recompute(store=store, now=NOW)
    with django_assert_num_queries(1):
        assert slugs(segments_of(store, visitor=visitor)) == ["test"]


def test_a_browser_that_came_since_is_a_newcomer(store):
    default_segments_create(store=store)
    segments_recompute(store=store, now=NOW)
    just_come = VisitorFactory(store=store, first_seen_at=NOW + timedelta(minutes=5))
    assert slugs(segments_of(store, visitor=just_come)) == ["new-visitors"]
    known_and_in_none = VisitorFactory(store=store, first_seen_at=ago(30))
    assert segments_of(store, visitor=known_and_in_none) == []
    assert segments_of(store) == []


def test_rules_are_counted_before_they_are_saved(store):
    for _ in range(2):
        order(store, customer=buyer(store))
    Order.objects.for_store(store).update(placed_at=timezone.now())
    assert count_members(store, {"field": "orders_30d", "operator": "gte", "value": 1}) == 2
    assert count_members(store, {"field": "orders_30d", "operator": "gte", "value": 2}) == 0
    with pytest.raises(InvalidRules):
        count_members(store, {})
    assert not Segment.objects.for_store(store).exists()


def test_a_history_is_judged_at_its_end_and_an_open_shop_now(store):
    """The log ends on 1 June 2026, one day after the last order; half a year later it is still a history as of then."""
    order(store, customer=buyer(store), days=1)
    assert as_of(store, NOW) == NOW
    assert as_of(store, NOW + timedelta(days=29)) == NOW + timedelta(days=29)
    assert as_of(store, NOW + timedelta(days=180)) == ago(1)
    assert as_of(StoreFactory(), NOW) == NOW
    with time_machine.travel(NOW + timedelta(days=180), tick=False):
        make_segment(store, {"field": "orders_30d", "operator": "gte", "value": 1})
        report = segments_recompute(store=store)
        assert (report.as_of, report.sizes) == (ago(1), {"test": 1})
        assert SegmentMembership.objects.for_store(store).get().since == NOW + timedelta(days=180)


def three_kinds_of_shoppers(store) -> None:
    """40 who buy every ten days for 200, 40 who look and never buy, 40 who bought once for 5 long ago."""
    for number in range(40):
        regular = buyer(store)
        for days in range(1, 90, 10):
            order(store, customer=regular, days=days + number / 100, total=20000 + 10 * number)
        looker = VisitorFactory(store=store, first_seen_at=ago(80))
        for days in range(1, 60, 10):
            event(store, visitor=looker, days=days + number / 100)
        order(store, customer=buyer(store), days=300 + number / 100, total=500)


def test_clusters_tell_three_kinds_of_shoppers_apart(store):
    three_kinds_of_shoppers(store)
    report = segments_recompute(store=store, now=NOW)
    clusters = Segment.objects.for_store(store).filter(kind=Segment.Kind.CLUSTER)
    assert report.silhouette > 0.7
    assert sorted(report.sizes.values()) == [40, 40, 40]
    kinds = {
        cluster.slug: {
            bool(row.customer_id)
            for row in SegmentMembership.objects.for_store(store).filter(segment=cluster)
        }
        for cluster in clusters
    }
    assert all(len(kind) == 1 for kind in kinds.values()), "no cluster mixes buyers and lookers"
    assert all(cluster.name and cluster.description for cluster in clusters)
    assert SegmentMembership.objects.for_store(store).filter(score__isnull=False).count() == 120


def test_a_cluster_keeps_its_slug_from_one_computation_to_the_next(store):
    three_kinds_of_shoppers(store)
    segments_recompute(store=store, now=NOW)
    before = {
        row.customer_id or -row.visitor_id: row.segment.slug
        for row in SegmentMembership.objects.for_store(store).select_related("segment")
    }
    order(store, customer=buyer(store), days=2, total=21000)
    segments_recompute(store=store, now=NOW + timedelta(hours=1))
    after = {
        row.customer_id or -row.visitor_id: row.segment.slug
        for row in SegmentMembership.objects.for_store(store).select_related("segment")
    }
    kept = sum(after[shopper] == slug for shopper, slug in before.items())
    assert kept / len(before) > 0.9
    assert ClusterModel.objects.for_store(store).count() == 2


def test_too_few_shoppers_have_no_clusters_and_earlier_ones_end(store):
    three_kinds_of_shoppers(store)
    segments_recompute(store=store, now=NOW)
    assert Segment.objects.for_store(store).filter(kind=Segment.Kind.CLUSTER, is_active=True).exists()
    Customer.objects.for_store(store).update(has_objected_to_profiling=True)
    report = segments_recompute(store=store, now=NOW)
    assert report.silhouette is None
    ended = Segment.objects.for_store(store).filter(kind=Segment.Kind.CLUSTER)
    assert not ended.filter(is_active=True).exists()
    assert not SegmentMembership.objects.for_store(store).exists()


def test_the_same_shoppers_give_the_same_clusters(store):
    three_kinds_of_shoppers(store)
    table = feature_table(store, NOW)
    one, other = find_clusters(table, seed=1), find_clusters(table, seed=1)
    assert [cluster.centre for cluster in one.clusters] == [cluster.centre for cluster in other.clusters]
    same = match_to_earlier(one, {f"cluster-{n}": cluster.centre for n, cluster in enumerate(other.clusters)})
    assert same == {n: f"cluster-{n}" for n in range(len(one.clusters))}


def test_a_centre_in_words():
    centre = np.zeros(9)
    assert words_of(centre) == "Average shoppers"
    centre[1], centre[2], centre[4] = 1.5, 2.0, 0.5  # orders, revenue, sessions
    assert words_of(centre) == "Big spenders, frequent buyers"
    assert unique_names(["A", "B", "A"]) == ["A", "B", "A (2)"]


def test_export_and_erasure_of_a_persons_segments(store):
    segment = make_segment(store, {"field": "orders_30d", "operator": "gte", "value": 1})
    customer, other = buyer(store), buyer(store)
    order(store, customer=customer)
    order(store, customer=other)
    segments_recompute(store=store, now=NOW)
    (table,) = privacy.export(subject_of(customer))
    assert [(row["segment"], row["since"], row["rules"]) for row in table.rows] == [
        ("test", NOW, "Orders, last 30 days is at least 1")
    ]
    report = privacy.erase(subject_of(customer))
    assert report.deleted == {"segment memberships": 1}
    assert [row.customer for row in SegmentMembership.objects.for_store(store)] == [other]
    segment.refresh_from_db()
    assert segment.member_count == 1
    assert privacy.erase(subject_of(customer)).deleted == {"segment memberships": 0}
    assert privacy.erase(subject_of_visitor(VisitorFactory(store=store))).deleted == {
        "segment memberships": 0
    }


def test_the_command_computes_and_reports(store, capsys):
    import json

    call_command("recompute_segments", store=[store.slug], json=True)
    report = json.loads(capsys.readouterr().out)
    assert report["store"] == store.slug
    assert report["sizes"]["vip"] == 0
    with pytest.raises(CommandError, match="nowhere"):
        call_command("recompute_segments", store=["nowhere"])
