"""What the shop itself holds about a person: the account, the cart, orders, and events on their way to Etalage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_noop

from accounts.personal_data import (
    Classification,
    CorrectionReport,
    ErasureReport,
    ExportTable,
    Kept,
    Processor,
    Subject,
    classify,
    register,
)
from accounts.services.logins import login_email_change
from storefront.models import Cart, CartLine, OutboxEvent, ShopAccount, ShopOrder, ShopOrderLine
from storefront.services.outbox import KEPT_DAYS_AFTER_SENDING, outbox_expire

PROCESSOR: Final = "storefront"
CART_DAYS: Final = 60
ORDER_DAYS: Final = 3650
_KEPT_BY_LAW: Final = gettext_noop(
    "Commercial and tax law make the shop keep its records of sales for ten years."
)


def export(subject: Subject) -> Iterable[ExportTable]:
    yield ExportTable("shop_account", "Your account in the shop.", _account_rows(subject))
    yield ExportTable("cart", "What lies in your cart.", _cart_rows(subject))
    yield ExportTable("shop_orders", "What you ordered in the shop.", _order_rows(subject))
    yield ExportTable(
        "messages_to_etalage", "What the shop is about to tell Etalage of you.", _outbox_rows(subject)
    )


def erase(subject: Subject) -> ErasureReport:
    """Cart, account and waiting messages go; orders are unlinked and stripped of how they were paid. May be run again."""
    with transaction.atomic():
        orders = _orders(subject).select_for_update(of=("self",))
        kept = [_unlinked(order) for order in orders]
        ShopOrder.all_stores.bulk_update(
            kept, ["customer", "account", "payment_reference", "access_token"], batch_size=500
        )
        deleted = {
            "carts": _carts(subject).delete()[1].get("storefront.Cart", 0),
            "messages to Etalage": _outbox(subject).delete()[0],
            "shop accounts": _accounts(subject).delete()[1].get("storefront.ShopAccount", 0),
        }
    if not kept:
        return ErasureReport(deleted=deleted)
    until = max(order.placed_at for order in kept) + timedelta(days=ORDER_DAYS)
    return ErasureReport(deleted=deleted, kept=(Kept("shop orders", len(kept), _KEPT_BY_LAW, until),))


def correct(subject: Subject, corrections: Mapping[str, str]) -> CorrectionReport:
    """Whoever corrects their e-mail address logs in with the right one from then on."""
    if "email" not in corrections:
        return CorrectionReport()
    accounts = list(_accounts(subject).select_related("user"))
    changed = sum(login_email_change(account.user, corrections["email"]) for account in accounts)
    kept = any(account.user.email.casefold() != corrections["email"].casefold() for account in accounts)
    note = gettext_noop("The log-in keeps its address: the new one cannot be used for it.")
    return CorrectionReport(
        {gettext_noop("addresses to log in with"): changed}, notes=(note,) if kept else ()
    )


def _unlinked(order: ShopOrder) -> ShopOrder:
    order.customer = order.account = None
    order.payment_reference = ""
    order.access_token = uuid4()  # the old one may lie in a browser's history
    return order


def _accounts(subject: Subject) -> QuerySet[ShopAccount]:
    return ShopAccount.objects.for_store(subject.store).filter(customer__in=subject.customer_ids)


def _carts(subject: Subject) -> QuerySet[Cart]:
    return Cart.objects.for_store(subject.store).filter(account__customer__in=subject.customer_ids)


def _orders(subject: Subject) -> QuerySet[ShopOrder]:
    customers = subject.customer_ids
    return ShopOrder.objects.for_store(subject.store).filter(
        Q(customer__in=customers) | Q(account__customer__in=customers)
    )


def _outbox(subject: Subject) -> QuerySet[OutboxEvent]:
    """By customer, and by the browser that a guest's event names."""
    about = Q(customer__in=subject.customer_ids)
    if subject.anonymous_ids:
        about |= Q(message__anonymousId__in=subject.anonymous_ids)
    return OutboxEvent.objects.for_store(subject.store).filter(about)


def _account_rows(subject: Subject) -> Iterator[dict[str, Any]]:
    for account in _accounts(subject).select_related("user"):
        yield {
            "email": account.user.email,
            "opened_at": account.user.date_joined,
            "last_login_at": account.user.last_login,
        }


def _cart_rows(subject: Subject) -> Iterator[dict[str, Any]]:
    lines = (
        CartLine.objects.for_store(subject.store)
        .filter(cart__in=_carts(subject))
        .select_related("product", "cart")
    )
    for line in lines:
        yield {
            "product_id": line.product.external_id,
            "name": line.product.name,
            "quantity": line.quantity,
            "changed_at": line.cart.updated_at,
        }


def _order_rows(subject: Subject) -> Iterator[dict[str, Any]]:
    lines = ShopOrderLine.objects.for_store(subject.store).filter(order__in=_orders(subject))
    for line in lines.select_related("order").order_by("order__placed_at", "pk"):
        yield {
            "order": line.order.number,
            "placed_at": line.order.placed_at,
            "status": line.order.get_status_display(),
            "product": line.name,
            "quantity": line.quantity,
            "unit_price_minor_units": line.unit_price_minor_units,
            "order_total_minor_units": line.order.total_minor_units,
            "currency": line.order.currency,
            "paid_by": line.order.get_payment_method_display(),
            "payment_reference": line.order.payment_reference,
        }


def _outbox_rows(subject: Subject) -> Iterator[dict[str, Any]]:
    for event in _outbox(subject).order_by("created_at"):
        yield {"created_at": event.created_at, "sent_at": event.sent_at, "message": event.message}


def expire_carts(now: datetime) -> int:
    """Forget carts that nobody has touched for sixty days. Gives carts deleted."""
    return (
        Cart.all_stores.filter(updated_at__lt=now - timedelta(days=CART_DAYS))
        .delete()[1]
        .get("storefront.Cart", 0)
    )


def expire_orders(now: datetime) -> int:
    """Delete orders whose legal term has ended. Gives orders deleted."""
    ended = ShopOrder.all_stores.filter(placed_at__lt=now - timedelta(days=ORDER_DAYS))
    return ended.delete()[1].get("storefront.ShopOrder", 0)


def register_all() -> None:
    register(Processor(PROCESSOR, "Shop: account, cart, orders", export, erase, correct=correct))
    held = Classification.PROCESSED_BY(PROCESSOR)
    classify("storefront.ShopAccount", held, "Joins a shopper's login to their customer.")
    classify(
        "storefront.Cart",
        Classification.PROCESSED_BY(PROCESSOR, expires_days=CART_DAYS),
        "A cart of an account is the person's; a guest's hangs on a random id in a necessary cookie and ends by itself.",
        expire=expire_carts,
    )
    classify("storefront.CartLine", held, "What lies in a cart; goes with it.")
    classify(
        "storefront.ShopOrder",
        Classification.PROCESSED_BY(PROCESSOR, expires_days=ORDER_DAYS),
        "A sale, which the law makes the shop keep; an erasure unlinks it from the person.",
        expire=expire_orders,
    )
    classify("storefront.ShopOrderLine", held, "What was sold; stays with the unlinked order.")
    classify(
        "storefront.OutboxEvent",
        Classification.PROCESSED_BY(PROCESSOR, expires_days=KEPT_DAYS_AFTER_SENDING),
        "An event on its way to Etalage, with the ids that it names; forgotten two days after it was sent.",
        expire=outbox_expire,
    )
