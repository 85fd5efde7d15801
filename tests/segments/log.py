"""A few lines of log for segments: what a shopper did, so many days ago."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from accounts.models import Customer, Store, Visitor
from consent.models import ConsentRecord, ConsentState
from tracking.models import Event, EventType, Order

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
PERMITTED = 7  # necessary, analytics, personalisation


def ago(days: float = 0, *, minutes: float = 0) -> datetime:
    return NOW - timedelta(days=days, minutes=minutes)


def event(
    store: Store,
    name: str = "Product Viewed",
    *,
    visitor: Visitor | None = None,
    customer: Customer | None = None,
    days: float = 1,
    minutes: float = 0,
    product: str = "P1",
    purposes: int = PERMITTED,
    is_bot: bool = False,
) -> Event:
    return Event.objects.create(
        store=store,
        id=uuid.uuid4(),
        message_id=uuid.uuid4().hex,
        type=EventType.TRACK,
        name=name,
        visitor=visitor,
        customer=customer,
        product_id=product,
        occurred_at=ago(days, minutes=minutes),
        received_at=ago(days, minutes=minutes),
        purposes=purposes,
        is_bot=is_bot,
        xact_id=1,
    )


def order(
    store: Store,
    *,
    customer: Customer | None = None,
    visitor: Visitor | None = None,
    days: float = 1,
    total: int = 1000,
    refunded: int = 0,
    status: str = Order.Status.COMPLETED,
    purposes: int = PERMITTED,
    coupon: str = "",
    is_blocked: bool = False,
) -> Order:
    return Order.objects.create(
        store=store,
        order_id=uuid.uuid4().hex,
        customer=customer,
        visitor=visitor,
        status=status,
        placed_at=ago(days),
        currency="EUR",
        total_minor_units=total,
        refunded_minor_units=refunded,
        purposes=purposes,
        coupon=coupon,
        is_blocked=is_blocked,
    )


def decide(store: Store, subject: str, granted: int, *, days: float = 0) -> ConsentState:
    sequence = ConsentRecord.objects.for_store(store).count() + 1
    record = ConsentRecord.objects.create(
        store=store, sequence=sequence, commitment="0" * 64, previous_digest="0" * 64, digest="0" * 64
    )
    return ConsentState.objects.create(
        store=store, subject=subject, granted=granted, valid_from=ago(days), record=record
    )
