"""What serving reads of the catalogue: all of it once, then only what changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.db.models import F, Max, QuerySet, Sum
from django.utils import timezone

from catalog.models import Brand, Category, Product
from consent.purposes import Purpose
from recommendations.serving.assortment import Taxonomy
from recommendations.shelf import ShelfProduct
from tracking.models import Order, OrderLine

BEST_SELLER_DAYS = 90
OVERLAP = timedelta(seconds=60)
"""A transaction stamps `updated_at` before it commits: changes are read again for this long."""

_FIELDS = (
    "pk", "external_id", "name", "url", "image_url", "price_minor_units", "list_price_minor_units", "currency", "stock",
    "is_active", "category_id", "category__name", "brand_id", "brand__name", "variant_group", "published_at", "created_at",
    "cost_minor_units",
)  # fmt: skip


def shelf_products(store_id: int, *, changed_since: datetime | None = None) -> Iterator[ShelfProduct]:
    products: QuerySet[Product] = Product.objects.for_store(store_id)
    if changed_since is not None:
        products = products.filter(updated_at__gte=changed_since - OVERLAP)
    return shelf_products_of(products)


def shelf_products_of(products: QuerySet[Product]) -> Iterator[ShelfProduct]:
    for row in products.values_list(*_FIELDS).iterator(chunk_size=5000):
        yield _shelf_product(*row)


def _shelf_product(
    pk: int, external_id: str, name: str, url: str, image_url: str, price: int, list_price: int | None, currency: str,
    stock: int | None, is_active: bool, category_id: int | None, category_name: str | None, brand_id: int | None,
    brand_name: str | None, variant_group: str, published_at: datetime | None, created_at: datetime,
    cost: int | None,
) -> ShelfProduct:  # fmt: skip
    return ShelfProduct(
        pk=pk,
        external_id=external_id,
        name=name,
        url=url,
        image_url=image_url,
        price_minor_units=price,
        list_price_minor_units=list_price,
        currency=currency,
        stock=stock,
        is_available=is_active and (stock is None or stock > 0),
        category_id=category_id,
        category_name=category_name or "",
        brand_id=brand_id,
        brand_name=brand_name or "",
        variant_group=variant_group,
        published_at=(published_at or created_at).timestamp(),
        cost_minor_units=cost,
    )


def last_change(store_id: int) -> datetime:
    """When a product last changed; the epoch for a store without products."""
    newest: datetime | None = Product.objects.for_store(store_id).aggregate(newest=Max("updated_at"))[
        "newest"
    ]
    return newest or datetime.fromtimestamp(0, UTC)


def product_count(store_id: int) -> int:
    return Product.objects.for_store(store_id).count()


def taxonomy(store_id: int) -> Taxonomy:
    rows = list(Category.objects.for_store(store_id).values_list("pk", "path", "name"))
    return Taxonomy(
        paths={pk: path for pk, path, _ in rows},
        names={pk: name for pk, _, name in rows},
        brands=dict(Brand.objects.for_store(store_id).values_list("slug", "pk")),
    )


def units_sold(store_id: int, *, days: int = BEST_SELLER_DAYS) -> dict[str, float]:
    """Units sold by product in the last `days`, of orders whose buyers permit analytics or personalisation."""
    lines = (
        OrderLine.objects.for_store(store_id)
        .filter(order__placed_at__gte=timezone.now() - timedelta(days=days), order__is_blocked=False)
        .exclude(order__status=Order.Status.CANCELLED)
        .annotate(permitted=F("order__purposes").bitand(int(Purpose.PERSONALISATION | Purpose.ANALYTICS)))
        .filter(permitted__gt=0)
        .values_list("product_id")
        .annotate(units=Sum(F("quantity") - F("refunded_quantity")))
    )
    return {product_id: float(units) for product_id, units in lines.order_by() if units > 0}
