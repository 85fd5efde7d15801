from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.test import Client
from django.urls import path
from pytest_django import DjangoAssertNumQueries

from accounts.models import Store
from catalog.models import Category, Product
from config.urls import handler400, handler403, handler404, handler500
from config.urls import urlpatterns as real_urls
from storefront.models import ShopAccount
from tests.factories import ProductFactory, UserFactory

PAGES = [
    "/",
    "/c/camping/",
    "/c/camping/tents/",
    "/search/",
    "/search/?q=tent",
    "/p/T1/",
    "/cart/",
    "/login/",
    "/sign-up/",
]


def broken(request: object) -> None:
    raise RuntimeError("on purpose")


urlpatterns = [path("broken/", broken), *real_urls]
__all__ = ["handler400", "handler403", "handler404", "handler500"]


class Outline(HTMLParser):
    """What a page is made of, as far as these tests ask."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize("address", PAGES)
def test_every_page_is_whole_and_keeps_the_policy(client: Client, tent: Product, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 200
    outline = Outline(answer.content.decode())
    assert len(outline.all("h1")) == 1
    assert len(outline.all("main")) == 1
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids)), "ids must differ"
    for tag, attributes in outline.tags:
        assert "style" not in attributes, (tag, attributes)
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        if tag == "script" and attributes.get("type") != "application/json":
            assert attributes.get("src"), "scripts come from files"
        if tag == "img":
            assert "alt" in attributes
            assert attributes["width"]
            assert attributes["height"], "room is kept for pictures"
        for reference in ("src", "href", "action"):
            assert not (attributes.get(reference) or "").startswith(("http:", "https:", "//")), (
                "nothing from elsewhere"
            )
    assert not outline.all("style")
    fields = [
        field for field in outline.all("input") + outline.all("select") if field.get("type") not in {"hidden"}
    ]
    labels = {label["for"] for label in outline.all("label") if label.get("for")}
    wrapped = answer.content.decode().count("<label")
    assert all(field.get("aria-label") or field.get("id") in labels or wrapped for field in fields)


@pytest.mark.parametrize("address", PAGES)
def test_privacy_is_one_step_away(client: Client, tent: Product, address: str) -> None:
    assert 'href="/privacy/"' in client.get(address).content.decode()


def test_a_product_says_what_it_is(client: Client, tent: Product) -> None:
    page = client.get("/p/T1/").content.decode()
    for words in ("Curlew tent", "€209.00", "Only 3 left", "Pitches in the time", "Fellmark", "Add to cart"):
        assert words in page
    assert '"product_id": "T1"' in page, "the tracker is told"


def test_sold_out_cannot_be_bought(client: Client, tent: Product) -> None:
    Product.objects.for_store(tent.store_id).update(stock=0)
    page = client.get("/p/T1/").content.decode()
    assert "Sold out for now" in page
    assert "Add to cart" not in page


def test_what_is_not_sold_any_more_keeps_its_page(client: Client, tent: Product) -> None:
    Product.objects.for_store(tent.store_id).update(is_active=False)
    page = client.get("/p/T1/")
    assert page.status_code == 200
    assert "No longer in our shop" in page.content.decode()
    assert "Curlew tent" not in client.get("/c/camping/").content.decode()


def test_another_stores_product_is_not_found(client: Client, tent: Product) -> None:
    ProductFactory(external_id="FOREIGN", name="Foreign lamp")
    assert client.get("/p/FOREIGN/").status_code == 404
    assert "Foreign lamp" not in client.get("/search/?q=lamp").content.decode()


@pytest.mark.parametrize("address", ["/nowhere/", "/c/nothing/", "/p/nothing/", "/c/camping/nothing/"])
def test_a_missing_page_looks_like_the_shop(client: Client, tent: Product, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 404
    assert "This path leads nowhere" in answer.content.decode()
    assert 'class="site-header"' in answer.content.decode()


def test_without_a_shop_the_answer_is_a_page_too(client: Client, db: None, settings: object) -> None:
    settings.ETALAGE_STOREFRONT_STORE = "nobody"  # type: ignore[attr-defined]
    answer = client.get("/")
    assert answer.status_code == 404
    assert "Wren" in answer.content.decode()


@pytest.mark.urls("tests.storefront.test_pages")
def test_a_fault_looks_like_the_shop_and_tells_nothing(store: Store) -> None:
    calm = Client(raise_request_exception=False)
    answer = calm.get("/broken/")
    assert answer.status_code == 500
    assert "Something broke on our side" in answer.content.decode()
    assert "on purpose" not in answer.content.decode()


def test_who_carries_no_cookie_shares_the_page(client: Client, tent: Product) -> None:
    answer = client.get("/c/camping/")
    assert answer["Cache-Control"] == "public, max-age=0, s-maxage=30"
    assert "Cookie" in answer["Vary"]
    assert not answer.cookies


def test_who_carries_one_does_not(client: Client, tent: Product) -> None:
    client.post("/cart/add/", {"product_id": "T1"})
    answer = client.get("/c/camping/")
    assert "private" in answer["Cache-Control"]
    assert '<span class="count-badge">1' in answer.content.decode()


@pytest.mark.parametrize("address", ["/cart/", "/login/"])
def test_personal_pages_are_never_kept(client: Client, tent: Product, address: str) -> None:
    assert "no-store" in client.get(address)["Cache-Control"]


def test_a_category_asks_the_database_the_same_for_any_number_of_products(
    client: Client, store: Store, tents: Category, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    ProductFactory.create_batch(3, store=store, category=tents)
    client.get("/c/camping/?sort=price")
    with django_assert_max_num_queries(14) as few:
        client.get("/c/camping/?sort=price")
    ProductFactory.create_batch(20, store=store, category=tents)
    with django_assert_max_num_queries(len(few)):
        client.get("/c/camping/?sort=price")


def test_a_login_is_signed_for_the_tracker(shopper: Client, account: ShopAccount, tent: Product) -> None:
    page = shopper.get("/").content.decode()
    assert account.customer.external_id in page
    assert re.search(r'"signature": "[0-9a-f]{64}"', page)


def test_pictures_are_kept_for_long_and_run_nothing(
    client: Client, store: Store, settings: object, tmp_path: Path
) -> None:
    settings.ETALAGE_MEDIA_DIR = tmp_path / "media"  # type: ignore[attr-defined]
    (tmp_path / "media/products").mkdir(parents=True)
    (tmp_path / "media/products/t1.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (tmp_path / "media/notes.txt").write_text("no picture")
    (tmp_path / "secret.svg").write_text("outside")
    answer = client.get("/media/products/t1.svg")
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/svg+xml")
    assert answer["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer["Content-Security-Policy"].startswith("default-src 'none'")
    assert b"".join(answer.streaming_content).startswith(b"<svg")
    for address in (
        "/media/notes.txt",
        "/media/../secret.svg",
        "/media/%2e%2e/secret.svg",
        "/media/products",
        "/media/none.svg",
    ):
        assert client.get(address).status_code == 404, address


@pytest.mark.django_db
def test_without_a_shop_a_missing_page_is_told_to_whoever_is_logged_in(client: Client) -> None:
    assert not Store.objects.exists()
    client.force_login(UserFactory(), backend="django.contrib.auth.backends.ModelBackend")
    answer = client.get("/nowhere/")
    assert answer.status_code == 404
    assert "This path leads nowhere." in answer.content.decode()
