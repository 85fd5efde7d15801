"""The template tags and what the browser's script asks for."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.template import Context, Template
from django.test import Client, RequestFactory

from recommendations.models import ForgottenProduct
from recommendations.templatetags.etalage import personal_order
from tests.recommendations.shop import Shop, consenting_visitor


@pytest.fixture
def page(trained_shop: Shop, settings: Any) -> Any:
    """Renders a template as a page of the shop."""
    settings.ETALAGE_STOREFRONT_STORE = trained_shop.store.slug

    def render(source: str, request: HttpRequest | None = None, **context: Any) -> str:
        request = request or RequestFactory().get("/")
        if not hasattr(request, "user"):
            request.user = AnonymousUser()
        return Template("{% load etalage %}" + source).render(Context({"request": request, **context}))

    return render


def products_in(html: str) -> list[str]:
    return re.findall(r'<li class="etalage-card" data-product-id="([^"]+)"', html)


def test_everybody_gets_the_same_shelf_in_the_page(page: Any, trained_shop: Shop) -> None:
    visitor, _ = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2")
    request = RequestFactory().get("/")
    request.COOKIES["etalage_anonymous_id"] = visitor.anonymous_id
    html = page('{% etalage_shelf "home" %}', request)
    cleaned = [
        re.sub(r"etalage-home-[0-9a-f]{8}", "ID", text) for text in (html, page('{% etalage_shelf "home" %}'))
    ]
    assert cleaned[0] == cleaned[1]
    assert len(products_in(html)) == 12
    # What is the same for all is no impression of anybody.
    assert "data-request-id" not in html
    assert "data-token" not in html
    assert "etalage-card__forget" not in html
    assert '<etalage-shelf placement="home"' in html


def test_the_markup_says_what_assistive_technology_and_the_tracker_need(page: Any) -> None:
    html = page('{% etalage_shelf "home" limit=3 %}')
    heading = re.search(r'<h2 class="etalage-shelf__title" id="([^"]+)">Popular right now</h2>', html)
    assert heading is not None
    assert f'aria-labelledby="{heading[1]}"' in html
    assert html.index("data-etalage-step") < html.index('<ul class="etalage-shelf__list"')
    assert re.search(
        r'<div class="etalage-shelf__steps" hidden>', html
    )  # nothing to press before the script is there
    card = re.search(r'<li class="etalage-card".*?</li>', html, re.S)
    assert card is not None
    assert card[0].count("<a ") == 2  # the card, and "your choices" in the disclosure
    for attribute in ("data-rank", "data-strategy", "data-variant", "data-placement", "data-product-id"):
        assert f'{attribute}="' in card[0]
    assert "€" in card[0]


def test_no_product_and_no_variant_family_stands_twice_on_a_page(page: Any, trained_shop: Shop) -> None:
    from catalog.models import Product

    Product.objects.for_store(trained_shop.store).filter(
        external_id__in=["kettles-4", "kettles-5", "kettles-6"]
    ).update(variant_group="k")
    html = page(
        '{% etalage_shelf "home" %}{% etalage_shelf "trending" %}{% etalage_shelf "similar" product="boots-1" %}'
    )
    shown = products_in(html)
    assert len(shown) == len(set(shown)) > 24
    assert len({"kettles-4", "kettles-5", "kettles-6"} & set(shown)) == 1


def test_what_the_page_lists_itself_is_left_out(page: Any) -> None:
    listed = products_in(page('{% etalage_shelf "trending" limit=3 %}'))
    html = page('{% etalage_shown ids %}{% etalage_shelf "trending" %}', ids=listed)
    assert not set(listed) & set(products_in(html))


def test_a_personal_shelf_made_in_the_page(page: Any, trained_shop: Shop) -> None:
    visitor, _ = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2")
    request = RequestFactory().get("/")
    request.COOKIES["etalage_anonymous_id"] = visitor.anonymous_id
    html = page('{% etalage_shelf "home" personal=True %}', request)
    assert "Because you viewed Tents 2" in html
    assert 'data-variant="personalised"' in html
    assert "data-request-id" in html
    assert "etalage-card__forget" in html
    assert " final>" in html


def test_an_optional_shelf_waits_empty(page: Any) -> None:
    html = page('{% etalage_shelf "recently-viewed" %}')
    assert " waits>" in html
    assert not products_in(html)


def test_a_shelf_that_cannot_be_made_leaves_the_page_whole(page: Any, settings: Any, caplog: Any) -> None:
    assert page('<p>{% etalage_shelf "hall" %}</p>') == "<p></p>"
    assert "shelf.not_rendered" in caplog.text
    settings.ETALAGE_STOREFRONT_STORE = "closed"
    assert page('<p>{% etalage_shelf "home" %}</p>') == "<p></p>"


def test_the_shop_may_bring_its_own_template(page: Any, tmp_path: Any, settings: Any) -> None:
    (tmp_path / "row.html").write_text(
        "{% for item in shelf.items %}[{{ item.product.external_id }}]{% endfor %}"
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path, *settings.TEMPLATES[0]["DIRS"]]}]
    assert page('{% etalage_shelf "trending" limit=2 template="row.html" %}').count("[") == 2


def test_the_script_gets_the_shoppers_own_shelf_privately(
    page: Any, trained_shop: Shop, client: Client
) -> None:
    visitor, _ = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2")
    client.cookies["etalage_anonymous_id"] = visitor.anonymous_id
    response = client.get("/etalage/shelf/home/", {"exclude": "tents-3,tents-4", "limit": "4"})
    html = response.content.decode()
    assert response.status_code == 200
    assert response["Cache-Control"] == "private, no-store"
    assert len(products_in(html)) == 4
    assert not {"tents-3", "tents-4"} & set(products_in(html))
    assert "Because you viewed Tents 2" in html
    assert re.search(r'data-token="[^"]{40,}"', html)


def test_an_optional_shelf_has_no_content_to_exchange(page: Any, trained_shop: Shop, client: Client) -> None:
    visitor, _ = consenting_visitor(trained_shop.store)
    client.cookies["etalage_anonymous_id"] = visitor.anonymous_id
    assert client.get("/etalage/shelf/recently-viewed/").status_code == 204


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/etalage/shelf/hall/", 404, "unknown_placement"),
        ("/etalage/shelf/home/?limit=-1", 400, "invalid_limit"),
        ("/etalage/shelf/home/?limit=x", 400, "invalid_limit"),
        ("/etalage/shelf/similar/?product_id=unicorn", 404, "unknown_product"),
    ],
)
def test_the_script_is_refused_plainly(page: Any, client: Client, path: str, status: int, code: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.json()["code"]) == (status, code)


def test_not_this_works_as_a_form_and_by_script(page: Any, trained_shop: Shop, client: Client) -> None:
    visitor, _ = consenting_visitor(trained_shop.store)
    client.cookies["etalage_anonymous_id"] = visitor.anonymous_id
    form = client.post(
        "/etalage/not-this/", {"product_id": "tents-1"}, headers={"Referer": "http://testserver/cart/"}
    )
    script = client.post(
        "/etalage/not-this/", {"product_id": "tents-2"}, headers={"X-Requested-With": "etalage"}
    )
    assert (form.status_code, form["Location"], script.status_code) == (302, "http://testserver/cart/", 204)
    forgotten = ForgottenProduct.objects.for_store(trained_shop.store)
    assert set(forgotten.values_list("product_id", "visitor_id")) == {
        ("tents-1", visitor.pk),
        ("tents-2", visitor.pk),
    }


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
def test_not_this_from_another_site_changes_nothing(
    page: Any, trained_shop: Shop, client: Client, headers: dict[str, str]
) -> None:
    visitor, _ = consenting_visitor(trained_shop.store)
    client.cookies["etalage_anonymous_id"] = visitor.anonymous_id
    assert client.post("/etalage/not-this/", {"product_id": "tents-1"}, headers=headers).status_code == 403
    assert client.post("/etalage/pause/", headers=headers).status_code == 403
    assert not ForgottenProduct.objects.for_store(trained_shop.store).exists()


def test_not_this_never_sends_shoppers_to_another_site(page: Any, client: Client) -> None:
    response = client.post("/etalage/not-this/", {"product_id": "tents-1", "next": "https://evil.example/"})
    assert response["Location"] == "/"


def test_pausing_is_one_click_and_leaves_no_id(page: Any, trained_shop: Shop, client: Client) -> None:
    visitor, _ = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2")
    client.cookies["etalage_anonymous_id"] = visitor.anonymous_id
    assert "Because you viewed" in client.get("/etalage/shelf/home/").content.decode()
    client.post("/etalage/pause/")
    assert client.cookies["etalage_pause"].value == "1"
    assert "Because you viewed" not in client.get("/etalage/shelf/home/").content.decode()
    client.post("/etalage/resume/")
    assert "Because you viewed" in client.get("/etalage/shelf/home/").content.decode()


def test_a_listing_in_the_shoppers_order(page: Any, trained_shop: Shop) -> None:
    visitor, _ = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2", "tents-3")
    listing = ["boots-1", "tents-4", "unknown", "lamps-2", "tents-1"]
    request = RequestFactory().get("/")
    assert personal_order(request, listing) == listing
    request = RequestFactory().get("/")
    request.COOKIES["etalage_anonymous_id"] = visitor.anonymous_id
    ordered = personal_order(request, listing)
    assert sorted(ordered) == sorted(listing)
    assert set(ordered[:2]) == {"tents-4", "tents-1"}


def test_what_we_think_you_like(page: Any, trained_shop: Shop) -> None:
    visitor, _ = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2", "tents-3", "lamps-1")
    assert "You did not agree to personal shelves" in page("{% etalage_taste %}")
    request = RequestFactory().get("/")
    request.COOKIES["etalage_anonymous_id"] = visitor.anonymous_id
    html = page("{% etalage_taste %}", request)
    # Two of three views: 67 %.
    assert re.search(r"<span>Tents</span> <meter[^>]*>67 %", html)
    assert "because you looked 2 times" in html
    assert 'href="/etalage/taste/"' in html, "where it is told, it can be answered"


def test_the_page_shelf_asks_the_database_nothing_once_warm(
    page: Any, django_assert_num_queries: Any
) -> None:
    page('{% etalage_shelf "home" %}')
    with django_assert_num_queries(0):
        page('{% etalage_shelf "home" %}{% etalage_shelf "trending" %}')
