"""Orders: for each order id, what all of its events together say.

What the shop's server says counts; what a browser says (a public key) makes an order only as long as nobody
else has told it, and that order stays unconfirmed. An order is always made anew from all of its events, so
their order of arrival does not matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Final

from django.db import connection

from accounts.models import Store
from tracking.folding import Fold, LoggedEvent
from tracking.folds.amounts import currency_of, first_amount, minor_units, whole_number, within_bounds
from tracking.ingestion.messages import as_text
from tracking.ingestion.properties import product_id_of
from tracking.jsonb import parsed
from tracking.models import Order, OrderLine, OrderPayment
from tracking.models.event import ORDER_EVENTS

COMPLETED, UPDATED, REFUNDED, CANCELLED = ORDER_EVENTS
SLICE_ORDERS: Final = 1_000  # so that a chunk of the log that is all long invoices fits into memory
# More ways of paying one order, or more instalments, are a slip of the sender.
MOST_PAYMENTS: Final = 20
MOST_INSTALMENTS: Final = 360
_TOTAL: Final = ("total", "revenue", "value")

_EVENTS_OF_ORDERS: Final = """
SELECT name, visitor_id, customer_id, occurred_at, purposes, is_trusted, properties, message_id
  FROM tracking_event
 WHERE store_id = %s AND name = ANY(%s) AND properties ->> 'order_id' = ANY(%s)
   AND name IN ('Order Completed', 'Order Updated', 'Order Refunded', 'Order Cancelled')
 ORDER BY occurred_at, message_id
"""


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """What the fold reads of an event, in order of time."""

    name: str
    visitor_id: int | None
    customer_id: int | None
    occurred_at: datetime
    purposes: int
    is_trusted: bool
    properties: dict[str, Any]
    message_id: str = ""


@dataclass(slots=True)
class FoldedOrder:
    order: Order
    lines: list[OrderLine] = field(default_factory=list)
    payments: list[OrderPayment] = field(default_factory=list)


def fold_order(store: Store, order_id: str, events: Sequence[OrderEvent]) -> FoldedOrder | None:
    """The order that these events make; None while none of them completes it. Events of an untrusted source
    are passed over where trusted ones complete the order."""
    ordered = sorted(events, key=lambda event: (event.occurred_at, event.message_id))
    trusted = [event for event in ordered if event.is_trusted]
    is_confirmed = any(event.name == COMPLETED for event in trusted)
    told = trusted if is_confirmed else ordered
    completed = next((event for event in told if event.name == COMPLETED), None)
    if completed is None:
        return None
    properties = dict(completed.properties)
    for event in told:
        if event.name == UPDATED:
            properties.update({key: value for key, value in event.properties.items() if value is not None})
    currency = currency_of(properties, store.currency)
    folded = FoldedOrder(_order(store, order_id, properties, currency, completed, ordered))
    folded.lines = _lines(store, properties, currency)
    _set_total(folded, properties, currency)
    _set_payments(folded, properties, currency)
    _refund(folded, [event for event in told if event.name == REFUNDED], currency)
    _set_status(folded.order, is_confirmed, any(event.name == CANCELLED for event in told))
    return folded


def _order(
    store: Store,
    order_id: str,
    properties: dict[str, Any],
    currency: str,
    completed: OrderEvent,
    events: Sequence[OrderEvent],
) -> Order:
    told = [completed, *events]
    return Order(
        store=store,
        order_id=order_id,
        customer_id=next((event.customer_id for event in told if event.customer_id is not None), None),
        visitor_id=next((event.visitor_id for event in told if event.visitor_id is not None), None),
        placed_at=completed.occurred_at,
        currency=currency,
        subtotal_minor_units=minor_units(properties.get("subtotal"), currency),
        shipping_minor_units=minor_units(properties.get("shipping"), currency),
        tax_minor_units=minor_units(properties.get("tax"), currency),
        discount_minor_units=minor_units(properties.get("discount"), currency) or 0,
        payment_method=_text(properties.get("payment_method"), 40),
        coupon=_text(properties.get("coupon"), 80),
        purposes=completed.purposes,
    )


def _text(value: Any, limit: int) -> str:
    return value[:limit] if isinstance(value, str) else ""


def _lines(store: Store, properties: dict[str, Any], currency: str) -> list[OrderLine]:
    products = properties.get("products")
    usable = (
        [product for product in products if isinstance(product, dict) and product_id_of(product)]
        if isinstance(products, list)
        else []
    )
    return [
        OrderLine(
            store=store,
            position=position,
            product_id=product_id_of(product),
            name=_text(product.get("name"), 250),
            quantity=whole_number(product.get("quantity"), 1),
            unit_price_minor_units=minor_units(product.get("price"), currency) or 0,
            discount_minor_units=minor_units(product.get("discount"), currency) or 0,
        )
        for position, product in enumerate(usable)
    ]


def _set_total(folded: FoldedOrder, properties: dict[str, Any], currency: str) -> None:
    """What was paid: `total`, else `revenue` or `value`, else the sum of the lines less the order's discount, and the
    shipping."""
    stated = first_amount(properties, _TOTAL, currency)
    if stated is None:
        lines = sum(
            line.quantity * line.unit_price_minor_units - line.discount_minor_units for line in folded.lines
        )
        stated = max(0, lines - folded.order.discount_minor_units) + (folded.order.shipping_minor_units or 0)
    folded.order.total_minor_units = within_bounds(stated)


def _set_payments(folded: FoldedOrder, properties: dict[str, Any], currency: str) -> None:
    """`payments` are the ways in which the order was paid, each `{method, amount, instalments}`; else all of it was
    paid by `payment_method`. An order that names several ways and no method is one of its largest payment."""
    order = folded.order
    told = properties.get("payments")
    usable = [payment for payment in told if isinstance(payment, dict)] if isinstance(told, list) else []
    folded.payments = [
        OrderPayment(
            store_id=order.store_id,
            position=position,
            method=_text(payment.get("method"), 40),
            amount_minor_units=minor_units(payment.get("amount"), currency),
            instalments=_instalments(payment.get("instalments")),
        )
        for position, payment in enumerate(usable[:MOST_PAYMENTS])
    ]
    if folded.payments and not order.payment_method:
        largest = max(folded.payments, key=lambda payment: payment.amount_minor_units or 0)
        order.payment_method = largest.method
    if not folded.payments and order.payment_method:
        folded.payments = [
            OrderPayment(
                store_id=order.store_id,
                position=0,
                method=order.payment_method,
                amount_minor_units=order.total_minor_units,
                instalments=_instalments(properties.get("instalments")),
            )
        ]


def _instalments(value: Any) -> int:
    return min(max(1, whole_number(value, 1)), MOST_INSTALMENTS)


def _refund(folded: FoldedOrder, refunds: Iterable[OrderEvent], currency: str) -> None:
    """Each refund gives back its stated amount, else its lines at their price, else everything. Never more
    than was paid."""
    refunded = 0
    for event in refunds:
        returned = _return_lines(folded.lines, event)
        stated = first_amount(event.properties, _TOTAL, currency)
        if stated is None:
            stated = returned if event.properties.get("products") else folded.order.total_minor_units
        refunded += stated
    folded.order.refunded_minor_units = within_bounds(min(refunded, folded.order.total_minor_units))


def _return_lines(lines: Sequence[OrderLine], event: OrderEvent) -> int:
    """Mark what a refund says came back, first line of a product first, and give its value in minor units."""
    products = event.properties.get("products")
    if not isinstance(products, list) or not products:
        for line in lines:
            line.refunded_quantity = line.quantity
        return 0
    value = 0
    for product in products:
        returned = whole_number(product.get("quantity"), 1) if isinstance(product, dict) else 0
        for line in lines:
            if returned > 0 and isinstance(product, dict) and line.product_id == product_id_of(product):
                taken = min(returned, line.quantity - line.refunded_quantity)
                line.refunded_quantity += taken
                returned -= taken
                value += _paid_for(line, taken)
    return value


def _paid_for(line: OrderLine, quantity: int) -> int:
    """What so many of the line's units cost: its discount is spread evenly over all of them."""
    if not quantity:
        return 0  # and a line may say that none were bought
    discount = round(line.discount_minor_units * quantity / line.quantity)
    return max(0, quantity * line.unit_price_minor_units - discount)


def _set_status(order: Order, is_confirmed: bool, is_cancelled: bool) -> None:
    if not is_confirmed:
        order.status = Order.Status.UNCONFIRMED
    elif is_cancelled:
        order.status = Order.Status.CANCELLED
    elif order.refunded_minor_units >= order.total_minor_units > 0:
        order.status = Order.Status.REFUNDED
    elif order.refunded_minor_units:
        order.status = Order.Status.PARTLY_REFUNDED
    else:
        order.status = Order.Status.COMPLETED


def apply(store_id: int, events: Sequence[LoggedEvent]) -> None:
    """Make every order anew that one of the events is about. Orders kept for the law alone stay as they are."""
    touched = {order_id for event in events if (order_id := as_text(event.properties.get("order_id")))}
    if not touched:
        return
    store = Store.objects.get(pk=store_id)
    touched -= set(
        Order.objects.for_store(store)
        .filter(order_id__in=touched, is_blocked=True)
        .values_list("order_id", flat=True)
    )
    remaining = iter(sorted(touched))
    while order_ids := set(islice(remaining, SLICE_ORDERS)):
        _apply_to(store, order_ids)


def _apply_to(store: Store, order_ids: set[str]) -> None:
    folded = [
        made
        for order_id, found in sorted(_events_of(store.pk, order_ids).items())
        if (made := fold_order(store, order_id, found)) is not None
    ]
    _save(store, folded)
    # What no event completes any more, after an erasure or an expiry, is gone.
    vanished = order_ids - {made.order.order_id for made in folded}
    Order.objects.for_store(store).filter(order_id__in=vanished, is_blocked=False).delete()


def _events_of(store_id: int, order_ids: set[str]) -> dict[str, list[OrderEvent]]:
    found: dict[str, list[OrderEvent]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_EVENTS_OF_ORDERS, [store_id, list(ORDER_EVENTS), sorted(order_ids)])
        for (
            name,
            visitor_id,
            customer_id,
            occurred_at,
            purposes,
            is_trusted,
            properties,
            message_id,
        ) in cursor.fetchall():
            event = OrderEvent(
                name,
                visitor_id,
                customer_id,
                occurred_at,
                purposes,
                is_trusted,
                parsed(properties),
                message_id,
            )
            found[as_text(event.properties.get("order_id"))].append(event)
    return found


_UPDATED_FIELDS: Final = [
    field.name
    for field in Order._meta.concrete_fields
    if field.name not in ("id", "store", "order_id", "is_blocked", "blocked_until")
]


# An invoice of a wholesaler has hundreds of lines: written one by one as objects they took longer than all
# else together.
_COPY_LINES: Final = """
COPY tracking_orderline (store_id, order_id, position, product_id, name, quantity, refunded_quantity, unit_price_minor_units,
    discount_minor_units) FROM STDIN (FORMAT BINARY)
"""
_LINE_TYPES: Final = ("int8", "int8", "int2", "text", "text", "int4", "int4", "int8", "int8")


def _save(store: Store, folded: Sequence[FoldedOrder]) -> None:
    if not folded:
        return
    saved = Order.all_stores.bulk_create(
        [made.order for made in folded],
        update_conflicts=True,
        unique_fields=["store", "order_id"],
        update_fields=_UPDATED_FIELDS,
        batch_size=1000,
    )
    keys = [order.pk for order in saved]
    OrderLine.objects.for_store(store).filter(order__in=keys).delete()
    OrderPayment.objects.for_store(store).filter(order__in=keys).delete()
    for order, made in zip(saved, folded, strict=True):
        for payment in made.payments:
            payment.order = order
    OrderPayment.all_stores.bulk_create(
        [payment for made in folded for payment in made.payments], batch_size=2000
    )
    with connection.cursor() as cursor, cursor.copy(_COPY_LINES) as copy:
        copy.set_types(_LINE_TYPES)
        for order, made in zip(saved, folded, strict=True):
            for line in made.lines:
                copy.write_row(
                    (
                        store.pk,
                        order.pk,
                        line.position,
                        line.product_id,
                        line.name,
                        line.quantity,
                        line.refunded_quantity,
                        line.unit_price_minor_units,
                        line.discount_minor_units,
                    )
                )


def reset(store_id: int) -> None:
    Order.objects.for_store(store_id).filter(is_blocked=False).delete()


ORDERS: Final = Fold(name="orders", apply=apply, reset=reset, event_names=frozenset(ORDER_EVENTS), stage=20)
