from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import Store
from catalog.models import Product
from storefront.models import Cart, CartLine, ShopAccount
from storefront.selectors.cart import priced_cart
from storefront.services.cart import (
    OutOfStock,
    cart_add,
    cart_adopt,
    cart_find,
    cart_find_or_create,
    cart_set_quantity,
)
from tests.storefront.conftest import PASSWORD


def lines_of(cart: Cart) -> dict[str, int]:
    return dict(cart.lines.values_list("product__external_id", "quantity"))


@pytest.fixture
def cart(store: Store) -> Cart:
    return cart_find_or_create(store=store, account=None, cart_id=None)


def test_adding_twice_makes_one_line(cart: Cart, tent: Product) -> None:
    cart_add(cart=cart, product=tent)
    cart_add(cart=cart, product=tent, quantity=2)
    assert lines_of(cart) == {"T1": 3}


def test_more_than_there_is_changes_nothing(cart: Cart, tent: Product) -> None:
    cart_add(cart=cart, product=tent, quantity=2)
    with pytest.raises(OutOfStock) as refusal:
        cart_add(cart=cart, product=tent, quantity=2)
    assert refusal.value.available == 3
    assert lines_of(cart) == {"T1": 2}


def test_a_refused_first_line_leaves_no_empty_one(cart: Cart, tent: Product) -> None:
    Product.objects.for_store(cart.store_id).update(stock=0)
    tent.refresh_from_db()
    with pytest.raises(OutOfStock):
        cart_add(cart=cart, product=tent)
    assert lines_of(cart) == {}


def test_quantity_zero_takes_the_product_out(cart: Cart, tent: Product, stove: Product) -> None:
    cart_add(cart=cart, product=tent)
    cart_add(cart=cart, product=stove)
    cart_set_quantity(cart=cart, product=tent, quantity=0)
    assert lines_of(cart) == {"S1": 1}


def test_the_cart_is_priced_with_delivery_below_the_threshold(
    cart: Cart, tent: Product, stove: Product
) -> None:
    # One stove: 48.90 + 4.90 delivery; with a tent of 209.00 delivery is free.
    cart_add(cart=cart, product=stove)
    small = priced_cart(cart, "EUR")
    assert (small.subtotal_minor_units, small.shipping_minor_units, small.total_minor_units) == (
        4890,
        490,
        5380,
    )
    assert small.missing_for_free_shipping_minor_units == 7500 - 4890
    cart_add(cart=cart, product=tent)
    large = priced_cart(cart, "EUR")
    assert (large.subtotal_minor_units, large.shipping_minor_units, large.total_minor_units) == (
        25790,
        0,
        25790,
    )


def test_a_line_that_became_short_cannot_be_delivered(cart: Cart, tent: Product) -> None:
    cart_add(cart=cart, product=tent, quantity=3)
    Product.objects.for_store(cart.store_id).filter(pk=tent.pk).update(stock=1)
    priced = priced_cart(cart, "EUR")
    assert priced.lines[0].is_short
    assert not priced.is_deliverable


def test_adopting_joins_two_carts_within_the_stock(
    cart: Cart, account: ShopAccount, tent: Product, stove: Product
) -> None:
    own = cart_find_or_create(store=account.store, account=account, cart_id=None)
    cart_add(cart=own, product=tent, quantity=2)
    cart_add(cart=cart, product=tent, quantity=2)
    cart_add(cart=cart, product=stove)
    # 2 + 2 tents are wanted and 3 are there.
    assert lines_of(cart_adopt(cart=cart, account=account)) == {"T1": 3, "S1": 1}
    assert not Cart.objects.for_store(account.store).filter(pk=cart.pk).exists()


def test_an_accounts_cart_is_not_found_by_its_id(account: ShopAccount, tent: Product) -> None:
    own = cart_find_or_create(store=account.store, account=account, cart_id=None)
    assert cart_find(store=account.store, account=None, cart_id=own.pk) is None


def test_the_page_adds_and_shows(client: Client, tent: Product) -> None:
    answer = client.post("/cart/add/", {"product_id": "T1", "quantity": "2", "next": "/p/T1/"})
    assert (answer.status_code, answer["Location"]) == (302, "/p/T1/")
    cookie = answer.cookies["shop_cart"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    page = client.get("/cart/").content.decode()
    assert "Curlew tent" in page
    assert "€418.00" in page


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_adding_never_leads_to_another_site(client: Client, tent: Product, elsewhere: str) -> None:
    answer = client.post("/cart/add/", {"product_id": "T1", "next": elsewhere})
    assert answer["Location"] == "/cart/"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"product_id": "T1", "quantity": "0"},
        {"product_id": "T1", "quantity": "-3"},
        {"product_id": "T1", "quantity": "x"},
    ],
)
def test_nonsense_is_refused_and_stores_nothing(
    client: Client, tent: Product, fields: dict[str, str]
) -> None:
    answer = client.post("/cart/add/", fields, follow=True)
    assert answer.status_code == 200
    assert "could not be put into the cart" in answer.content.decode()
    assert not CartLine.objects.for_store(tent.store_id).exists()


def test_an_unknown_product_is_not_found(client: Client, store: Store) -> None:
    assert client.post("/cart/add/", {"product_id": "nothing"}).status_code == 404
    assert not Cart.objects.for_store(store).exists()


def test_changing_the_cart_needs_a_token(tent: Product) -> None:
    careful = Client(enforce_csrf_checks=True)
    assert careful.post("/cart/add/", {"product_id": "T1"}).status_code == 403
    assert not Cart.objects.for_store(tent.store_id).exists()


def test_a_forged_cart_cookie_finds_nothing(client: Client, account: ShopAccount, tent: Product) -> None:
    own = cart_find_or_create(store=account.store, account=account, cart_id=None)
    cart_add(cart=own, product=tent)
    client.cookies["shop_cart"] = str(own.pk)
    assert "Your cart is empty" in client.get("/cart/").content.decode()
    client.post("/cart/update/", {"product_id": "T1", "quantity": "0"})
    assert lines_of(own) == {"T1": 1}


def test_logging_in_keeps_what_was_in_the_cart(client: Client, account: ShopAccount, tent: Product) -> None:
    client.post("/cart/add/", {"product_id": "T1"})
    answer = client.post("/login/", {"username": "mara@shop.example", "password": PASSWORD})
    assert (answer.status_code, answer["Location"]) == (302, "/account/")
    assert answer.cookies["shop_cart"].value == ""
    own = cart_find(store=account.store, account=account, cart_id=None)
    assert own is not None
    assert lines_of(own) == {"T1": 1}
