from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.personal_data import Subject
from accounts.selectors.identity import find_subjects, subject_of
from catalog.models import Product
from storefront.models import Cart, OutboxEvent, ShopAccount, ShopOrder
from storefront.privacy import CART_DAYS, ORDER_DAYS, erase, expire_carts, expire_orders, export
from tests.storefront.test_checkout import FORM, order_of


def exported(subject: Subject) -> dict[str, list[dict[str, Any]]]:
    return {table.name: [dict(row) for row in table.rows] for table in export(subject)}


@pytest.fixture
def ordered(shopper: Client, account: ShopAccount, tent: Product, stove: Product) -> ShopOrder:
    """An order of the tent, and a stove in the cart."""
    shopper.post("/cart/add/", {"product_id": "T1"})
    order = order_of(shopper)
    shopper.post("/cart/add/", {"product_id": "S1", "quantity": "2"})
    return order


def test_an_export_holds_account_cart_orders_and_what_waits(ordered: ShopOrder, account: ShopAccount) -> None:
    tables = exported(subject_of(account.customer))
    assert tables["shop_account"][0]["email"] == "mara@shop.example"
    assert [(row["name"], row["quantity"]) for row in tables["cart"]] == [("Drift stove", 2)]
    assert [(row["order"], row["product"], row["paid_by"]) for row in tables["shop_orders"]] == [
        (ordered.number, "Curlew tent", "Card")
    ]
    assert [row["message"].get("event") for row in tables["messages_to_etalage"]] == [None, "Order Completed"]


def test_an_erasure_unlinks_orders_and_deletes_the_rest(ordered: ShopOrder, account: ShopAccount) -> None:
    subject = subject_of(account.customer)
    token = ordered.access_token
    report = erase(subject)
    assert report.deleted == {"carts": 1, "messages to Etalage": 2, "shop accounts": 1}
    assert [(kept.what, kept.count) for kept in report.kept] == [("shop orders", 1)]
    ordered.refresh_from_db()
    assert (ordered.customer, ordered.account, ordered.payment_reference) == (None, None, "")
    assert ordered.access_token != token
    assert ordered.lines.get().name == "Curlew tent"
    assert not any(exported(subject).values())
    assert erase(subject).deleted == {"carts": 0, "messages to Etalage": 0, "shop accounts": 0}, (
        "it may be run again"
    )


def test_an_erasure_leaves_everybody_else_alone(
    ordered: ShopOrder, account: ShopAccount, stove: Product
) -> None:
    guest = Client()
    guest.post("/cart/add/", {"product_id": "S1"})
    other = order_of(guest)
    erase(subject_of(account.customer))
    other.refresh_from_db()
    assert other.customer is not None
    assert OutboxEvent.objects.for_store(other.store_id).filter(customer=other.customer).count() == 1


def test_a_guest_is_found_by_the_address_of_the_order(client: Client, tent: Product) -> None:
    client.post("/cart/add/", {"product_id": "T1"})
    order = order_of(client)
    (subject,) = find_subjects(order.store, email=FORM["email"])
    assert [row["order"] for row in exported(subject)["shop_orders"]] == [order.number]
    erase(subject)
    order.refresh_from_db()
    assert order.customer is None


def test_a_browser_without_account_is_nobodys_orders(ordered: ShopOrder, account: ShopAccount) -> None:
    erase(subject_of(account.customer))
    # Unlinked orders have no customer, and neither has this subject: they must not meet.
    assert exported(Subject(store=account.store, anonymous_ids=("browser-1",)))["shop_orders"] == []


def test_old_carts_and_orders_end(ordered: ShopOrder, account: ShopAccount) -> None:
    now = timezone.now()
    assert (expire_carts(now), expire_orders(now)) == (0, 0)
    Cart.all_stores.update(updated_at=now - timedelta(days=CART_DAYS + 1))
    ShopOrder.all_stores.update(placed_at=now - timedelta(days=ORDER_DAYS + 1))
    assert (expire_carts(now), expire_orders(now)) == (1, 1)
