"""One order against its payments: pure, so that every case can be worked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from tracking.models import Order, SettledPayment

Kind = SettledPayment.Kind
# Rounding of instalments and of shared discounts: a cent each.
DEFAULT_TOLERANCE: Final = 2


class Outcome(StrEnum):
    """What became of an order, or of payments that no order is known for. The first six need nobody."""

    MATCHED = "matched"
    NOTHING_DUE = "nothing_due"
    CANCELLED_UNPAID = "cancelled_unpaid"
    UNCONFIRMED = "unconfirmed"
    NOT_EXPECTED = "not_expected"
    BLOCKED = "blocked"
    MISSING = "missing"
    AMOUNT_DIFFERS = "amount_differs"
    DUPLICATE = "duplicate"
    CURRENCY_DIFFERS = "currency_differs"
    REFUND_DIFFERS = "refund_differs"
    WITHOUT_ORDER = "payment_without_order"


@dataclass(frozen=True)
class Judgement:
    """Minor units. `expected` and `paid` are without what went back; `refund_expected` and `refunded` are what did."""

    outcome: Outcome
    expected: int = 0
    paid: int = 0
    refund_expected: int = 0
    refunded: int = 0
    currencies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sums:
    charges: tuple[int, ...]
    refunded: int
    currencies: tuple[str, ...] = field(default=())

    @property
    def paid(self) -> int:
        return sum(self.charges)


def sums_of(payments: Sequence[SettledPayment]) -> Sums:
    return Sums(
        charges=tuple(payment.amount_minor_units for payment in payments if payment.kind == Kind.CHARGE),
        refunded=-sum(payment.amount_minor_units for payment in payments if payment.kind != Kind.CHARGE),
        currencies=tuple(sorted({payment.currency for payment in payments})),
    )


def judge(
    order: Order,
    payments: Sequence[SettledPayment],
    *,
    tolerance: int = DEFAULT_TOLERANCE,
    is_expected: bool = True,
    tells_refunds: bool = True,
) -> Judgement:
    """`is_expected`: the payment should have come by now. `tells_refunds`: what went back stands in the file."""
    sums = sums_of(payments)
    total = order.total_minor_units
    is_cancelled = order.status == Order.Status.CANCELLED
    outcome = None
    if order.is_blocked:
        outcome = Outcome.BLOCKED
    elif not sums.charges:
        outcome = _unpaid(order, is_cancelled, is_expected)
    elif any(currency != order.currency for currency in sums.currencies):
        outcome = Outcome.CURRENCY_DIFFERS
    if outcome is not None:
        return Judgement(
            outcome, total, sums.paid, order.refunded_minor_units, sums.refunded, sums.currencies
        )
    refund_expected = sums.paid if is_cancelled else order.refunded_minor_units
    too_much = _paid_again(sums.charges, total, tolerance)
    if is_cancelled and tells_refunds and abs(sums.refunded - sums.paid) <= tolerance:
        # Nothing is left of it, however often it was paid.
        outcome = Outcome.MATCHED
    elif tells_refunds and too_much and abs(sums.refunded - refund_expected - too_much) <= tolerance:
        # Paid twice, and given back once.
        too_much, refund_expected = 0, refund_expected + too_much
        outcome = Outcome.MATCHED
    elif too_much:
        outcome = Outcome.DUPLICATE
    elif abs(sums.paid - total) > tolerance:
        outcome = Outcome.AMOUNT_DIFFERS
    elif tells_refunds and abs(sums.refunded - refund_expected) > tolerance:
        outcome = Outcome.REFUND_DIFFERS
    else:
        outcome = Outcome.MATCHED
    return Judgement(outcome, total, sums.paid, refund_expected, sums.refunded, sums.currencies)


def _unpaid(order: Order, is_cancelled: bool, is_expected: bool) -> Outcome:
    if is_cancelled:
        return Outcome.CANCELLED_UNPAID
    if order.total_minor_units <= 0:
        return Outcome.NOTHING_DUE
    if order.status == Order.Status.UNCONFIRMED:
        return Outcome.UNCONFIRMED
    return Outcome.MISSING if is_expected else Outcome.NOT_EXPECTED


def _paid_again(charges: Sequence[int], total: int, tolerance: int) -> int:
    """What is too much where all of the order was paid more than once: by several payments, each of the whole."""
    whole = [amount for amount in charges if abs(amount - total) <= tolerance]
    if total <= 0 or len(whole) < 2 or len(whole) != len(charges):
        return 0
    return sum(charges) - total
