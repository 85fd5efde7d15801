"""Orders, worked by hand from their events."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from tests.tracking.conftest import make_key, order_completed
from tracking.folding import fold_new_events
from tracking.folds.amounts import LARGEST_MINOR_UNITS, minor_units
from tracking.folds.orders import OrderEvent, fold_order
from tracking.ingestion.importing import ingest_messages
from tracking.models import Event, Order, OrderLine

T0 = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)
LINES = [
    {"product_id": "tent", "name": "Tent", "quantity": 1, "price": 199.99},
    {"product_id": "peg", "quantity": 10, "price": "0.5", "discount": 1},
]


@pytest.fixture
def tell(store):
    key, _ = make_key(store)

    def tell(*messages):
        ingest_messages(store, key, messages)
        fold_new_events(store, only=["orders"])
        return Order.objects.for_store(store).get()

    return tell


def event(name, minutes=0, **properties):
    at = T0 + timedelta(minutes=minutes)
    return {
        "type": "track", "event": name, "userId": "u1", "anonymousId": "a", "timestamp": at, "properties": {"order_id": "o1", **properties}
    }  # fmt: skip


def test_a_completed_order(tell):
    order = tell(
        event(
            "Order Completed", subtotal=203.99, shipping=4.9, tax=33.35, discount=5, total=203.89, currency="eur",
            coupon="MAY", payment_method="card", products=LINES,
        )
    )  # fmt: skip
    assert (order.order_id, order.status, order.placed_at, order.currency) == ("o1", "completed", T0, "EUR")
    assert order.subtotal_minor_units == 20399
    assert order.shipping_minor_units == 490
    assert order.tax_minor_units == 3335
    assert order.discount_minor_units == 500
    assert order.total_minor_units == 20389
    assert (order.coupon, order.payment_method) == ("MAY", "card")
    assert (order.customer.external_id, order.visitor.anonymous_id) == ("u1", "a")
    assert list(
        order.lines.order_by("position").values_list(
            "position", "product_id", "name", "quantity", "unit_price_minor_units", "discount_minor_units"
        )
    ) == [(0, "tent", "Tent", 1, 19999, 0), (1, "peg", "", 10, 50, 100)]


def test_without_a_total_the_lines_are_added_up(tell):
    # 199.99 + 10 × 0.50 − 1.00 (line) − 3.99 (order) = 200.00
    assert tell(event("Order Completed", discount=3.99, products=LINES)).total_minor_units == 20000


@pytest.mark.parametrize("key", ["total", "revenue", "value"])
def test_what_was_paid_has_several_names(tell, key):
    assert tell(event("Order Completed", products=LINES, **{key: 12.5})).total_minor_units == 1250


def test_an_update_replaces_what_it_names(tell):
    order = tell(
        event("Order Completed", total=100, coupon="MAY", products=LINES),
        event("Order Updated", 5, total=80, products=LINES[:1]),
    )
    assert (order.total_minor_units, order.coupon, order.lines.count(), order.placed_at) == (
        8000,
        "MAY",
        1,
        T0,
    )


def test_a_refund_of_everything(tell):
    order = tell(event("Order Completed", total=100, products=LINES), event("Order Refunded", 5))
    assert (order.status, order.refunded_minor_units) == ("refunded", 10000)
    assert list(order.lines.order_by("position").values_list("refunded_quantity", flat=True)) == [1, 10]


def test_refunds_of_lines_add_up(tell):
    refund = {"products": [{"product_id": "peg", "quantity": 3}]}
    order = tell(
        event("Order Completed", total=203.99, products=LINES),
        event("Order Refunded", 5, **refund),
        event("Order Refunded", 6, **refund),
    )
    # Twice three pegs at 0.50, less three tenths of the discount of 1.00.
    assert (order.status, order.refunded_minor_units) == ("partly_refunded", 240)
    assert list(order.lines.order_by("position").values_list("refunded_quantity", flat=True)) == [0, 6]


def test_a_stated_amount_goes_before_the_lines_and_never_exceeds_what_was_paid(tell):
    order = tell(
        event("Order Completed", total=10, products=LINES),
        event("Order Refunded", 5, total=4, products=[{"product_id": "tent"}]),
    )
    assert (order.status, order.refunded_minor_units) == ("partly_refunded", 400)
    order = tell(event("Order Refunded", 9, total=400))
    assert (order.status, order.refunded_minor_units) == ("refunded", 1000)


def test_more_pegs_than_were_bought_cannot_come_back(tell):
    order = tell(
        event("Order Completed", products=LINES),
        event("Order Refunded", products=[{"product_id": "peg", "quantity": 99}]),
    )
    assert order.lines.get(product_id="peg").refunded_quantity == 10
    assert order.refunded_minor_units == 400


def test_a_cancelled_order(tell):
    assert tell(event("Order Completed", products=LINES), event("Order Cancelled", 5)).status == "cancelled"


def test_what_comes_before_its_order_waits_for_it(store, tell):
    key, _ = make_key(store)
    ingest_messages(store, key, [event("Order Refunded", 5, total=3)])
    fold_new_events(store)
    assert not Order.objects.for_store(store).exists()
    assert tell(event("Order Completed", total=10, products=LINES)).refunded_minor_units == 300


def test_an_order_told_by_browser_and_server_is_one(tell):
    order = tell(
        event("Order Completed", total=10, products=LINES),
        event("Order Completed", 1, total=10, products=LINES),
    )
    assert (order.total_minor_units, order.lines.count()) == (1000, 2)


def test_the_order_of_arrival_does_not_matter(store):
    events = [
        OrderEvent(
            "Order Completed", 1, 2, T0, 15, True, {"order_id": "o", "total": 50, "products": LINES}, "a"
        ),
        OrderEvent(
            "Order Updated", None, 2, T0 + timedelta(1), 15, True, {"order_id": "o", "total": 60}, "b"
        ),
        OrderEvent(
            "Order Refunded", None, 2, T0 + timedelta(2), 15, True, {"order_id": "o", "total": 10}, "c"
        ),
        OrderEvent(
            "Order Completed", 1, None, T0, 15, False, {"order_id": "o", "total": 1, "products": LINES}, "d"
        ),
    ]
    made = [fold_order(store, "o", permutation) for permutation in itertools.permutations(events)]
    facts = {
        (m.order.total_minor_units, m.order.refunded_minor_units, m.order.status, len(m.lines)) for m in made
    }
    assert facts == {(6000, 1000, "partly_refunded", 2)}


def test_an_order_kept_for_the_law_alone_stays_as_it_is(store, tell):
    tell(event("Order Completed", total=10, products=LINES))
    Order.objects.for_store(store).update(is_blocked=True, customer=None, visitor=None)
    order = tell(event("Order Refunded", total=4))
    assert (order.refunded_minor_units, order.customer) == (0, None)


def test_many_orders_in_one_go(store):
    key, _ = make_key(store)
    ingest_messages(
        store, key, [order_completed(f"o{n}", messageId=f"m{n}", timestamp=T0) for n in range(120)]
    )
    fold_new_events(store)
    assert Order.objects.for_store(store).count() == OrderLine.objects.for_store(store).count() == 120


@pytest.mark.parametrize(
    "value, currency, units",
    [
        (19.99, "EUR", 1999),
        ("19.99", "EUR", 1999),
        (0.1 + 0.2, "EUR", 30),
        (1.005, "EUR", 101),
        (500, "JPY", 500),
        (1.2345, "KWD", 1235),
        ("much", "EUR", None),
        (None, "EUR", None),
        (True, "EUR", None),
        (float("inf"), "EUR", None),
    ],
)
def test_amounts(value, currency, units):
    assert minor_units(value, currency) == units


def payments_of(order):
    return list(
        order.payments.order_by("position").values_list("method", "amount_minor_units", "instalments")
    )


def test_a_voucher_and_a_card_in_three_instalments(tell):
    order = tell(
        event(
            "Order Completed",
            total=120,
            products=LINES,
            payments=[
                {"method": "voucher", "amount": "20.00"},
                {"method": "card", "amount": 100, "instalments": 3},
                "odd",
            ],
        )
    )
    assert payments_of(order) == [("voucher", 2000, 1), ("card", 10_000, 3)]
    assert order.payment_method == "card"


def test_one_method_paid_it_all(tell):
    order = tell(
        event("Order Completed", total=30, payment_method="invoice", products=LINES, instalments="x")
    )
    assert payments_of(order) == [("invoice", 3000, 1)]


def test_payments_of_an_update_take_the_place_of_the_first(tell):
    order = tell(
        event("Order Completed", total=30, payment_method="card", products=LINES),
        event(
            "Order Updated", 1, payments=[{"method": "card", "amount": 10}, {"method": "cash", "amount": 20}]
        ),
    )
    assert payments_of(order) == [("card", 1000, 1), ("cash", 2000, 1)]
    assert order.payment_method == "card"


def test_without_a_method_there_is_no_payment(tell):
    assert payments_of(tell(event("Order Completed", total=30, products=LINES))) == []


def test_shipping_is_paid_too_where_no_total_was_told(tell):
    """199.99 + 10 · 0.50 − 1.00 of the line − 5.00 of the order + 4.90."""
    order = tell(event("Order Completed", shipping=4.9, discount=5, products=LINES))
    assert order.total_minor_units == 19_999 + 500 - 100 - 500 + 490


def test_a_discounted_line_gives_back_what_it_cost(tell):
    """Ten pegs at 0.50 less 1.00 are 4.00: four of them are 1.60."""
    order = tell(
        event("Order Completed", total=203.99, products=LINES),
        event("Order Refunded", 5, products=[{"product_id": "peg", "quantity": 4}]),
    )
    assert order.refunded_minor_units == 160
    assert order.status == "partly_refunded"


BEYOND = [1e300, "1e999999999", "9" * 400, 10**17]


@pytest.mark.parametrize("amount", BEYOND)
def test_an_amount_that_no_table_holds_is_no_amount(amount):
    assert minor_units(amount, "EUR") is None


@pytest.mark.parametrize("amount", BEYOND)
def test_what_the_log_holds_already_stops_no_order(store, tell, amount):
    tell(event("Order Completed", total=10, products=LINES))
    first = Event.objects.for_store(store).get()
    first.properties = {
        "order_id": "o1",
        "payments": [{"method": "card", "amount": amount}, {"method": "cash", "amount": 4}],
        "products": [
            {"product_id": "tent", "quantity": 1e12, "price": 3, "discount": amount},
            {"product_id": "peg", "quantity": 10**9, "price": 10**12},
        ],
    }
    Event.all_stores.filter(pk=first.pk).update(properties=first.properties)
    order = tell(event("Order Updated", 1, coupon="MAY"))
    assert order.coupon == "MAY"
    assert payments_of(order) == [("card", None, 1), ("cash", 400, 1)]
    assert list(order.lines.order_by("position").values_list("quantity", "discount_minor_units")) == [
        (1, 0),
        (10**9, 0),
    ]
    assert order.total_minor_units == LARGEST_MINOR_UNITS


def test_of_a_line_of_nothing_nothing_comes_back(tell):
    lines = [{"product_id": "tent", "quantity": 0, "price": 5}]
    order = tell(
        event("Order Completed", total=10, products=lines),
        event("Order Refunded", 1, products=[{"product_id": "tent", "quantity": 1}]),
    )
    assert (order.status, order.refunded_minor_units) == ("completed", 0)
