"""The shop's events in the vocabulary of the tracking contract."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from accounts.models import Customer, Store
from catalog.models import Product
from storefront.models import ShopOrder
from storefront.selectors.cart import PricedLine
from storefront.services.outbox import outbox_write

MINOR_UNITS = 100


def amount(minor_units: int) -> float:
    """Cents as the decimal number that events carry."""
    return round(minor_units / MINOR_UNITS, 2)


def product_properties(product: Product) -> dict[str, Any]:
    properties = {
        "product_id": product.external_id,
        "sku": product.sku,
        "name": product.name,
        "brand": product.brand.name if product.brand else None,
        "category": product.category.path if product.category else None,
        "price": amount(product.price_minor_units),
        "currency": product.currency,
        "url": product.url,
        "image_url": product.image_url,
    }
    return {name: value for name, value in properties.items() if value}


def viewed_properties(product: Product) -> dict[str, Any]:
    return {**product_properties(product), "value": amount(product.price_minor_units)}


def lines_properties(lines: Iterable[PricedLine]) -> list[dict[str, Any]]:
    return [{**product_properties(line.product), "quantity": line.quantity} for line in lines]


def order_properties(order: ShopOrder) -> dict[str, Any]:
    lines = order.lines.select_related("product__brand", "product__category")
    return {
        "order_id": order.number,
        "currency": order.currency,
        "subtotal": amount(order.subtotal_minor_units),
        "shipping": amount(order.shipping_minor_units),
        "discount": amount(order.discount_minor_units),
        "total": amount(order.total_minor_units),
        "revenue": amount(order.subtotal_minor_units - order.discount_minor_units),
        "payment_method": order.payment_method,
        "products": [
            {
                **(product_properties(line.product) if line.product else {"name": line.name}),
                "price": amount(line.unit_price_minor_units),
                "quantity": line.quantity,
            }
            for line in lines
        ],
    }


def order_completed(*, order: ShopOrder, anonymous_id: str | None) -> None:
    outbox_write(
        store=order.store,
        message={"type": "track", "event": "Order Completed", "properties": order_properties(order)},
        message_id=f"order-completed-{order.store_id}-{order.number}",
        customer=order.customer,
        anonymous_id=anonymous_id,
        at=order.placed_at,
    )


def identified(*, store: Store, customer: Customer, anonymous_id: str | None, message_id: str) -> None:
    """Somebody signed up or logged in, or changed their interests."""
    traits: dict[str, Any] = {"interests": customer.interests}
    if customer.account_created_at:
        traits["createdAt"] = customer.account_created_at.isoformat()
    outbox_write(
        store=store,
        message={"type": "identify", "traits": traits},
        message_id=message_id,
        customer=customer,
        anonymous_id=anonymous_id,
    )
