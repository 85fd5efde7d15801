"""`GET /api/v1/recommendations/{placement}/`: who may ask what, and what comes back."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts import keys
from accounts.models import Scope
from accounts.services.api_keys import api_key_create
from accounts.services.signatures import sign_user_id
from recommendations.models import Impression
from recommendations.serving.tokens import read_impression_token
from tests.factories import StoreFactory
from tests.recommendations.shop import Shop, consenting_customer, consenting_visitor


@pytest.fixture(autouse=True)
def _fresh_keys() -> None:
    keys.forget_all()


def key(shop: Shop, *scopes: str) -> str:
    return api_key_create(store=shop.store, name="test", scopes=scopes)[1]


@pytest.fixture
def get(trained_shop: Shop, client: Client) -> Any:
    """Asks with a public key that may read, or with another one."""
    public = key(trained_shop, Scope.WRITE_PUBLIC, Scope.RECOMMENDATIONS_READ)

    def ask(placement: str = "home", api_key: str | None = public, **parameters: str) -> Any:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        return client.get(f"/api/v1/recommendations/{placement}/", parameters, headers=headers)

    return ask


def test_a_shelf_without_a_shopper(get: Any) -> None:
    response = get(limit="3")
    body = response.json()
    assert response.status_code == 200
    assert response["Cache-Control"] == "private, no-store"
    assert (body["placement"], body["variant"], body["personalised"], body["model_version"]) == (
        "home",
        "non_personal",
        False,
        1,
    )
    assert [item["rank"] for item in body["items"]] == [1, 2, 3]
    first = body["items"][0]
    assert first["price"] == f"{first['price_minor_units'] / 100:.2f}"
    assert first["currency"] == "EUR"
    assert first["reason"]["text"].startswith("Popular in")
    assert sum(first["strategies"].values()) == pytest.approx(first["score"], abs=1e-4)
    assert "trace" not in body


def test_a_visitor_who_agreed_gets_their_own(get: Any, trained_shop: Shop) -> None:
    visitor, _ = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2")
    body = get(visitor_id=visitor.anonymous_id).json()
    assert (body["variant"], body["personalised"]) == ("personalised", True)
    assert body["items"][0]["category"] == "Tents"
    assert body["items"][0]["reason"] == {
        "code": "viewed",
        "text": "Because you viewed Tents 2",
        "product_id": "tents-2",
    }


def test_the_token_tells_what_was_shown_and_names_nobody(get: Any, trained_shop: Shop) -> None:
    visitor, _ = consenting_visitor(trained_shop.store)
    body = get(visitor_id=visitor.anonymous_id).json()
    shown = read_impression_token(body["token"])
    assert shown is not None
    assert (str(shown.request_id), shown.placement, shown.variant, shown.store_id) == (
        body["request_id"], "home", "personalised", trained_shop.store.pk,
    )  # fmt: skip
    assert {product: item.rank for product, item in shown.items.items()} == {
        i["product_id"]: i["rank"] for i in body["items"]
    }
    assert read_impression_token(body["token"][:-2] + "xx") is None


def test_a_public_key_names_a_customer_only_with_the_shops_signature(get: Any, trained_shop: Shop) -> None:
    """Else anybody could read what a customer looks at."""
    customer, _ = consenting_customer(trained_shop.store)
    visitor, _ = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2", customer=customer)
    refused = get(customer_id=customer.external_id)
    forged = get(customer_id=customer.external_id, signature="0" * 64)
    other = get(customer_id=customer.external_id, signature=sign_user_id(trained_shop.store, "somebody-else"))
    signed = get(
        customer_id=customer.external_id, signature=sign_user_id(trained_shop.store, customer.external_id)
    )
    secret = get(api_key=key(trained_shop, Scope.MANAGE), customer_id=customer.external_id)
    assert [r.status_code for r in (refused, forged, other, signed, secret)] == [403, 403, 403, 200, 200]
    assert refused.json()["code"] == "signature_required"
    assert signed.json()["variant"] == secret.json()["variant"] == "personalised"


def test_keys_of_another_store_see_that_store_only(get: Any, trained_shop: Shop) -> None:
    other = StoreFactory()
    _, secret = api_key_create(store=other, name="other", scopes=[Scope.MANAGE])
    customer, _ = consenting_customer(trained_shop.store)
    assert get(api_key=secret).status_code == 404  # it has no placement
    assert get(api_key=secret, customer_id=customer.external_id).json()["code"] == "unknown_placement"


@pytest.mark.parametrize(
    ("placement", "parameters", "status", "code", "field"),
    [
        ("home", {"limit": "-1"}, 400, "invalid", "limit"),
        ("home", {"limit": "0"}, 400, "invalid", "limit"),
        ("home", {"limit": "many"}, 400, "invalid", "limit"),
        ("home", {"limit": "101"}, 400, "invalid", "limit"),
        ("hall", {}, 404, "unknown_placement", None),
        ("similar", {"product_id": "unicorn"}, 404, "unknown_product", None),
        ("category", {"category": "unicorns"}, 404, "unknown_category", None),
        ("home", {"exclude": ",".join(map(str, range(201)))}, 400, "invalid", "exclude"),
        ("home", {"cart": "x" * 121}, 400, "invalid", "cart"),
        ("home", {"visitor_id": "x" * 201}, 400, "invalid", "visitor_id"),
        ("home", {"product_id": "a\x00b"}, 400, "invalid", "product_id"),
        ("home", {"view": "xml"}, 400, "invalid", "view"),
    ],
)
def test_a_wrong_call_says_what_to_change(
    get: Any, placement: str, parameters: dict[str, str], status: int, code: str, field: str | None
) -> None:
    response = get(placement, **parameters)
    body = response.json()
    assert (response.status_code, body["code"]) == (status, code)
    assert body["message"]
    assert list(body.get("details", {})) == ([field] if field else [])
    assert not Impression.all_stores.exists()


def test_without_a_key_or_with_a_wrong_one(get: Any, trained_shop: Shop) -> None:
    assert get(api_key=None).status_code == 401
    assert get(api_key="nonsense").status_code == 401
    write_only = key(trained_shop, Scope.WRITE_PUBLIC)
    assert get(api_key=write_only).status_code == 403


def test_explanations_need_the_scope(get: Any, trained_shop: Shop) -> None:
    visitor, _ = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2")
    assert get(explain="1", visitor_id=visitor.anonymous_id).status_code == 403
    body = get(api_key=key(trained_shop, Scope.MANAGE), explain="1", visitor_id=visitor.anonymous_id).json()
    trace = body["trace"]
    assert trace["weights_source"] == "everybody, 1 to 4 interactions"
    assert trace["known_interactions"] == 1
    assert [entry["product_id"] for entry in trace["items"]] == [item["product_id"] for item in body["items"]]
    for entry, item in zip(trace["items"], body["items"], strict=True):
        assert entry["score"] == item["score"]
        assert entry["moves"] == []
        assert entry["propensity"] is None


def test_the_shelf_as_markup_for_the_web_component(get: Any, trained_shop: Shop) -> None:
    response = get(view="html", limit="2")
    page = response.content.decode()
    assert response["Content-Type"].startswith("text/html")
    assert page.count('class="etalage-card"') == 2
    assert "data-request-id" in page
    assert "etalage-card__forget" not in page  # there is nowhere to send it from another site


def test_a_shelf_elsewhere_takes_answers_where_its_key_may(get: Any, trained_shop: Shop) -> None:
    visitor, _ = consenting_visitor(trained_shop.store)
    both = key(trained_shop, Scope.RECOMMENDATIONS_READ, Scope.WRITE_PUBLIC)
    own = get(api_key=both, view="html", visitor_id=visitor.anonymous_id).content.decode()
    assert own.count('action="/api/v1/forgotten-products/"') == own.count('data-etalage-pause="1"') > 0
    reader = key(trained_shop, Scope.RECOMMENDATIONS_READ)
    reads = get(api_key=reader, view="html", visitor_id=visitor.anonymous_id).content.decode()
    assert "etalage-card__forget" not in reads
    assert 'data-etalage-pause="1"' in reads
    paused = get(api_key=both, view="html", visitor_id=visitor.anonymous_id, paused="1").content.decode()
    assert 'data-etalage-pause="0"' in paused
    assert "etalage-card__forget" not in paused
    assert "data-etalage-pause" not in get(api_key=both, view="html").content.decode()


def test_markup_in_a_name_comes_back_escaped(get: Any, trained_shop: Shop) -> None:
    from catalog.models import Product
    from recommendations.serving import versions

    Product.objects.for_store(trained_shop.store).update(name="<script>alert(1)</script>")
    versions._increment(trained_shop.store.pk, versions.Part.CATALOGUE)
    trained_shop.views(consenting_visitor(trained_shop.store)[0], "tents-1")
    page = get(view="html").content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_an_origin_that_the_key_does_not_allow(get: Any, trained_shop: Shop, client: Client) -> None:
    allowed, secret = api_key_create(
        store=trained_shop.store,
        name="web",
        scopes=[Scope.RECOMMENDATIONS_READ],
        allowed_origins=["https://shop.example"],
    )
    assert allowed.allowed_origins == ["https://shop.example"]
    headers = {"X-Api-Key": secret}
    path = "/api/v1/recommendations/home/"
    assert client.get(path, headers={**headers, "Origin": "https://shop.example"}).status_code == 200
    assert client.get(path, headers={**headers, "Origin": "https://evil.example"}).status_code == 403


def test_the_schema_has_the_endpoint_with_an_example(client: Client, db: None) -> None:
    schema = client.get("/api/schema/?format=json").json()
    operation = schema["paths"]["/api/v1/recommendations/{placement}/"]["get"]
    assert {p["name"] for p in operation["parameters"]} >= {
        "limit",
        "category",
        "exclude",
        "product_id",
        "cart",
        "explain",
        "customer_id",
    }
    assert operation["responses"]["200"]["content"]["application/json"]["examples"]
