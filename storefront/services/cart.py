"""The cart: a row on the server, found by a random id in a necessary cookie or by the account."""

from __future__ import annotations

from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Least
from django.utils import timezone

from accounts.models import Store
from catalog.models import Product
from storefront.models import Cart, CartLine, ShopAccount


class OutOfStock(Exception):
    """More was asked for than there is. `available` is what can be had; 0: sold out."""

    def __init__(self, product: Product, available: int) -> None:
        super().__init__(f"{product.external_id}: {available} in stock.")
        self.product = product
        self.available = available


def available_quantity(product: Product) -> int:
    """How many of it one cart may hold: what is in stock, twenty at most; 0 once it is off the shelves."""
    if not product.is_active:
        return 0
    stock = CartLine.MAX_QUANTITY if product.stock is None else max(product.stock, 0)
    return min(stock, CartLine.MAX_QUANTITY)


def cart_find(*, store: Store, account: ShopAccount | None, cart_id: UUID | None) -> Cart | None:
    """The account's cart, else the browser's. A cart of an account is never found by its id alone."""
    carts = Cart.objects.for_store(store)
    if account is not None:
        return carts.filter(account=account).order_by("-updated_at").first()
    return carts.filter(pk=cart_id, account=None).first() if cart_id else None


def cart_find_or_create(*, store: Store, account: ShopAccount | None, cart_id: UUID | None) -> Cart:
    found = cart_find(store=store, account=account, cart_id=cart_id)
    return found or Cart.objects.create(store=store, pk=uuid4(), account=account)


@transaction.atomic
def cart_add(*, cart: Cart, product: Product, quantity: int = 1) -> CartLine:
    """Put more of a product into the cart. Raises OutOfStock, leaving the cart as it was."""
    line, _ = (
        CartLine.objects.for_store(cart.store_id)
        .select_for_update()
        .get_or_create(cart=cart, product=product, defaults={"store_id": cart.store_id, "quantity": 0})
    )
    return _set(line, line.quantity + quantity)


@transaction.atomic
def cart_set_quantity(*, cart: Cart, product: Product, quantity: int) -> CartLine | None:
    """Zero takes the product out. Raises OutOfStock, leaving the cart as it was."""
    if quantity <= 0:
        CartLine.objects.for_store(cart.store_id).filter(cart=cart, product=product).delete()
        _touch(cart)
        return None
    line = (
        CartLine.objects.for_store(cart.store_id)
        .select_for_update()
        .filter(cart=cart, product=product)
        .first()
    )
    return _set(line, quantity) if line else cart_add(cart=cart, product=product, quantity=quantity)


def _set(line: CartLine, quantity: int) -> CartLine:
    available = available_quantity(line.product)
    if quantity > available:
        raise OutOfStock(line.product, available)
    line.quantity = quantity
    line.save(update_fields=["quantity"])
    _touch(line.cart)
    return line


@transaction.atomic
def cart_adopt(*, cart: Cart, account: ShopAccount) -> Cart:
    """After a log-in: what the browser's cart holds joins the account's own cart."""
    own = cart_find(store=account.store, account=account, cart_id=None)
    if own is None:
        cart.account = account
        cart.save(update_fields=["account", "updated_at"])
        return cart
    for line in cart.lines.select_related("product"):
        kept, is_new = CartLine.objects.for_store(cart.store_id).get_or_create(
            cart=own, product=line.product, defaults={"store_id": cart.store_id, "quantity": line.quantity}
        )
        if not is_new:
            total = Least(F("quantity") + line.quantity, max(available_quantity(line.product), 1))
            CartLine.objects.for_store(cart.store_id).filter(pk=kept.pk).update(quantity=total)
    cart.delete()
    _touch(own)
    return own


def _touch(cart: Cart) -> None:
    Cart.objects.for_store(cart.store_id).filter(pk=cart.pk).update(updated_at=timezone.now())
