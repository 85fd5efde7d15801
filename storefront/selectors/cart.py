from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Sum

from catalog.models import Product
from storefront.models import Cart, CartLine
from storefront.services.cart import available_quantity

SHIPPING_MINOR_UNITS = 490
FREE_SHIPPING_FROM_MINOR_UNITS = 7500


@dataclass(frozen=True)
class PricedLine:
    """A line of the cart at today's price. `available` is how many can be had; fewer than `quantity`: a problem to show."""

    product: Product
    quantity: int
    available: int

    @property
    def total_minor_units(self) -> int:
        return self.quantity * self.product.price_minor_units

    @property
    def is_short(self) -> bool:
        return self.quantity > self.available

    @property
    def choices(self) -> range:
        return range(1, max(self.available, self.quantity) + 1)


@dataclass(frozen=True)
class PricedCart:
    """The cart as it would be charged now, in minor units of `currency`."""

    lines: tuple[PricedLine, ...]
    currency: str

    @property
    def quantity(self) -> int:
        return sum(line.quantity for line in self.lines)

    @property
    def subtotal_minor_units(self) -> int:
        return sum(line.total_minor_units for line in self.lines)

    @property
    def shipping_minor_units(self) -> int:
        if not self.lines or self.subtotal_minor_units >= FREE_SHIPPING_FROM_MINOR_UNITS:
            return 0
        return SHIPPING_MINOR_UNITS

    @property
    def total_minor_units(self) -> int:
        return self.subtotal_minor_units + self.shipping_minor_units

    @property
    def missing_for_free_shipping_minor_units(self) -> int:
        return max(FREE_SHIPPING_FROM_MINOR_UNITS - self.subtotal_minor_units, 0)

    @property
    def product_ids(self) -> list[str]:
        return [line.product.external_id for line in self.lines]

    @property
    def is_deliverable(self) -> bool:
        return bool(self.lines) and not any(line.is_short for line in self.lines)


def priced_cart(cart: Cart | None, currency: str) -> PricedCart:
    """Two queries at most; an absent cart is an empty one."""
    if cart is None:
        return PricedCart((), currency)
    rows = cart.lines.select_related("product__brand", "product__category")
    return PricedCart(
        tuple(PricedLine(row.product, row.quantity, available_quantity(row.product)) for row in rows),
        currency,
    )


def quantity_in(cart: Cart) -> int:
    return (
        CartLine.objects.for_store(cart.store_id).filter(cart=cart).aggregate(total=Sum("quantity"))["total"]
        or 0
    )
