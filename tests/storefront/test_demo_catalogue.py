from __future__ import annotations

from collections import Counter
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from django.utils.text import slugify

from storefront.demo import catalogue
from storefront.demo.drawing import DRAWINGS, draw
from storefront.demo.drawing.colours import COLOURS, darker, lighter, mix
from storefront.demo.people import new_password


@pytest.fixture(scope="module")
def products() -> list[catalogue.DemoProduct]:
    return catalogue.products()


def test_four_hundred_products_in_eight_categories(products: list[catalogue.DemoProduct]) -> None:
    assert len(products) == 400
    assert len({product.external_id for product in products}) == 400
    assert len({product.name for product in products}) == 400
    mains = Counter(product.category_path.split("/")[0] for product in products)
    assert len(mains) == 8
    assert min(mains.values()) >= 25
    assert len({product.brand_slug for product in products}) == 16


def test_no_two_pictures_are_alike(products: list[catalogue.DemoProduct]) -> None:
    pictures = {product.picture().split("</title>")[1] for product in products}
    assert len(pictures) == 400


def test_every_picture_is_a_well_formed_drawing_of_its_own(products: list[catalogue.DemoProduct]) -> None:
    for product in products:
        svg = product.picture()
        root = ElementTree.fromstring(svg)
        assert root.get("viewBox") == "0 0 400 400"
        assert root.findtext("{http://www.w3.org/2000/svg}title") == product.name
        for unwanted in ("<script", "http://", "https://", "nan", "href"):
            assert unwanted not in svg.replace('xmlns="http://www.w3.org/2000/svg"', ""), product.name
        assert "prefers-color-scheme:dark" in svg
        assert len(svg) < 20_000


def test_the_same_seed_makes_the_same_shop(products: list[catalogue.DemoProduct]) -> None:
    assert catalogue.products() == products
    assert catalogue.products(seed=21) != products


def test_what_a_shop_would_print(products: list[catalogue.DemoProduct]) -> None:
    for product in products:
        assert 900 <= product.price_minor_units <= 200_000
        assert product.price_minor_units % 100 in {0, 90}, product.price_minor_units
        assert product.cost_minor_units < product.price_minor_units
        assert (
            product.list_price_minor_units is None
            or product.list_price_minor_units > product.price_minor_units
        )
        assert "{" not in product.description
        assert product.description.count(".") >= 3
        assert product.description[0].isupper()
        assert product.attributes["colour"] in COLOURS
    sold_out = sum(product.stock == 0 for product in products)
    assert 10 <= sold_out <= 45
    assert 20 <= sum(product.age_days <= catalogue.NEW_DAYS for product in products) <= 90


def test_variants_differ_in_colour_only(products: list[catalogue.DemoProduct]) -> None:
    families: dict[str, list[catalogue.DemoProduct]] = {}
    for product in products:
        if product.variant_group:
            families.setdefault(product.variant_group, []).append(product)
    assert len(families) > 80
    for family in families.values():
        assert len(family) > 1
        assert len({product.colour for product in family}) == len(family)
        for one, other in pairwise(family):
            assert (one.price_minor_units, one.description, one.shape_seed) == (
                other.price_minor_units,
                other.description,
                other.shape_seed,
            )


def test_slugs_are_those_that_the_catalogue_makes_of_the_names() -> None:
    for category in catalogue.categories():
        assert category.path.split("/")[-1] == slugify(category.name), category.name
    for slug, name in catalogue.brands().items():
        assert slug == slugify(name)


@pytest.mark.parametrize("what", DRAWINGS)
def test_any_seed_can_be_drawn(what: str) -> None:
    for number in range(30):
        ElementTree.fromstring(
            draw(what, colour="rust", accent="cream", shape_seed=f"seed {number}", title="A & <b>")
        )


def test_too_many_products_are_refused() -> None:
    with pytest.raises(ValueError, match="can have"):
        catalogue.products(size=5000)


def test_colours_mix() -> None:
    # Half way between black and white, channel by channel: 0 + (255 - 0) · 0.5 = 127.5 → 128 = 0x80.
    assert mix("#000000", "#ffffff", 0.5) == "#808080"
    assert mix("#102030", "#ffffff", 0.0) == "#102030"
    assert darker("#808080", 1.0) == "#14161a"
    assert lighter("#808080", 1.0) == "#fffaf0"


def test_passwords_differ() -> None:
    passwords = {new_password() for _ in range(200)}
    assert len(passwords) == 200
    assert all(len(password) > 20 for password in passwords)
