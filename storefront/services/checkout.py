from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import Customer, ProfileSource, Store
from accounts.services.customers import customer_upsert
from accounts.services.statements import identifiers_put
from catalog import version as catalogue_version
from catalog.models import Product
from storefront.models import Cart, ShopAccount, ShopOrder, ShopOrderLine
from storefront.selectors.cart import PricedCart, PricedLine, priced_cart
from storefront.services.cart import OutOfStock, available_quantity
from storefront.services.events import order_completed
from storefront.services.payments import Payment

# No letters or digits that are mistaken for each other when read out.
_NUMBER_ALPHABET: Final = "ACDEFGHJKLMNPQRTUVWXY34679"
_NUMBER_LENGTH: Final = 7


class EmptyCart(Exception):
    """There is nothing to order: usually the form was sent twice, and the first time was taken."""


@dataclass(frozen=True)
class Delivery:
    """Where an order goes. Direct identifiers: they stand in the vault and nowhere else."""

    email: str
    name: str
    street: str
    postal_code: str
    city: str
    country: str

    def as_vault_fields(self) -> dict[str, str]:
        address = f"{self.street}\n{self.postal_code} {self.city}\n{self.country}"
        return {"email": self.email, "name": self.name, "address": address}


@transaction.atomic
def order_place(
    *, cart: Cart, account: ShopAccount | None, delivery: Delivery, payment: Payment, anonymous_id: str | None
) -> ShopOrder:
    """Turn the cart into an order, take its products from stock and tell Etalage: all of it or nothing.

    Raises EmptyCart, or OutOfStock where somebody else was quicker. The cart is locked: sent twice, it is ordered once.
    """
    store = Store.objects.get(pk=cart.store_id)
    locked = Cart.objects.for_store(store).select_for_update().filter(pk=cart.pk).first()
    priced = priced_cart(locked, store.currency)
    if not priced.lines:
        raise EmptyCart
    _take_from_stock(store, priced.lines)
    customer = account.customer if account else _guest(store)
    identifiers_put(
        store=store,
        values={customer.pk: delivery.as_vault_fields()},
        source=ProfileSource.DECLARED,
        at=timezone.now(),
        origin="checkout",
    )
    order = _create(store, priced, account, customer, payment)
    order_completed(order=order, anonymous_id=anonymous_id)
    cart.lines.all().delete()
    return order


def _take_from_stock(store: Store, lines: tuple[PricedLine, ...]) -> None:
    # By id, so that two orders of the same products wait for each other instead of deadlocking.
    for line in sorted(lines, key=lambda line: line.product.pk):
        enough = Product.objects.for_store(store).filter(
            Q(stock=None) | Q(stock__gte=line.quantity), pk=line.product.pk, is_active=True
        )
        if not enough.update(stock=F("stock") - line.quantity, updated_at=timezone.now()):
            line.product.refresh_from_db()
            raise OutOfStock(line.product, available_quantity(line.product))
    catalogue_version.bump_on_commit(store.pk)


def _guest(store: Store) -> Customer:
    """A customer of one order: its e-mail address proves nothing, so it is joined to nobody."""
    return customer_upsert(store=store, external_id=f"guest-{uuid4().hex}")


def _create(
    store: Store, priced: PricedCart, account: ShopAccount | None, customer: Customer, payment: Payment
) -> ShopOrder:
    order = ShopOrder.objects.create(
        store=store,
        number=new_order_number(),
        account=account,
        customer=customer,
        status=payment.status,
        currency=priced.currency,
        subtotal_minor_units=priced.subtotal_minor_units,
        shipping_minor_units=priced.shipping_minor_units,
        total_minor_units=priced.total_minor_units,
        payment_method=payment.method,
        payment_reference=payment.reference,
    )
    ShopOrderLine.objects.for_store(store).bulk_create(
        ShopOrderLine(
            store=store,
            order=order,
            product=line.product,
            name=line.product.name,
            quantity=line.quantity,
            unit_price_minor_units=line.product.price_minor_units,
        )
        for line in priced.lines
    )
    return order


def new_order_number() -> str:
    """One of eight thousand million, drawn: a number tells nobody how much the shop sells."""
    return "WF-" + "".join(secrets.choice(_NUMBER_ALPHABET) for _ in range(_NUMBER_LENGTH))
