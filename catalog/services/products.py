from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from accounts.models import Store
from catalog import version
from catalog.models import Product
from catalog.services.categories import brands_ensure, categories_ensure

BATCH: Final = 1000
_PLAIN_FIELDS: Final = (
    "sku",
    "name",
    "description",
    "price_minor_units",
    "list_price_minor_units",
    "cost_minor_units",
    "currency",
    "stock",
    "attributes",
    "tags",
    "variant_group",
    "image_url",
    "url",
    "is_active",
    "published_at",
)


@dataclass(frozen=True)
class ProductInput:
    """A product as a shop tells it. `category` are names from the root, `brand` a name; both are made where missing."""

    external_id: str
    name: str
    price_minor_units: int
    currency: str
    sku: str = ""
    description: str = ""
    category: tuple[str, ...] = ()
    brand: str = ""
    list_price_minor_units: int | None = None
    cost_minor_units: int | None = None
    stock: int | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    tags: Sequence[str] = ()
    variant_group: str = ""
    image_url: str = ""
    url: str = ""
    is_active: bool = True
    published_at: datetime | None = None


@dataclass(frozen=True)
class UpsertResult:
    created: int = 0
    updated: int = 0
    unchanged: int = 0

    def __add__(self, other: UpsertResult) -> UpsertResult:
        return UpsertResult(
            self.created + other.created, self.updated + other.updated, self.unchanged + other.unchanged
        )

    @property
    def total(self) -> int:
        return self.created + self.updated + self.unchanged


@transaction.atomic
def products_upsert(
    *, store: Store, products: Iterable[ProductInput], batch_size: int = BATCH
) -> UpsertResult:
    """Make or change products by `external_id`, in batches and in one transaction; the last of one id wins within a batch.

    What is the same already is not written, so that `updated_at` and the caches of serving processes mean something.
    """
    result = UpsertResult()
    stream = iter(products)
    while batch := list(islice(stream, batch_size)):
        result += _upsert_batch(store, batch)
    if result.created or result.updated:
        version.bump_on_commit(store.pk)
    return result


def _upsert_batch(store: Store, batch: list[ProductInput]) -> UpsertResult:
    inputs = {product.external_id: product for product in batch}
    categories = categories_ensure(
        store=store, paths={product.category for product in inputs.values() if product.category}
    )
    brands = brands_ensure(store=store, names={product.brand for product in inputs.values()})
    known = {
        product.external_id: product
        for product in Product.objects.for_store(store).filter(external_id__in=inputs)
    }
    new, changed = [], []
    for external_id, product in inputs.items():
        values = {name: getattr(product, name) for name in _PLAIN_FIELDS}
        values |= {"attributes": dict(product.attributes), "tags": list(product.tags)}
        values["category_id"] = categories[product.category].pk if product.category else None
        values["brand_id"] = brands[product.brand].pk if product.brand else None
        existing = known.get(external_id)
        if existing is None:
            new.append(Product(store=store, external_id=external_id, **values))
        elif _apply(existing, values):
            changed.append(existing)
    Product.all_stores.bulk_create(new, batch_size=BATCH)
    now = timezone.now()
    for existing in changed:
        existing.updated_at = now
    Product.all_stores.bulk_update(
        changed, [*_PLAIN_FIELDS, "category", "brand", "updated_at"], batch_size=250
    )
    return UpsertResult(len(new), len(changed), len(inputs) - len(new) - len(changed))


def _apply(existing: Product, values: Mapping[str, Any]) -> bool:
    """Set the values; whether one of them is new."""
    differing = {name: value for name, value in values.items() if getattr(existing, name) != value}
    for name, value in differing.items():
        setattr(existing, name, value)
    return bool(differing)


@transaction.atomic
def products_set_stock(*, store: Store, stock: Mapping[str, int | None]) -> int:
    """Set the stock of products by `external_id`; None: not tracked. Gives how many changed; unknown ids are passed over."""
    products = list(
        Product.objects.for_store(store)
        .filter(external_id__in=stock)
        .select_for_update(no_key=True)
        .order_by("pk")
    )
    changed = [product for product in products if product.stock != stock[product.external_id]]
    now = timezone.now()
    for product in changed:
        product.stock, product.updated_at = stock[product.external_id], now
    Product.all_stores.bulk_update(changed, ["stock", "updated_at"], batch_size=BATCH)
    if changed:
        version.bump_on_commit(store.pk)
    return len(changed)


@transaction.atomic
def products_deactivate_others(*, store: Store, keep: Iterable[str]) -> int:
    """After a full feed: whatever it did not name is not sold any more. Gives how many were taken out."""
    gone = Product.objects.for_store(store).filter(is_active=True).exclude(external_id__in=list(keep))
    count = gone.update(is_active=False, updated_at=timezone.now())
    if count:
        version.bump_on_commit(store.pk)
    return count
