"""What shelves brought in, counted by hand."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta

import pytest

from accounts.models import Customer, IdentityLink, Store, Visitor
from consent.purposes import Purpose
from recommendations.models import Impression, ImpressionClick
from recommendations.selectors.engagement import (
    Period,
    engagement,
    engagement_by_day,
    engagement_by_placement,
)
from recommendations.selectors.uplift import uplift_of
from tests.factories import CustomerFactory, StoreFactory, VisitorFactory
from tests.recommendations.shop import decide
from tracking.models import Order, OrderLine, Session

# Noon in Berlin (summer time): a period of three whole days.
NOON = datetime(2026, 6, 10, 10, tzinfo=UTC)
PERIOD = Period(datetime(2026, 6, 8, 22, tzinfo=UTC), datetime(2026, 6, 11, 22, tzinfo=UTC))
PERMITTED = 7


def _saw(
    store: Store,
    visitor: Visitor,
    product: str,
    *,
    placement: str = "home",
    variant: str = "personalised",
    at: datetime = NOON,
    customer: Customer | None = None,
) -> None:
    Impression.objects.create(
        store=store, request_id=uuid.uuid4(), placement=placement, product_id=product, rank=1, variant=variant,
        visitor=visitor, customer=customer, seen_at=at,
    )  # fmt: skip


def _clicked(
    store: Store, visitor: Visitor, product: str, *, placement: str = "home", at: datetime = NOON
) -> None:
    ImpressionClick.objects.create(
        store=store,
        request_id=uuid.uuid4(),
        placement=placement,
        product_id=product,
        visitor=visitor,
        clicked_at=at,
    )


def _bought(
    store: Store, visitor: Visitor, *lines: tuple[str, int, int], at: datetime = NOON, purposes: int = PERMITTED,
    status: str = "completed", refunded: int = 0, currency: str = "EUR", is_blocked: bool = False, customer: Customer | None = None,
) -> Order:  # fmt: skip
    """`lines` are (product, quantity, unit price)."""
    order = Order.objects.create(
        store=store, order_id=uuid.uuid4().hex, visitor=visitor, customer=customer, status=status, placed_at=at, currency=currency,
        total_minor_units=sum(quantity * price for _, quantity, price in lines), refunded_minor_units=refunded, purposes=purposes,
        is_blocked=is_blocked,
    )  # fmt: skip
    for position, (product, quantity, price) in enumerate(lines):
        OrderLine.objects.create(
            store=store,
            order=order,
            position=position,
            product_id=product,
            quantity=quantity,
            unit_price_minor_units=price,
        )
    return order


def _visited(
    store: Store, visitor: Visitor, *, at: datetime = NOON, orders: int = 0, is_bot: bool = False
) -> None:
    Session.objects.create(
        store=store,
        id=uuid.uuid4(),
        visitor=visitor,
        started_at=at,
        ended_at=at,
        order_count=orders,
        is_bot=is_bot,
    )


@pytest.fixture
def store(db: None) -> Store:
    return StoreFactory(time_zone="Europe/Berlin", currency="EUR")


def test_sums_of_a_period(store: Store) -> None:
    anna, ben = VisitorFactory.create_batch(2, store=store)
    _visited(store, anna, orders=1)
    _visited(store, anna, at=NOON + timedelta(hours=2))
    _visited(store, ben)
    _visited(store, ben, at=NOON + timedelta(hours=1), is_bot=True)
    for product in "abcd":
        _saw(store, anna, product)
    _clicked(store, anna, "a", at=NOON + timedelta(minutes=1))
    # Anna buys 2 × a (clicked) for 10.00 and 1 × z (never on a shelf) for 5.00.
    _bought(store, anna, ("a", 2, 1000), ("z", 1, 500), at=NOON + timedelta(minutes=5))
    found = engagement(store, PERIOD)
    assert (found.visitors, found.visits, found.visits_with_order) == (2, 3, 1)
    assert (found.impressions, found.clicks, found.click_through) == (4, 1, 0.25)
    assert found.conversion == pytest.approx(1 / 3)
    assert (found.orders, found.revenue) == (1, 2500)
    assert (found.shelf_orders, found.shelf_revenue, found.shelf_share) == (1, 2000, 0.8)


def test_nothing_gives_no_rates(store: Store) -> None:
    found = engagement(store, PERIOD)
    assert (found.visitors, found.click_through, found.conversion, found.shelf_share) == (0, None, None, None)


def test_a_sale_counts_for_the_last_shelf_clicked_within_seven_days(store: Store) -> None:
    anna = VisitorFactory(store=store)
    _clicked(store, anna, "a", placement="home", at=NOON - timedelta(days=2))
    _clicked(store, anna, "a", placement="cart", at=NOON - timedelta(hours=1))
    _clicked(store, anna, "a", placement="email", at=NOON + timedelta(hours=1))  # after the order
    _clicked(store, anna, "b", placement="home", at=NOON - timedelta(days=7, seconds=1))  # too long ago
    _bought(store, anna, ("a", 1, 1000), ("b", 1, 700))
    sold = {
        row.placement: (row.shelf_orders, row.shelf_revenue) for row in engagement_by_placement(store, PERIOD)
    }
    assert sold == {"cart": (1, 1000), "email": (0, 0)}


def test_somebody_elses_click_sells_nothing(store: Store) -> None:
    anna, ben = VisitorFactory.create_batch(2, store=store)
    _clicked(store, ben, "a", at=NOON - timedelta(minutes=1))
    _bought(store, anna, ("a", 1, 1000))
    assert engagement(store, PERIOD).shelf_revenue == 0


def test_refunds_and_what_was_not_permitted_do_not_count(store: Store) -> None:
    anna = VisitorFactory(store=store)
    _clicked(store, anna, "a", at=NOON - timedelta(hours=3))
    _bought(store, anna, ("a", 1, 1000), refunded=400)
    _bought(store, anna, ("a", 1, 9000), status="cancelled")
    _bought(store, anna, ("a", 1, 9000), purposes=1)  # necessary only: nobody permitted to measure it
    _bought(store, anna, ("a", 1, 9000), is_blocked=True)
    _bought(store, anna, ("a", 1, 9000), currency="USD")
    assert (engagement(store, PERIOD).orders, engagement(store, PERIOD).revenue) == (1, 600)


def test_another_stores_rows_do_not_count(store: Store) -> None:
    other = StoreFactory()
    stranger = VisitorFactory(store=other)
    _visited(other, stranger)
    _saw(other, stranger, "a")
    _bought(other, stranger, ("a", 1, 1000))
    assert engagement(store, PERIOD).visits == 0
    assert engagement_by_placement(store, PERIOD) == []


def test_days_are_those_of_the_stores_zone_and_quiet_ones_are_there(store: Store) -> None:
    anna = VisitorFactory(store=store)
    # 23:30 UTC on the 9th is half past one on the 10th in Berlin.
    _saw(store, anna, "a", at=datetime(2026, 6, 9, 23, 30, tzinfo=UTC))
    days = engagement_by_day(store, PERIOD)
    assert [(day.day, day.impressions) for day in days] == [
        (date(2026, 6, 9), 0),
        (date(2026, 6, 10), 1),
        (date(2026, 6, 11), 0),
    ]


def test_the_period_before_is_as_long_and_ends_where_this_begins() -> None:
    assert PERIOD.before.until == PERIOD.since
    assert PERIOD.before.until - PERIOD.before.since == timedelta(days=3)


def _group(store: Store, variant: str, shoppers: int, buyers: int, clickers: int, price: int = 1000) -> None:
    for number, visitor in enumerate(VisitorFactory.create_batch(shoppers, store=store)):
        _saw(store, visitor, "a", variant=variant)
        if number < clickers:
            _clicked(store, visitor, "a", at=NOON + timedelta(minutes=1))
        if number < buyers:
            _bought(store, visitor, ("a", 1, price), at=NOON + timedelta(minutes=2))


def test_uplift_of_two_groups(store: Store) -> None:
    _group(store, "personalised", shoppers=20, buyers=6, clickers=10)
    _group(store, "control", shoppers=10, buyers=2, clickers=2)
    found = uplift_of(store, PERIOD)
    # 6/20 = 0.30 against 2/10 = 0.20: half as much again. Clicks 0.5 against 0.2: 1.5 more. Revenue a shopper 300 against 200.
    assert found.conversion is not None
    assert found.conversion.estimate == pytest.approx(0.5)
    assert found.clicks is not None
    assert found.clicks.estimate == pytest.approx(1.5)
    assert found.revenue is not None
    assert found.revenue.estimate == pytest.approx(0.5)
    assert found.revenue.low < 0 < found.revenue.high
    assert (found.personalised.revenue_per_shopper, found.control.revenue_per_shopper) == (300, 200)
    # Six of 1000 and fourteen of 0: mean 300, variance (6·700² + 14·300²) / 19.
    assert found.personalised.revenue_variance == pytest.approx((6 * 700**2 + 14 * 300**2) / 19)


@pytest.mark.parametrize("is_linked", [False, True])
def test_who_has_withdrawn_analytics_since_is_in_no_group(store: Store, is_linked: bool) -> None:
    """By their browser's choice, or by that of the customer whose browser it is."""
    _group(store, "personalised", shoppers=3, buyers=3, clickers=3)
    gone = Visitor.objects.for_store(store).first()
    assert gone is not None
    subject = f"v:{gone.anonymous_id}"
    if is_linked:
        customer = CustomerFactory(store=store)
        IdentityLink.objects.create(
            store=store, visitor=gone, customer=customer, valid_from=NOON - timedelta(days=1), source="login"
        )
        subject = f"c:{customer.external_id}"
    decide(store, subject, Purpose.NECESSARY | Purpose.ANALYTICS | Purpose.PERSONALISATION)
    assert uplift_of(store, PERIOD).personalised.shoppers == 3
    decide(store, subject, Purpose.NECESSARY | Purpose.PERSONALISATION)
    found = uplift_of(store, PERIOD).personalised
    assert (found.shoppers, found.clickers, found.buyers, found.revenue) == (2, 2, 2, 2000)


def test_purchases_before_the_first_shelf_do_not_count(store: Store) -> None:
    anna = VisitorFactory(store=store)
    _bought(store, anna, ("a", 1, 1000), at=NOON - timedelta(hours=1))
    _saw(store, anna, "a", at=NOON)
    assert uplift_of(store, PERIOD).personalised.buyers == 0


def test_who_saw_both_groups_is_left_out_and_counted(store: Store) -> None:
    customer = CustomerFactory(store=store)
    phone, laptop = VisitorFactory.create_batch(2, store=store)
    _saw(store, phone, "a", variant="control", customer=customer)
    _saw(store, laptop, "a", variant="personalised", customer=customer)
    found = uplift_of(store, PERIOD)
    assert (found.personalised.shoppers, found.control.shoppers, found.crossed_over) == (0, 0, 1)


def test_without_a_control_group_nothing_is_claimed(store: Store) -> None:
    _group(store, "personalised", shoppers=5, buyers=5, clickers=5)
    found = uplift_of(store, PERIOD)
    assert (found.conversion, found.clicks, found.revenue) == (None, None, None)


def test_uplift_of_one_placement(store: Store) -> None:
    anna = VisitorFactory(store=store)
    _saw(store, anna, "a", placement="home")
    assert uplift_of(store, PERIOD, "home").personalised.shoppers == 1
    assert uplift_of(store, PERIOD, "cart").personalised.shoppers == 0
