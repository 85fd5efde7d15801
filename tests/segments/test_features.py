"""Features, worked by hand."""

from __future__ import annotations

import pytest

from accounts.services import identity_link
from segments.feature_table import feature_table
from segments.features import FEATURES
from tests.factories import CategoryFactory, CustomerFactory, ProductFactory, StoreFactory, VisitorFactory
from tests.segments.log import NOW, ago, decide, event, order
from tracking.models import Order

pytestmark = pytest.mark.django_db


@pytest.fixture
def store():
    return StoreFactory()


def features_of(store, customer=None, visitor=None):
    """The one row of this shopper; None where they are not in the table."""
    table = feature_table(store, NOW)
    ids, wanted = (table.customer, customer.pk) if customer else (table.visitor, visitor.pk)
    positions = [position for position, known in enumerate(ids) if known == wanted]
    assert len(positions) <= 1
    return table.row(positions[0]) if positions else None


def test_every_feature_is_computed_and_no_other(store):
    CustomerFactory(store=store)
    event(store, visitor=VisitorFactory(store=store))
    assert set(feature_table(store, NOW).columns) == set(FEATURES)


def test_an_empty_store_has_an_empty_table(store):
    table = feature_table(store, NOW)
    assert table.n == 0
    assert set(table.columns) == set(FEATURES)


def test_orders_in_their_windows_refunds_deducted(store):
    """Orders 10, 50 and 200 days ago of 20.00, 30.00 (5.00 of it refunded) and 40.00: gap (200 - 10) / 2 = 95 days."""
    customer = CustomerFactory(store=store)
    order(store, customer=customer, days=10, total=2000, coupon="SUMMER")
    order(store, customer=customer, days=50, total=3000, refunded=500, status=Order.Status.PARTLY_REFUNDED)
    order(store, customer=customer, days=200, total=4000)
    row = features_of(store, customer)
    assert (row["orders_30d"], row["orders_90d"], row["orders_365d"], row["orders_total"]) == (1, 2, 3, 3)
    assert (row["revenue_30d"], row["revenue_90d"], row["revenue_365d"]) == (20.0, 45.0, 85.0)
    assert row["average_order_value"] == pytest.approx(85 / 3, abs=1e-4)
    assert row["days_since_order"] == 10
    assert row["order_gap_days"] == 95
    assert row["coupon_order_share"] == pytest.approx(1 / 3, abs=1e-4)


@pytest.mark.parametrize(
    "values",
    [
        {"status": Order.Status.UNCONFIRMED},
        {"status": Order.Status.CANCELLED},
        {"status": Order.Status.REFUNDED},
        {"is_blocked": True},
        {"purposes": 3},
        {"days": -1},
    ],
)
def test_what_is_no_permitted_order_does_not_count(store, values):
    customer = CustomerFactory(store=store)
    order(store, customer=customer, days=5)
    order(store, customer=customer, **{"days": 2, **values})
    assert features_of(store, customer)["orders_total"] == 1


def test_an_order_of_a_browser_counts_for_the_customer_it_was_linked_to(store):
    customer, visitor = CustomerFactory(store=store), VisitorFactory(store=store)
    order(store, visitor=visitor, days=3)
    identity_link(store=store, visitor=visitor, customer=customer, at=ago(2))
    assert features_of(store, customer)["orders_total"] == 1
    assert features_of(store, visitor=visitor) is None


def test_visits_split_at_thirty_minutes(store):
    """Views at 0, 10, 20 minutes, then 31 minutes of nothing, then two views 4 minutes apart: visits of 20 and 4 minutes."""
    visitor = VisitorFactory(store=store)
    for minutes in (100, 90, 80, 49, 45):
        event(store, visitor=visitor, days=0, minutes=minutes)
    row = features_of(store, visitor=visitor)
    assert row["sessions_30d"] == 2
    assert row["average_session_minutes"] == 12
    assert row["product_views_30d"] == 5
    assert row["days_since_seen"] == pytest.approx(45 / 1440, abs=1e-4)


def test_a_cart_is_abandoned_unless_an_order_follows_within_a_day(store):
    customer = CustomerFactory(store=store)
    event(store, "Product Added", customer=customer, days=20)
    order(store, customer=customer, days=19.5)
    event(store, "Product Added", customer=customer, days=10)
    event(store, "Product Added", customer=customer, days=5)
    order(store, customer=customer, days=3)
    event(store, customer=customer, days=1)
    row = features_of(store, customer)
    assert row["abandoned_carts_90d"] == 2
    assert row["cart_abandonment_rate_90d"] == pytest.approx(2 / 3, abs=1e-4)
    assert row["cart_adds_90d"] == 3


def test_the_favourite_category_is_the_one_looked_at_most(store):
    tents, stoves = CategoryFactory(store=store, slug="tents"), CategoryFactory(store=store, slug="stoves")
    ProductFactory(store=store, external_id="T1", category=tents)
    ProductFactory(store=store, external_id="S1", category=stoves)
    visitor = VisitorFactory(store=store)
    for product in ("T1", "T1", "S1", "unknown"):
        event(store, visitor=visitor, product=product)
    assert features_of(store, visitor=visitor)["favourite_category"] == "tents"


def test_demographics_of_a_customer_and_their_browser(store):
    customer = CustomerFactory(
        store=store,
        birth_year=1990,
        gender="female",
        country="DE",
        loyalty_status="Gold",
        interests=[{"kind": "category", "value": "Tents"}],
        account_created_at=ago(100),
    )
    visitor = VisitorFactory(store=store, device="mobile", first_seen_at=ago(130))
    identity_link(store=store, visitor=visitor, customer=customer, at=ago(20))
    event(store, visitor=visitor)
    row = features_of(store, customer)
    assert (row["age"], row["gender"], row["country"], row["device"]) == (36, "female", "de", "mobile")
    assert (row["loyalty_status"], row["interests"], row["is_customer"]) == ("gold", ["tents"], True)
    assert (row["account_age_days"], row["days_since_first_seen"]) == (100, 130)
    assert row["city"] is None


@pytest.mark.parametrize(
    ("orders", "seen", "first_seen", "stage"),
    [
        ([], [1], 5, "new"),
        ([], [1], 40, "prospect"),
        ([], [70], 200, "dormant"),
        ([2], [2], 5, "new"),
        ([5, 25, 45], [5], 100, "active"),  # every 20 days; silent 5
        ([35, 55, 75], [5], 100, "at_risk"),  # silent 35 > 1.5 · 20
        ([65, 85, 105], [5], 200, "churned"),  # silent 65 > max(3 · 20, 60)
    ],
)
def test_stages(store, orders, seen, first_seen, stage):
    visitor = VisitorFactory(store=store, first_seen_at=ago(first_seen))
    for days in orders:
        order(store, visitor=visitor, days=days)
    for days in seen:
        event(store, visitor=visitor, days=days)
    assert features_of(store, visitor=visitor)["lifecycle"] == stage


def test_who_does_not_permit_it_is_not_in_the_table(store):
    """Refused since, objected, restricted, paused, measured only, a bot: none of them is profiled."""
    refused = VisitorFactory(store=store)
    event(store, visitor=refused)
    decide(store, f"v:{refused.anonymous_id}", 3, days=0.5)
    analytics_only = VisitorFactory(store=store)
    event(store, visitor=analytics_only, purposes=3)
    bot = VisitorFactory(store=store)
    event(store, visitor=bot, is_bot=True)
    flags = (
        {"has_objected_to_profiling": True},
        {"is_processing_restricted": True},
        {"is_personalisation_paused": True},
    )
    for flag in flags:
        customer = CustomerFactory(store=store, **flag)
        event(store, customer=customer)
        order(store, customer=customer)
    allowed = VisitorFactory(store=store)
    event(store, visitor=allowed)
    decide(store, f"v:{allowed.anonymous_id}", 7, days=2)
    table = feature_table(store, NOW)
    assert table.customer.tolist() == [0]
    assert table.visitor.tolist() == [allowed.pk]


def test_an_account_that_permits_it_is_there_before_it_does_anything(store):
    quiet = CustomerFactory(store=store, external_id="quiet")
    CustomerFactory(store=store, external_id="undecided")
    decide(store, "c:quiet", 7)
    assert feature_table(store, NOW).customer.tolist() == [quiet.pk]


def test_another_stores_shoppers_are_not_in_the_table(store):
    other = StoreFactory()
    event(other, visitor=VisitorFactory(store=other))
    order(other, customer=CustomerFactory(store=other))
    assert feature_table(store, NOW).n == 0


def test_the_number_of_queries_does_not_depend_on_the_number_of_shoppers(store, django_assert_num_queries):
    for _ in range(20):
        event(store, visitor=VisitorFactory(store=store))
        order(store, customer=CustomerFactory(store=store))
    with django_assert_num_queries(6):
        assert feature_table(store, NOW).n == 40
