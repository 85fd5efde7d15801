from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client

from accounts.models import Store
from catalog.models import Brand, Category, Product
from recommendations.serving.browser import forget_store
from storefront.models import ShopAccount
from storefront.services.account import account_open
from tests.factories import BrandFactory, CategoryFactory, ProductFactory, StoreFactory

PASSWORD = "otter-lagoon-7-maple"


@pytest.fixture
def store(db: None, settings: object) -> Iterator[Store]:
    """The store that the shop's pages sell for."""
    settings.ETALAGE_STOREFRONT_STORE = "demo"  # type: ignore[attr-defined]
    forget_store()
    yield StoreFactory(slug="demo", name="Wren & Fell")
    forget_store()


@pytest.fixture
def tents(store: Store) -> Category:
    camping = CategoryFactory(store=store, slug="camping", name="Camping", parent=None)
    return CategoryFactory(store=store, slug="tents", name="Tents", parent=camping)


@pytest.fixture
def brand(store: Store) -> Brand:
    return BrandFactory(store=store, slug="fellmark", name="Fellmark")


@pytest.fixture
def tent(store: Store, tents: Category, brand: Brand) -> Product:
    return ProductFactory(
        store=store,
        external_id="T1",
        name="Curlew tent",
        description="Pitches in the time the kettle takes.",
        category=tents,
        brand=brand,
        price_minor_units=20900,
        stock=3,
        attributes={"colour": "sky"},
        image_url="/media/products/t1.svg",
        url="/p/T1/",
    )


@pytest.fixture
def stove(store: Store, tents: Category) -> Product:
    stoves = CategoryFactory(store=store, slug="stoves", name="Stoves", parent=tents.parent)
    return ProductFactory(
        store=store,
        external_id="S1",
        name="Drift stove",
        category=stoves,
        price_minor_units=4890,
        url="/p/S1/",
    )


@pytest.fixture
def account(store: Store) -> ShopAccount:
    return account_open(store=store, email="mara@shop.example", password=PASSWORD, name="Mara Lind")


@pytest.fixture
def shopper(account: ShopAccount, client: Client) -> Client:
    """A browser that is logged in."""
    client.force_login(account.user, backend="django.contrib.auth.backends.ModelBackend")
    return client
