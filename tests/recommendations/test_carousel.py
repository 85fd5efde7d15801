"""The row of cards in a real browser: buttons, arrow keys, tab order, no scripts, and the exchange for the shopper's own shelf."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from csp.decorators import csp_exempt
from django.http import HttpRequest, HttpResponse
from django.template import Context, Template
from django.urls import include, path
from playwright.sync_api import BrowserContext, Page, expect

from accounts.models import Scope, Visitor
from accounts.services.api_keys import api_key_create
from recommendations.models import ForgottenProduct, Placement
from recommendations.serving import browser as storefront
from recommendations.serving import store_state, versions
from tests.recommendations.shop import Shop, consenting_visitor

PAGE = """{% load etalage static %}<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shop</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="{% static 'etalage/shelf.css' %}">
<script type="module" src="{% static 'etalage/shelf.js' %}"></script></head>
<body><h1>Shop</h1><a id="before" href="#">Before</a>{% etalage_shelf "home" %}<a id="after" href="#">After</a>
{% etalage_shelf "trending" %}{% etalage_shelf "recently-viewed" %}</body></html>"""
ELSEWHERE = """{% load static %}<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shop</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="{% static 'etalage/shelf.css' %}">
<script type="module" src="{% static 'etalage/shelf.js' %}"></script></head><body><h1>Shop</h1>
<etalage-shelf placement="home" key="{{ key }}" endpoint="{{ etalage }}/api/v1/recommendations/home/"></etalage-shelf></body></html>"""


def shop_page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(Template(PAGE).render(Context({"request": request})))


@csp_exempt()  # the policy of Etalage's own pages
def page_elsewhere(request: HttpRequest) -> HttpResponse:
    return HttpResponse(Template(ELSEWHERE).render(Context(request.GET.dict())))


urlpatterns = [
    path("shop/", shop_page),
    path("elsewhere/", page_elsewhere),
    path("", include("recommendations.urls")),
    path("api/v1/", include("recommendations.api.urls")),
]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def address(trained_shop: Shop, settings: Any, live_server: Any) -> str:
    settings.ROOT_URLCONF = __name__
    settings.ETALAGE_STOREFRONT_STORE = trained_shop.store.slug
    storefront.forget_store()
    # What a shelf does when it is late is tested elsewhere; here a busy machine must not change what is on it.
    Placement.objects.for_store(trained_shop.store).update(deadline_ms=10_000)
    versions.bump(trained_shop.store.pk, versions.Part.BLEND)
    store_state.warm_up([trained_shop.store.pk])
    return f"{live_server.url}/shop/"


@pytest.fixture
def shopper(trained_shop: Shop, address: str, context: BrowserContext) -> Shop:
    """A browser that agreed and has looked at tents."""
    visitor, _ = consenting_visitor(trained_shop.store)
    trained_shop.views(visitor, "tents-2", "tents-3")
    context.add_cookies(
        [
            {
                "name": "etalage_anonymous_id",
                "value": visitor.anonymous_id,
                "url": address.removesuffix("shop/"),
            }
        ]
    )
    return trained_shop


# Called for every frame until it is true. The button learns of its end a frame after the row is there, so
# each call looks and steps in one go; Playwright's own click would wait for a disabled button.
STEP_TO_THE_END = """() => {
  const button = document.querySelector("section.etalage-shelf [data-etalage-step='1']");
  if (button.ariaDisabled === "true") return true;
  button.click();
  return false;
}"""


def test_the_row_is_stepped_through_and_what_is_out_of_view_is_not_in_the_tab_order(
    page: Page, address: str
) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.set_viewport_size({"width": 800, "height": 900})
    page.goto(address)
    shelf = page.locator("section.etalage-shelf").first
    before, after = shelf.locator("[data-etalage-step]").all()
    expect(before).to_have_attribute("aria-disabled", "true")
    expect(after).to_have_attribute("aria-disabled", "false")
    last = shelf.locator(".etalage-card").last
    expect(last.locator("a").first).to_have_attribute("tabindex", "-1")

    links = page.locator(".etalage-shelf").first.locator(".etalage-card__link:not([tabindex='-1'])")
    expect(links).not_to_have_count(12)
    assert 2 <= links.count() <= 4

    after.click()
    page.wait_for_function("() => document.querySelector('.etalage-shelf__list').scrollLeft > 0")
    page.wait_for_function(STEP_TO_THE_END)
    expect(after).to_have_attribute("aria-disabled", "true")
    expect(before).to_have_attribute("aria-disabled", "false")
    expect(last.locator("a").first).not_to_have_attribute("tabindex", "-1")
    expect(after).to_be_focused()  # the button that reached its end keeps the focus


def test_arrow_keys_move_from_card_to_card(page: Page, address: str) -> None:
    page.goto(address)
    cards = page.locator("section.etalage-shelf").first.locator(".etalage-card__link")
    cards.first.focus()
    page.keyboard.press("ArrowRight")
    expect(cards.nth(1)).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(cards.first).to_be_focused()


def test_without_scripts_it_is_a_scrolling_row(browser: Any, address: str) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 360, "height": 800})
    page = context.new_page()
    page.goto(address)
    assert page.locator("section.etalage-shelf").first.locator(".etalage-card").count() == 12
    expect(page.locator("[data-etalage-step]").first).to_be_hidden()
    page.locator("section.etalage-shelf").first.locator(".etalage-card").last.scroll_into_view_if_needed()
    expect(page.locator("section.etalage-shelf").first.locator(".etalage-card").last).to_be_in_viewport()
    context.close()


def test_the_shelf_becomes_the_shoppers_own_without_moving_the_page(
    page: Page, address: str, shopper: Shop
) -> None:
    page.goto(address)
    expect(page.locator("section.etalage-shelf").first).to_have_attribute("data-variant", "personalised")
    expect(page.locator("h2").first).to_have_text("For you")
    expect(page.locator(".etalage-card__reason").first).to_contain_text("Because you viewed Tents")
    shifted = page.evaluate(
        """() => new Promise((done) => {
          let total = 0;
          new PerformanceObserver((list) => list.getEntries().forEach((e) => { if (!e.hadRecentInput) total += e.value; }))
            .observe({ type: "layout-shift", buffered: true });
          setTimeout(() => done(total), 300);
        })"""
    )
    assert shifted < 0.01
    page.mouse.wheel(0, 3000)
    waiting = page.locator("etalage-shelf[placement='recently-viewed'] h2")
    expect(waiting).to_have_text("Recently viewed")
    shown = page.locator(".etalage-card").evaluate_all("cards => cards.map((card) => card.dataset.productId)")
    assert len(shown) == len(set(shown))


def test_not_this_takes_the_card_away_at_once_and_for_good(page: Page, address: str, shopper: Shop) -> None:
    page.goto(address)
    card = page.locator("section.etalage-shelf[data-variant='personalised'] .etalage-card").first
    expect(card).to_be_visible()
    product = card.get_attribute("data-product-id")
    card.locator(".etalage-card__forget button").click()
    expect(page.locator(f"[data-product-id='{product}']")).to_have_count(0)
    assert ForgottenProduct.all_stores.get().product_id == product
    page.reload()
    expect(page.locator("section.etalage-shelf").first).to_have_attribute("data-variant", "personalised")
    expect(page.locator(f"section[data-placement='home'] [data-product-id='{product}']")).to_have_count(0)


def test_a_dead_etalage_changes_nothing_on_the_page(page: Page, address: str, shopper: Shop) -> None:
    page.route("**/etalage/shelf/**", lambda route: route.abort())
    page.goto(address)
    expect(page.locator("section.etalage-shelf").first.locator(".etalage-card")).to_have_count(12)
    expect(page.locator("section.etalage-shelf").first).to_have_attribute("data-variant", "non_personal")


# On the page of a shop elsewhere


@pytest.fixture
def elsewhere(trained_shop: Shop, address: str) -> str:
    """Where a shop's page stands that talks to Etalage under another name, so that nothing of Etalage's is its own."""
    etalage = address.removesuffix("/shop/")
    origin = etalage.replace("localhost", "127.0.0.1")
    assert origin != etalage
    scopes = [Scope.RECOMMENDATIONS_READ, Scope.WRITE_PUBLIC]
    _, key = api_key_create(store=trained_shop.store, name="page", scopes=scopes, allowed_origins=[origin])
    return f"{origin}/elsewhere/?{urlencode({'key': key, 'etalage': etalage})}"


def recognised_elsewhere(shop: Shop, elsewhere: str, context: BrowserContext) -> Visitor:
    visitor, _ = consenting_visitor(shop.store)
    shop.views(visitor, "tents-2", "tents-3")
    url, _, _ = elsewhere.partition("elsewhere/")
    context.add_cookies([{"name": "etalage_anonymous_id", "value": visitor.anonymous_id, "url": url}])
    return visitor


def test_not_this_works_elsewhere(
    page: Page, elsewhere: str, trained_shop: Shop, context: BrowserContext
) -> None:
    visitor = recognised_elsewhere(trained_shop, elsewhere, context)
    page.goto(elsewhere)
    card = page.locator(".etalage-card").first
    product = card.get_attribute("data-product-id")
    assert product
    card.get_by_role("button", name="Not this").click()
    expect(page.locator(f".etalage-card[data-product-id='{product}']")).to_have_count(0)
    kept = ForgottenProduct.objects.for_store(trained_shop.store).get()
    assert (kept.product_id, kept.visitor_id) == (product, visitor.pk)
    page.reload()
    page.locator(".etalage-card").first.wait_for()
    expect(page.locator(f".etalage-card[data-product-id='{product}']")).to_have_count(0)


def test_why_and_pause_work_elsewhere(
    page: Page, elsewhere: str, trained_shop: Shop, context: BrowserContext
) -> None:
    recognised_elsewhere(trained_shop, elsewhere, context)
    page.goto(elsewhere)
    shelf = page.locator("section.etalage-shelf")
    why = page.locator(".etalage-card__why").first
    why.locator("summary").click()
    expect(why).to_contain_text("Chosen from what you looked at and bought here.")
    why.get_by_role("button", name="Pause personalisation").click()
    expect(shelf).to_have_attribute("data-variant", "non_personal")
    assert page.get_by_role("button", name="Not this").count() == 0
    page.reload()
    expect(shelf).to_have_attribute("data-variant", "non_personal")
    why = page.locator(".etalage-card__why").first
    why.locator("summary").click()
    why.get_by_role("button", name="Resume").click()
    expect(shelf).to_have_attribute("data-variant", "personalised")
    assert "etalage_pause" not in {cookie["name"] for cookie in context.cookies(elsewhere)}
