from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from catalog import version
from catalog.models import Brand, Category, Product
from catalog.money import from_minor_units, to_minor_units
from catalog.selectors import active_products, categories_below, orderable_products, search_products
from catalog.services import (
    ProductInput,
    UpsertResult,
    brands_ensure,
    categories_ensure,
    products_deactivate_others,
    products_set_stock,
    products_upsert,
)
from tests.factories import BrandFactory, CategoryFactory, ProductFactory, StoreFactory

pytestmark = pytest.mark.django_db


def tent(external_id: str = "T1", **values) -> ProductInput:
    return ProductInput(
        **{
            "external_id": external_id,
            "name": "Ridge Tent",
            "price_minor_units": 18900,
            "currency": "EUR",
            **values,
        }
    )


def test_upsert_makes_then_changes_then_leaves_alone():
    store = StoreFactory()
    first = products_upsert(
        store=store, products=[tent(category=("Camping", "Tents"), brand="Northfold"), tent("T2")]
    )
    assert first == UpsertResult(created=2)
    product = Product.objects.for_store(store).get(external_id="T1")
    assert (product.category.path, product.brand.name) == ("camping/tents", "Northfold")
    before = product.updated_at
    again = products_upsert(
        store=store,
        products=[
            tent(category=("Camping", "Tents"), brand="Northfold"),
            tent("T2", price_minor_units=17900),
        ],
    )
    assert again == UpsertResult(updated=1, unchanged=1)
    product.refresh_from_db()
    assert product.updated_at == before
    assert Product.objects.for_store(store).get(external_id="T2").price_minor_units == 17900


def test_upsert_is_bounded_in_queries(django_assert_max_num_queries):
    store = StoreFactory()
    with django_assert_max_num_queries(16):
        products_upsert(
            store=store,
            products=[tent(f"T{n}", category=("Camping",), brand="Northfold") for n in range(500)],
        )
    assert Product.objects.for_store(store).count() == 500


def test_upsert_of_one_store_leaves_the_other_alone():
    one, other = StoreFactory(), StoreFactory()
    products_upsert(store=one, products=[tent()])
    products_upsert(store=other, products=[tent(name="Other Tent")])
    assert Product.objects.for_store(one).get().name == "Ridge Tent"


@pytest.mark.django_db(transaction=True)
def test_the_version_moves_with_a_committed_change_only():
    store = StoreFactory()
    products_upsert(store=store, products=[tent()])
    assert version.current(store.pk) == 1
    products_upsert(store=store, products=[tent()])
    assert version.current(store.pk) == 1
    products_set_stock(store=store, stock={"T1": 3})
    assert version.current(store.pk) == 2


def test_categories_with_one_slug_are_told_apart_by_their_path():
    store = StoreFactory()
    found = categories_ensure(store=store, paths=[("Men", "Shoes"), ("Women", "Shoes")])
    assert found["Men", "Shoes"].path == "men/shoes"
    assert found["Women", "Shoes"].path == "women/shoes"
    assert found["Women", "Shoes"].parent == found["Women",]
    assert Category.objects.for_store(store).count() == 4


def test_a_category_without_latin_letters_has_a_slug():
    found = categories_ensure(store=StoreFactory(), paths=[("帳篷",)])
    assert found["帳篷",].slug == "帳篷"


def test_brands_that_differ_in_case_are_one():
    store = StoreFactory()
    found = brands_ensure(store=store, names=["ACME", "Acme", ""])
    assert found["ACME"] == found["Acme"]
    assert Brand.objects.for_store(store).count() == 1


def test_stock_is_set_and_unknown_products_are_passed_over():
    store = StoreFactory()
    ProductFactory(store=store, external_id="A", stock=5)
    ProductFactory(store=store, external_id="B", stock=5)
    assert products_set_stock(store=store, stock={"A": 0, "B": 5, "C": 1}) == 1
    assert list(orderable_products(store).values_list("external_id", flat=True)) == ["B"]


def test_a_full_feed_takes_out_what_it_does_not_name():
    store, other = StoreFactory(), StoreFactory()
    for shop in (store, other):
        ProductFactory(store=shop, external_id="A")
        ProductFactory(store=shop, external_id="B")
    assert products_deactivate_others(store=store, keep=["A"]) == 1
    assert [product.external_id for product in active_products(store)] == ["A"]
    assert active_products(other).count() == 2


def test_a_product_is_shown_from_the_day_it_is_published():
    store = StoreFactory()
    now = timezone.now()
    ProductFactory(store=store, external_id="old", published_at=now - timedelta(days=1))
    ProductFactory(store=store, external_id="soon", published_at=now + timedelta(days=1))
    ProductFactory(store=store, external_id="off", is_active=False)
    assert [product.external_id for product in active_products(store)] == ["old"]


def test_a_category_holds_what_is_below_it_and_not_its_namesakes():
    store = StoreFactory()
    camping = CategoryFactory(store=store, slug="camping")
    tents = CategoryFactory(store=store, slug="tents", parent=camping)
    CategoryFactory(store=store, slug="camping-food")
    assert set(categories_below(store, "camping")) == {camping, tents}
    assert not categories_below(store, "camp")


@pytest.fixture
def shop():
    store = StoreFactory()
    tents = CategoryFactory(store=store, name="Tents", slug="tents")
    northfold = BrandFactory(store=store, name="Northfold Alpine")
    ProductFactory(
        store=store,
        external_id="1",
        name="Ridge Tent",
        description="Two people.",
        category=tents,
        brand=northfold,
    )
    ProductFactory(
        store=store, external_id="2", name="Dome", description="A tent for four people.", category=tents
    )
    ProductFactory(
        store=store,
        external_id="3",
        name="Kettle",
        description="Boils water.",
        brand=northfold,
        sku="KT-9",
        tags=["steel"],
    )
    ProductFactory(store=store, external_id="4", name="Tent (sold out for good)", is_active=False)
    ProductFactory(external_id="5", name="Ridge Tent of another store")
    return store


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tent", ["1", "2"]),
        ("TENTS", ["1", "2"]),
        ("ridge tent", ["1"]),
        ("rid", ["1"]),
        ("alpine", ["3", "1"]),
        ("steel", ["3"]),
        ("people -- four", ["2"]),
        ("nothing like it", []),
        ("", ["2", "3", "1"]),
        ("'; DROP TABLE catalog_product; --", []),
        ("<script>", []),
        ("& | ! ( ) : * ' \\", ["2", "3", "1"]),
    ],
)
def test_search(shop, text, expected):
    found = [product.external_id for product in search_products(shop, text)]
    if text == "alpine":
        assert sorted(found) == sorted(expected)
    else:
        assert found == expected
    assert Product.objects.for_store(shop).count() == 4


def test_search_is_one_query(shop, django_assert_num_queries):
    with django_assert_num_queries(1):
        list(search_products(shop, "ridge tent"))


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("19.99", "EUR", 1999),
        (19.99, "EUR", 1999),
        ("20", "EUR", 2000),
        ("1500", "JPY", 1500),
        ("1.234", "KWD", 1234),
        ("0", "EUR", 0),
        (" 7.5 ", "USD", 750),
    ],
)
def test_amounts_become_minor_units(amount, currency, expected):
    assert to_minor_units(amount, currency) == expected
    assert to_minor_units(from_minor_units(expected, currency), currency) == expected


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        ("19.999", "EUR"),
        ("1.5", "JPY"),
        ("abc", "EUR"),
        ("", "EUR"),
        ("NaN", "EUR"),
        ("Infinity", "EUR"),
        ("1,50", "EUR"),
    ],
)
def test_what_is_no_amount_is_refused(amount, currency):
    with pytest.raises(ValueError, match=r"amount|digits"):
        to_minor_units(amount, currency)
