from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client

from accounts import vault
from accounts.models import Customer
from catalog.models import Product
from storefront.models import CartLine, OutboxEvent, ShopAccount, ShopOrder
from storefront.services import payments
from storefront.services.cart import OutOfStock, cart_add, cart_find_or_create
from storefront.services.checkout import Delivery, EmptyCart, order_place

FORM = {
    "email": "guest@mail.example",
    "name": "Gudrun Gast",
    "street": "Lange Reihe 7",
    "postal_code": "20099",
    "city": "Hamburg",
    "country": "DE",
    "payment_method": "card",
    "card_number": payments.EXAMPLE_CARD,
    "card_expiry": "12/35",
    "card_code": "123",
}
DELIVERY = Delivery("guest@mail.example", "Gudrun Gast", "Lange Reihe 7", "20099", "Hamburg", "DE")


def order_of(client: Client) -> ShopOrder:
    answer = client.post("/checkout/", FORM)
    assert answer.status_code == 302, answer.content.decode()
    return ShopOrder.all_stores.get(access_token=answer["Location"].strip("/").split("/")[-1])


def test_a_guest_orders(client: Client, tent: Product) -> None:
    client.post("/cart/add/", {"product_id": "T1", "quantity": "2"})
    order = order_of(client)
    assert (order.subtotal_minor_units, order.shipping_minor_units, order.total_minor_units) == (
        41800,
        0,
        41800,
    )
    assert list(order.lines.values_list("name", "quantity", "unit_price_minor_units")) == [
        ("Curlew tent", 2, 20900)
    ]
    assert (order.payment_method, order.payment_reference, order.account) == (
        "card",
        "Card ending in 4242",
        None,
    )
    tent.refresh_from_db()
    assert tent.stock == 1
    assert not CartLine.objects.for_store(order.store_id).exists()
    assert order.number in client.get(f"/checkout/done/{order.access_token}/").content.decode()


def test_identifiers_stand_in_the_vault_only(client: Client, tent: Product) -> None:
    client.post("/cart/add/", {"product_id": "T1"})
    order = order_of(client)
    assert order.customer is not None
    assert vault.get(order.customer, "address") == "Lange Reihe 7\n20099 Hamburg\nDE"
    assert vault.find_by_email(order.store, "GUEST@mail.example") == [order.customer]
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(
                f'SELECT count(*) FROM "{table}" AS row WHERE row::text ~ %s',
                ["guest@mail|Lange Reihe|Gudrun"],
            )
            assert cursor.fetchone() == (0,), table


def test_the_sale_and_its_event_are_one_transaction(client: Client, tent: Product) -> None:
    client.post("/cart/add/", {"product_id": "T1"})
    order = order_of(client)
    event = OutboxEvent.objects.for_store(order.store_id).get()
    assert event.sent_at is None
    message = event.message
    assert (message["event"], message["properties"]["order_id"]) == ("Order Completed", order.number)
    assert message["userId"] == order.customer.external_id
    assert message["anonymousId"] is None
    assert message["properties"]["total"] == 209.0
    assert message["properties"]["products"][0]["product_id"] == "T1"


def test_an_agreeing_browser_is_named_in_the_event(client: Client, tent: Product) -> None:
    client.cookies["etalage_anonymous_id"] = "browser-1"
    client.post("/cart/add/", {"product_id": "T1"})
    order_of(client)
    assert OutboxEvent.all_stores.get().message["anonymousId"] == "browser-1"


def test_a_customers_order_is_theirs(shopper: Client, account: ShopAccount, tent: Product) -> None:
    shopper.post("/cart/add/", {"product_id": "T1"})
    order = order_of(shopper)
    assert (order.account, order.customer) == (account, account.customer)
    page = shopper.get("/account/").content.decode()
    assert order.number in page
    # The next time the address is known.
    shopper.post("/cart/add/", {"product_id": "T1"})
    assert 'value="Lange Reihe 7"' in shopper.get("/checkout/").content.decode()


def test_sent_twice_it_is_ordered_once(client: Client, tent: Product) -> None:
    client.post("/cart/add/", {"product_id": "T1"})
    order_of(client)
    again = client.post("/checkout/", FORM)
    assert again["Location"] == "/cart/"
    assert ShopOrder.all_stores.count() == 1
    cart = cart_find_or_create(store=tent.store, account=None, cart_id=None)
    with pytest.raises(EmptyCart):
        order_place(
            cart=cart, account=None, delivery=DELIVERY, payment=payments.pay_by_transfer(), anonymous_id=None
        )


def test_when_somebody_was_quicker_nothing_is_changed(tent: Product, stove: Product) -> None:
    cart = cart_find_or_create(store=tent.store, account=None, cart_id=None)
    cart_add(cart=cart, product=stove)
    cart_add(cart=cart, product=tent, quantity=3)
    Product.objects.for_store(tent.store_id).filter(pk=tent.pk).update(stock=2)
    with pytest.raises(OutOfStock) as shortage:
        order_place(
            cart=cart, account=None, delivery=DELIVERY, payment=payments.pay_by_transfer(), anonymous_id=None
        )
    assert shortage.value.available == 2
    stove.refresh_from_db()
    assert stove.stock == 10
    assert cart.lines.count() == 2
    assert not ShopOrder.all_stores.exists()
    assert not OutboxEvent.all_stores.exists()
    assert not Customer.objects.for_store(tent.store_id).exists()


@pytest.mark.parametrize(
    "change, words",
    [
        ({"email": "nobody"}, "valid email"),
        ({"postal_code": "<b>"}, "postcode"),
        ({"card_number": "1234"}, "not a card number"),
        ({"card_number": "4000000000000002"}, "declined"),
        ({"payment_method": "gold"}, "not one of the available choices"),
        ({"payment_method": "debit"}, "not an IBAN"),
        ({"payment_method": "voucher", "voucher_code": "GIFT"}, "A voucher looks like"),
        ({"country": "XX"}, "not one of the available choices"),
    ],
)
def test_what_cannot_be_delivered_or_paid_is_said_and_not_ordered(
    client: Client, tent: Product, change: dict[str, str], words: str
) -> None:
    client.post("/cart/add/", {"product_id": "T1"})
    answer = client.post("/checkout/", FORM | change)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    tent.refresh_from_db()
    assert tent.stock == 3
    assert not ShopOrder.all_stores.exists()


def test_only_the_chosen_means_of_payment_is_checked(client: Client, tent: Product) -> None:
    client.post("/cart/add/", {"product_id": "T1"})
    answer = client.post(
        "/checkout/", FORM | {"payment_method": "bank_transfer", "card_number": "", "iban": "x"}
    )
    assert answer.status_code == 302
    assert ShopOrder.all_stores.get().status == ShopOrder.Status.AWAITING_PAYMENT


def test_a_secret_is_not_shown_again(client: Client, tent: Product) -> None:
    client.post("/cart/add/", {"product_id": "T1"})
    page = client.post("/checkout/", FORM | {"email": "nobody"}).content.decode()
    assert 'value="Lange Reihe 7"' in page
    assert 'value="123"' not in page
    assert f'value="{payments.EXAMPLE_CARD}"' not in page


def test_without_a_cart_there_is_no_checkout(client: Client, tent: Product) -> None:
    assert client.get("/checkout/")["Location"] == "/cart/"


def test_an_order_is_shown_to_its_token_and_nobody_else(
    client: Client, account: ShopAccount, tent: Product
) -> None:
    client.post("/cart/add/", {"product_id": "T1"})
    order = order_of(client)
    assert client.get("/checkout/done/6f1c0a55-52a8-4f56-9d3e-2f9a1f6b7c11/").status_code == 404
    client.force_login(account.user, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(f"/account/orders/{order.number}/").status_code == 404
