from __future__ import annotations

import pytest
from django.http import QueryDict
from django.test import Client

from accounts.models import Store
from catalog.models import Brand, Category, Product
from storefront.selectors.listing import ListingQuery, clean_text, for_sale, in_category, listing, matching
from storefront.selectors.suggestions import did_you_mean
from tests.factories import ProductFactory


@pytest.fixture
def shelf(store: Store, tents: Category, brand: Brand, tent: Product, stove: Product) -> dict[str, Product]:
    """Three tents (one sold out, one reduced) and a stove."""
    sold_out = ProductFactory(
        store=store, external_id="T2", name="Larch tent", category=tents, price_minor_units=9900, stock=0,
        attributes={"colour": "pine"},
    )  # fmt: skip
    reduced = ProductFactory(
        store=store, external_id="T3", name="Windle tent", category=tents, price_minor_units=12900,
        list_price_minor_units=15900, attributes={"colour": "sky"}, brand=brand,
    )  # fmt: skip
    return {"tent": tent, "stove": stove, "sold_out": sold_out, "reduced": reduced}


def ids(store: Store, query: str, category: Category | None = None) -> list[str]:
    products = for_sale(store) if category is None else in_category(for_sale(store), category)
    return [product.external_id for product in listing(products, ListingQuery.of(QueryDict(query))).products]


def test_a_category_holds_what_is_below_it(shelf: dict[str, Product], store: Store, tents: Category) -> None:
    assert set(ids(store, "", tents)) == {"T1", "T2", "T3"}
    assert set(ids(store, "", tents.parent)) == {"T1", "T2", "T3", "S1"}


@pytest.mark.parametrize(
    "query, expected",
    [
        ("brand=fellmark", {"T1", "T3"}),
        ("brand=fellmark&colour=sky&to=150", {"T3"}),
        ("colour=pine&colour=sky", {"T1", "T2", "T3"}),
        ("from=100&to=150", {"T3"}),
        ("available=1", {"T1", "T3", "S1"}),
        ("reduced=1", {"T3"}),
        ("from=abc&to=-5&sort=sideways&brand=", {"T1", "T2", "T3", "S1"}),
        ("from=99999999999999999999", {"T1", "T2", "T3", "S1"}),
    ],
)
def test_filters(shelf: dict[str, Product], store: Store, query: str, expected: set[str]) -> None:
    assert set(ids(store, query)) == expected


def test_orders(shelf: dict[str, Product], store: Store) -> None:
    assert ids(store, "sort=price") == ["S1", "T2", "T3", "T1"]
    assert ids(store, "sort=price-down") == ["T1", "T3", "T2", "S1"]
    assert ids(store, "")[-1] == "T2", "what is sold out stands last"


def test_facets_count_what_the_other_filters_leave(shelf: dict[str, Product], store: Store) -> None:
    found = listing(for_sale(store), ListingQuery.of(QueryDict("colour=sky&to=150")))
    assert [(brand.value, brand.count) for brand in found.brands] == [("fellmark", 1)]
    # Prices up to 150: T2 is pine, T3 sky; the chosen colour does not hide the other one.
    assert [(colour.value, colour.count, colour.is_chosen) for colour in found.colours] == [
        ("pine", 1, False),
        ("sky", 1, True),
    ]


def test_search_finds_name_brand_category_and_description(shelf: dict[str, Product], store: Store) -> None:
    def found(text: str) -> set[str]:
        return {product.external_id for product in matching(for_sale(store), text)}

    assert found("tents") == {"T1", "T2", "T3"}
    assert found("fellmark") == {"T1", "T3"}
    assert found("kettle") == {"T1"}
    assert found("curl") == {"T1"}, "the beginning of a name"
    assert found("camping") == {"T1", "T2", "T3", "S1"}
    assert found("submarine") == set()


def test_a_slip_of_typing_is_understood(shelf: dict[str, Product], store: Store) -> None:
    assert did_you_mean(store, "curlw tnt") == "curlew tent"
    assert did_you_mean(store, "zzzzzz") is None
    assert did_you_mean(store, "tent") is None


@pytest.mark.parametrize(
    "raw, cleaned",
    [("a\0b", "a b"), ("  two   words ", "two words"), ("x" * 500, "x" * 120), ("\u202e\n", "")],
)
def test_search_words_are_cleaned(raw: str, cleaned: str) -> None:
    assert clean_text(raw) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "' OR 1=1 --",
        '"><img src=x onerror=alert(1)>',
        "tent\0",
        "%",
        "&&& !!",
        "(((",
        "\\",
    ],
)
def test_whatever_is_searched_comes_back_as_text(
    client: Client, shelf: dict[str, Product], text: str
) -> None:
    answer = client.get("/search/", {"q": text})
    assert answer.status_code == 200
    page = answer.content.decode()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert Product.all_stores.count() == 4


def test_pages_of_a_listing(client: Client, store: Store, tents: Category) -> None:
    ProductFactory.create_batch(30, store=store, category=tents)
    first = client.get("/c/camping/tents/").content.decode()
    assert first.count("product-card__link") == 24
    assert 'href="?page=2"' in first
    second = client.get("/c/camping/tents/?sort=price&page=2").content.decode()
    assert second.count("product-card__link") == 6
    assert 'href="?sort=price&amp;page=1"' in second
    assert client.get("/c/camping/tents/?page=999").status_code == 200


def test_the_personal_order_keeps_every_product_once(client: Client, shelf: dict[str, Product]) -> None:
    page = client.get("/c/camping/?sort=for-you").content.decode()
    assert sorted(part.split('"')[0] for part in page.split('data-etalage-product="')[1:]) == [
        "S1",
        "T1",
        "T2",
        "T3",
    ]
    assert page.index('data-etalage-product="T2"') > page.index('data-etalage-product="T3"'), (
        "sold out stands last"
    )
