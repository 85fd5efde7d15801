from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import Store
from catalog.models import Category, Product


def active_products(store: Store | int) -> QuerySet[Product]:
    """Products that the shop shows now: active, and published unless their day is still to come."""
    published = Q(published_at=None) | Q(published_at__lte=timezone.now())
    return Product.objects.for_store(store).filter(published, is_active=True)


def orderable_products(store: Store | int) -> QuerySet[Product]:
    """Those of them that can be bought now: in stock, or stock is not tracked."""
    return active_products(store).filter(Q(stock=None) | Q(stock__gt=0))


def products_by_external_id(store: Store | int, external_ids: Iterable[str]) -> dict[str, Product]:
    """{product id: product} of those that exist, active or not, with category and brand loaded: one query."""
    products = (
        Product.objects.for_store(store)
        .select_related("category", "brand")
        .filter(external_id__in=list(external_ids))
    )
    return {product.external_id: product for product in products}


def categories_below(store: Store | int, path: str) -> QuerySet[Category]:
    """The category at this path and all below it; empty where there is none."""
    return Category.objects.for_store(store).filter(Q(path=path) | Q(path__startswith=f"{path}/"))
