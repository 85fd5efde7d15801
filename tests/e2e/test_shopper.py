"""A shopper's moments, in a real browser, in the whole shop."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from threading import Event
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from recommendations.stages.control import in_control_group
from storefront.services import payments
from tests.conftest import A_PERSONS_BROWSER
from tests.e2e.conftest import Shop

pytestmark = [pytest.mark.alone, pytest.mark.django_db]

PAGES = (
    "/",
    "/c/camping/",
    "/c/camping/tents/?sort=price",
    "/search/?q=lamp",
    "/search/?q=zzzz",
    "/cart/",
    "/login/",
    "/sign-up/",
    "/nowhere/",
)
PATIENCE_SECONDS = 30.0


def answer_banner(page: Page, shop: Shop, answer: str) -> None:
    page.goto(f"{shop.url}/")
    page.get_by_role("button", name=answer).first.click()
    expect(page.get_by_role("button", name=answer)).to_have_count(0)


def agree_as_somebody_with_personal_shelves(page: Page, shop: Shop) -> None:
    """Accept everything. One visitor in ten is in the control group and sees popular products: be somebody else then."""
    (store_id, holdout_share), *_ = shop.query(
        "SELECT id, holdout_share FROM accounts_store WHERE slug = 'demo'"
    )
    for _ in range(10):
        page.context.clear_cookies()
        answer_banner(page, shop, "Accept all")
        anonymous_id = next(c["value"] for c in page.context.cookies() if c["name"] == "etalage_anonymous_id")
        query = "SELECT id FROM accounts_visitor WHERE anonymous_id = %s"
        (visitor_id, *_), *_ = until(partial(shop.query, query, anonymous_id), "the visitor to be known")
        if not in_control_group(int(str(store_id)), f"v:{visitor_id}", float(str(holdout_share))):
            return
    pytest.fail("Ten visitors in a row were in the control group.")


def until(condition: Callable[[], Any], what: str) -> Any:
    """What the condition gives as soon as it holds: other processes need a moment."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if found := condition():
            return found
        Event().wait(0.1)  # give way to the worker between two looks
    pytest.fail(f"Waited {PATIENCE_SECONDS:.0f} s in vain for {what}.")


def cookies(page: Page) -> set[str]:
    return {cookie["name"] for cookie in page.context.cookies()}


def shelf(page: Page, placement: str) -> Locator:
    return page.locator(f"etalage-shelf[placement={placement}]")


def products_on(page: Page) -> list[str]:
    """Ids of all shelf products, in order of the page."""
    ids: list[str] = page.locator("[data-rank][data-product-id]").evaluate_all(
        "cards => cards.map(card => card.dataset.productId)"
    )
    return ids


def in_category(shop: Shop, path: str, *, stock: int = 0) -> list[str]:
    rows = shop.query(
        "SELECT p.external_id FROM catalog_product p JOIN catalog_category c ON c.id = p.category_id"
        " WHERE c.path LIKE %s AND p.stock >= %s ORDER BY p.external_id",
        f"{path}%",
        stock,
    )
    return [str(row[0]) for row in rows]


def in_stock(shop: Shop, path: str) -> list[str]:
    return in_category(shop, path, stock=4)


def add_to_cart(page: Page, shop: Shop, product_id: str) -> None:
    page.goto(f"{shop.url}/p/{product_id}/")
    page.get_by_role("button", name="Add to cart").click()
    expect(page.get_by_role("status").get_by_text("is in your cart")).to_be_visible()


def fill_checkout(page: Page) -> None:
    for label, text in {
        "E-mail": "buyer@mail.example",
        "Full name": "Berta Buyer",
        "Street and number": "Lange Reihe 7",
        "Postcode": "20099",
        "Town": "Hamburg",
        "Card number": payments.EXAMPLE_CARD,
        "Expires (MM/YY)": "12/39",
        "Security code": "123",
    }.items():
        page.get_by_label(label, exact=True).fill(text)


def order_number(page: Page) -> str:
    found = re.search(
        r"WF-[A-Z0-9]{7}", page.get_by_role("heading", name="Thank you").locator("..").inner_text()
    )
    assert found, page.content()
    return found[0]


def test_after_two_tents_the_home_page_has_turned_to_camping(page: Page, shop: Shop) -> None:
    agree_as_somebody_with_personal_shelves(page, shop)
    for tent in in_stock(shop, "camping/tents")[:2]:
        with page.expect_response(lambda response: "/v1/batch" in response.url and response.ok):
            page.goto(f"{shop.url}/p/{tent}/")
    page.goto(f"{shop.url}/")
    personal = shelf(page, "home").locator("section[data-variant=personalised]")
    personal.wait_for()
    shown = personal.locator("[data-product-id]").evaluate_all(
        "cards => cards.map(card => card.dataset.productId)"
    )
    camping = set(in_category(shop, "camping/"))
    assert sum(product_id in camping for product_id in shown[:6]) >= 3, shown
    reasons = personal.locator(".etalage-card__reason").all_inner_texts()
    assert len(reasons) == len(shown)
    assert all(reasons)
    assert any("Because you viewed" in reason for reason in reasons)


def scroll_through(page: Page) -> None:
    """As a person does: no shelf is passed without having been near the window."""
    height = page.evaluate("document.documentElement.scrollHeight")
    for position in range(0, height + 400, 400):
        page.evaluate("position => scrollTo(0, position)", position)
        page.wait_for_load_state("networkidle")


def test_no_product_is_twice_on_a_page_and_none_is_sold_out(page: Page, shop: Shop) -> None:
    agree_as_somebody_with_personal_shelves(page, shop)
    page.goto(f"{shop.url}/p/{in_stock(shop, 'camping/tents')[0]}/")
    for address in ("/", f"/p/{in_stock(shop, 'kitchen/mugs')[0]}/"):
        page.goto(f"{shop.url}{address}")
        scroll_through(page)
        shown = products_on(page)
        assert len(shown) > 8
        assert len(shown) == len(set(shown)), address
        sold_out = {row[0] for row in shop.query("SELECT external_id FROM catalog_product WHERE stock <= 0")}
        assert not sold_out & set(shown), address


def test_who_says_no_has_a_whole_shop_and_leaves_nothing(page: Page, shop: Shop) -> None:
    before = shop.query("SELECT count(*) FROM accounts_visitor")
    answer_banner(page, shop, "Reject all")
    for address in ("/", "/c/lighting/", f"/p/{in_stock(shop, 'lighting')[0]}/", "/search/?q=lamp"):
        page.goto(f"{shop.url}{address}")
        assert products_on(page) or "search" in address
    assert "etalage_anonymous_id" not in cookies(page)
    add_to_cart(page, shop, in_stock(shop, "kitchen/mugs")[0])
    page.goto(f"{shop.url}/checkout/")
    fill_checkout(page)
    page.get_by_role("button", name="Order now").click()
    number = order_number(page)
    told = until(
        lambda: shop.query(
            "SELECT visitor_id, purposes FROM tracking_event WHERE properties->>'order_id' = %s", number
        ),
        "the order to be told by the shop's server",
    )
    # What is necessary (1), of no browser.
    assert told == [(None, 1)]
    assert shop.query("SELECT count(*) FROM accounts_visitor") == before
    assert cookies(page) <= {"etalage_consent", "shop_cart", "csrftoken", "messages"}


def test_an_agreeing_shopper_orders_and_it_counts(page: Page, shop: Shop) -> None:
    answer_banner(page, shop, "Accept all")
    lamp = in_stock(shop, "lighting/table-lamps")[1]
    add_to_cart(page, shop, lamp)
    page.goto(f"{shop.url}/cart/")
    expect(page.get_by_role("heading", name="Goes well with your cart")).to_be_visible()
    page.get_by_role("link", name="Go to checkout").click()
    fill_checkout(page)
    page.get_by_label("Card number", exact=True).fill("4000 0000 0000 0002")
    page.get_by_role("button", name="Order now").click()
    expect(page.get_by_text("The bank declined this card")).to_be_visible()
    expect(page.get_by_label("Street and number")).to_have_value("Lange Reihe 7")
    fill_checkout(page)
    page.get_by_role("button", name="Order now").click()
    number = order_number(page)
    query = "SELECT o.status, v.anonymous_id FROM tracking_order o JOIN accounts_visitor v ON v.id = o.visitor_id WHERE o.order_id = %s"
    (status, anonymous_id), *_ = until(lambda: shop.query(query, number), "the order to be folded")
    assert status == "completed"
    assert anonymous_id in {cookie["value"] for cookie in page.context.cookies()}
    names = {row[0] for row in shop.query(
        "SELECT e.name FROM tracking_event e JOIN accounts_visitor v ON v.id = e.visitor_id WHERE v.anonymous_id = %s", anonymous_id
    )}  # fmt: skip
    assert {"Product Viewed", "Product Added", "Cart Viewed", "Checkout Started", "Order Completed"} <= names


def test_not_this_is_gone_from_the_next_page(page: Page, shop: Shop) -> None:
    agree_as_somebody_with_personal_shelves(page, shop)
    page.goto(f"{shop.url}/p/{in_stock(shop, 'camping/tents')[0]}/")
    page.goto(f"{shop.url}/")
    personal = shelf(page, "home").locator("section[data-variant=personalised]")
    personal.wait_for()
    first = personal.locator("[data-product-id]").first
    unwanted = first.get_attribute("data-product-id")
    first.get_by_role("button", name="Not this").click()
    expect(personal.locator(f"[data-product-id='{unwanted}']")).to_have_count(0)
    page.goto(f"{shop.url}/")
    personal.wait_for()
    scroll_through(page)  # until a shelf is near the window it is the one that everybody gets
    expect(page.locator(f"[data-rank][data-product-id='{unwanted}']")).to_have_count(0)


def test_a_shopper_logs_in_and_finds_orders_interests_and_taste(page: Page, shop: Shop) -> None:
    answer_banner(page, shop, "Accept all")
    login = next(login for role, login in shop.logins.items() if "camps every free weekend" in role)
    page.goto(f"{shop.url}/account/")
    page.get_by_label("E-mail").fill(login["email"])
    page.get_by_label("Password").fill(login["password"])
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Hello, Mara Lindqvist")).to_be_visible()
    expect(page.get_by_role("heading", name="What we think you like")).to_be_visible()
    expect(page.get_by_text("because you looked").first).to_be_visible()
    page.get_by_role("link", name="Edit").click()
    page.get_by_role("checkbox", name="Mugs").check(force=True)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Your interests are saved")).to_be_visible()
    expect(page.locator(".tag--accent", has_text="Mugs")).to_be_visible()


def test_the_shop_works_without_scripts(browser: Browser, shop: Shop) -> None:
    context = browser.new_context(
        user_agent=A_PERSONS_BROWSER, java_script_enabled=False, viewport={"width": 390, "height": 844}
    )
    page = context.new_page()
    page.goto(f"{shop.url}/")
    page.get_by_role("button", name="Reject all").first.click()
    assert page.get_by_role("button", name="Reject all").count() == 0
    page.get_by_label("Search the shop").fill("mug")
    page.keyboard.press("Enter")
    page.locator(".product-card:not(.product-card--sold-out) a").first.click()
    page.get_by_role("button", name="Add to cart").click()
    page.get_by_role("link", name="View cart").click()
    page.get_by_role("link", name="Go to checkout").click()
    fill_checkout(page)
    page.get_by_role("button", name="Order now").click()
    assert order_number(page)
    context.close()


@pytest.mark.parametrize("width", [360, 640], ids=["small phone", "twice enlarged"])
def test_no_page_is_wider_than_the_window(browser: Browser, shop: Shop, width: int) -> None:
    context = browser.new_context(user_agent=A_PERSONS_BROWSER, viewport={"width": width, "height": 800})
    page = context.new_page()
    answer_banner(page, shop, "Accept all")
    for address in (*PAGES, f"/p/{in_stock(shop, 'camping/tents')[0]}/"):
        page.goto(f"{shop.url}{address}")
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible(browser: Browser, shop: Shop, scheme: Any) -> None:
    """No finding of axe, on any page, with the banner and without."""
    context = browser.new_context(
        user_agent=A_PERSONS_BROWSER,
        color_scheme=scheme,
        reduced_motion="reduce",
        viewport={"width": 1280, "height": 900},
    )
    page = context.new_page()
    page.goto(f"{shop.url}/")
    assert_accessible(page, "banner")
    answer_banner(page, shop, "Accept all")
    product = in_stock(shop, "camping/tents")[0]
    add_to_cart(page, shop, product)
    for address in (*PAGES, f"/p/{product}/", "/checkout/"):
        page.goto(f"{shop.url}{address}")
        page.wait_for_load_state("networkidle")
        assert_accessible(page, address)
    context.close()


def assert_accessible(page: Page, what: str) -> None:
    findings = Axe().run(page).response["violations"]
    told = [f"{finding['id']}: {node['html'][:160]}" for finding in findings for node in finding["nodes"][:3]]
    assert not told, f"{what}: {told}"


def test_nothing_moves_when_shelves_become_personal(page: Page, shop: Shop) -> None:
    agree_as_somebody_with_personal_shelves(page, shop)
    page.goto(f"{shop.url}/p/{in_stock(shop, 'camping/tents')[0]}/")
    page.add_init_script(
        "window.shift = 0; new PerformanceObserver(list => { for (const entry of list.getEntries())"
        " if (!entry.hadRecentInput) window.shift += entry.value; }).observe({type: 'layout-shift', buffered: true});"
    )
    page.goto(f"{shop.url}/")
    shelf(page, "home").locator("section[data-variant=personalised]").wait_for()
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.shift") < 0.05


def test_a_keyboard_reaches_content_and_buys(page: Page, shop: Shop) -> None:
    answer_banner(page, shop, "Reject all")
    page.goto(f"{shop.url}/p/{in_stock(shop, 'kitchen/mugs')[0]}/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("combobox", name="Quantity").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Add to cart")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").get_by_text("is in your cart")).to_be_visible()


def test_a_filter_needs_no_button(page: Page, shop: Shop) -> None:
    answer_banner(page, shop, "Reject all")
    page.goto(f"{shop.url}/c/camping/")
    with page.expect_navigation():
        page.get_by_role("checkbox", name=re.compile("^Fellmark")).check()
    assert "brand=fellmark" in page.url
    expect(page.locator(".product-card__brand").first).to_have_text("Fellmark")
