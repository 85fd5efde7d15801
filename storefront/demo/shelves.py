"""Putting the generated catalogue into the shop: pictures on disk, products through the catalogue's service."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path

from accounts.models import Store
from catalog.models import Product
from catalog.services import ProductInput, UpsertResult, brands_ensure, categories_ensure, products_upsert
from storefront.demo import catalogue
from storefront.demo.catalogue import DemoProduct

PICTURE_FOLDER = "products"


def stock_the_shelves(
    *, store: Store, media_dir: Path, now: datetime, progress: Callable[[], object] = lambda: None
) -> UpsertResult:
    """Make or bring up to date every product of the demo. Stock, and the day a product came, stay as they are once it exists.

    `progress` is called for each product.
    """
    names = {category.path: category.name for category in catalogue.categories()}
    for category in catalogue.categories():
        # One by one, so that they keep the order of the file.
        categories_ensure(store=store, paths=[_names_from_root(category.path, names)])
    brands_ensure(store=store, names=catalogue.brands().values())
    existing = {product.external_id: product for product in Product.objects.for_store(store)}
    folder = media_dir / PICTURE_FOLDER
    folder.mkdir(parents=True, exist_ok=True)

    def inputs() -> Iterable[ProductInput]:
        for product in catalogue.products():
            yield _input(product, names, existing.get(product.external_id), folder, store, now)
            progress()

    return products_upsert(store=store, products=inputs())


def _names_from_root(path: str, names: dict[str, str]) -> tuple[str, ...]:
    slugs = path.split("/")
    return tuple(names["/".join(slugs[: depth + 1])] for depth in range(len(slugs)))


def _input(
    product: DemoProduct,
    names: dict[str, str],
    existing: Product | None,
    folder: Path,
    store: Store,
    now: datetime,
) -> ProductInput:
    published_at = now - timedelta(days=product.age_days)
    return ProductInput(
        external_id=product.external_id,
        sku=product.external_id.replace("WF-", "SKU"),
        name=product.name,
        description=product.description,
        category=_names_from_root(product.category_path, names),
        brand=catalogue.brands()[product.brand_slug],
        price_minor_units=product.price_minor_units,
        list_price_minor_units=product.list_price_minor_units,
        cost_minor_units=product.cost_minor_units,
        currency=store.currency,
        stock=existing.stock if existing else product.stock,
        attributes=product.attributes,
        tags=product.tags,
        variant_group=product.variant_group,
        image_url=_write_picture(product, folder),
        url=f"/p/{product.external_id}/",
        published_at=existing.published_at if existing else published_at,
    )


def _write_picture(product: DemoProduct, folder: Path) -> str:
    """The picture's address. Its name holds a hash of it, so that a new drawing is a new address."""
    svg = product.picture().encode()
    name = f"{product.external_id.lower()}-{hashlib.sha256(svg).hexdigest()[:12]}.svg"
    file = folder / name
    if not file.exists():
        file.write_bytes(svg)
    return f"/media/{PICTURE_FOLDER}/{name}"
