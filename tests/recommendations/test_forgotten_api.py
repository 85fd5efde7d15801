"""`POST /api/v1/forgotten-products/` and `paused=1`: what a shopper says at a shelf of a shop on another origin."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts import keys
from accounts.models import Scope
from accounts.services.api_keys import api_key_create
from accounts.services.signatures import sign_user_id
from recommendations.models import ForgottenProduct
from tests.recommendations.shop import Shop, consenting_customer, consenting_visitor

ADDRESS = "/api/v1/forgotten-products/"


@pytest.fixture(autouse=True)
def _fresh_keys() -> None:
    keys.forget_all()


def bearer(shop: Shop, *scopes: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key_create(store=shop.store, name='test', scopes=scopes)[1]}"}


@pytest.fixture
def public(trained_shop: Shop) -> dict[str, str]:
    return bearer(trained_shop, Scope.WRITE_PUBLIC, Scope.RECOMMENDATIONS_READ)


def post(client: Client, headers: dict[str, str], **values: str) -> Any:
    return client.post(ADDRESS, values, content_type="application/json", headers=headers)


def shown(client: Client, headers: dict[str, str], **asked: str) -> list[str]:
    body = client.get("/api/v1/recommendations/home/", asked, headers=headers).json()
    return [item["product_id"] for item in body["items"]]


@pytest.mark.django_db(transaction=True)
def test_the_next_shelf_leaves_it_out(client: Client, trained_shop: Shop, public: dict[str, str]) -> None:
    visitor, _ = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2")
    first = shown(client, public, visitor_id=visitor.anonymous_id)[0]
    for _again in range(2):
        response = post(client, public, product_id=first, visitor_id=visitor.anonymous_id)
        assert (response.status_code, response.json()) == (200, {"forgotten": True})
    assert ForgottenProduct.all_stores.count() == 1
    assert first not in shown(client, public, visitor_id=visitor.anonymous_id)


def test_without_permission_nothing_is_kept(client: Client, public: dict[str, str]) -> None:
    response = post(client, public, product_id="tents-1", visitor_id="who-refused")
    assert (response.status_code, response.json()) == (200, {"forgotten": False})
    assert not ForgottenProduct.all_stores.exists()


def test_global_privacy_control_is_no_permission(
    client: Client, trained_shop: Shop, public: dict[str, str]
) -> None:
    """Somebody who once said yes, and whose browser now says no."""
    visitor, _ = consenting_visitor(trained_shop.store)
    asked = {"product_id": "tents-1", "visitor_id": visitor.anonymous_id}
    assert post(client, {**public, "Sec-GPC": "1"}, **asked).json() == {"forgotten": False}
    assert not ForgottenProduct.all_stores.exists()
    assert post(client, public, **asked).json() == {"forgotten": True}


def test_a_key_of_another_origin_is_refused(client: Client, trained_shop: Shop) -> None:
    visitor, _ = consenting_visitor(trained_shop.store)
    scopes, origins = [Scope.WRITE_PUBLIC], ["https://tents.example"]
    _, secret = api_key_create(store=trained_shop.store, name="page", scopes=scopes, allowed_origins=origins)
    headers = {"X-Api-Key": secret}
    asked = {"product_id": "tents-1", "visitor_id": visitor.anonymous_id}
    assert post(client, {**headers, "Origin": "https://evil.example"}, **asked).status_code == 403
    assert not ForgottenProduct.all_stores.exists()
    assert post(client, {**headers, "Origin": "https://tents.example"}, **asked).status_code == 200


def test_a_customer_needs_the_shops_signature(
    client: Client, trained_shop: Shop, public: dict[str, str]
) -> None:
    customer, _ = consenting_customer(trained_shop.store)
    named = {"product_id": "tents-1", "customer_id": customer.external_id}
    assert post(client, public, **named).status_code == 403
    assert not ForgottenProduct.all_stores.exists()
    signature = sign_user_id(trained_shop.store, customer.external_id)
    assert post(client, public, **named, signature=signature).json() == {"forgotten": True}
    assert ForgottenProduct.all_stores.get().customer_id == customer.pk


def test_a_key_that_only_reads_is_refused(client: Client, trained_shop: Shop) -> None:
    visitor, _ = consenting_visitor(trained_shop.store)
    reader = bearer(trained_shop, Scope.RECOMMENDATIONS_READ)
    assert post(client, reader, product_id="tents-1", visitor_id=visitor.anonymous_id).status_code == 403
    assert post(client, {}, product_id="tents-1", visitor_id=visitor.anonymous_id).status_code == 401
    assert not ForgottenProduct.all_stores.exists()


def test_somebody_must_be_named(client: Client, public: dict[str, str]) -> None:
    assert post(client, public, product_id="tents-1").status_code == 400
    assert not ForgottenProduct.all_stores.exists()


def test_a_paused_shopper_gets_what_everybody_gets(
    client: Client, trained_shop: Shop, public: dict[str, str]
) -> None:
    visitor, _ = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2")
    everybody = shown(client, public)
    paused = client.get(
        "/api/v1/recommendations/home/",
        {"visitor_id": visitor.anonymous_id, "paused": "1"},
        headers=public,
    ).json()
    assert (paused["variant"], paused["personalised"]) == ("non_personal", False)
    assert [item["product_id"] for item in paused["items"]] == everybody
