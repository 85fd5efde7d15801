"""Banner and privacy centre in a real Chromium: keyboard, screen reader rules, scripts that wait, shared caches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings as django_settings
from django.test import Client

from accounts.models import Store
from consent.gate import may_personalise
from consent.models import ConsentPayload, ConsentState, DataSubjectRequest, RegionMode
from consent.regions import modes_forget
from consent.services.request_processing import process_now
from storefront.services.account import account_open
from tests.factories import ProductFactory

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.django_db(transaction=True)

ACCEPT, REJECT, CHOOSE = "Accept all", "Reject all", "Choose"


@pytest.fixture
def shop(live_server, settings, tmp_path: Path) -> str:  # type: ignore[no-untyped-def]
    settings.ETALAGE_STOREFRONT_STORE = "tents"
    settings.ETALAGE_ANCHOR_DIR = tmp_path
    store = Store.objects.create(slug="tents", name="Tents & Co", controller_name="Tents & Co GmbH")
    ProductFactory(store=store, external_id="TENT-1")
    return live_server.url


@pytest.fixture
def page(page: Page) -> Page:
    page.emulate_media(reduced_motion="reduce")
    return page


def cookies(page: Page) -> dict[str, str]:
    return {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {[node['html'][:120] for node in rule['nodes']]}" for rule in found]


def log_in(page: Page, shop: str) -> None:
    account = account_open(
        store=Store.objects.get(), email="ann@example.org", password="long and secret", name="Ann Lee"
    )
    client = Client()
    client.force_login(account.user, backend="django.contrib.auth.backends.ModelBackend")
    name = django_settings.SESSION_COOKIE_NAME
    page.context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": shop}])


def test_accepting_is_one_press_and_the_page_neither_moves_nor_reloads(page: Page, shop: str) -> None:
    page.goto(f"{shop}/privacy/")
    before = page.get_by_role("heading", name="Privacy centre").bounding_box()
    page.evaluate("window.sameDocument = true")
    page.get_by_role("button", name=ACCEPT).click()
    page.get_by_role("region", name="Your privacy, your choice").wait_for(state="hidden")
    assert page.evaluate("window.sameDocument") is True
    assert page.get_by_role("heading", name="Privacy centre").bounding_box() == before
    anonymous_id = cookies(page)["etalage_anonymous_id"]
    assert may_personalise(Store.objects.get(), anonymous_id=anonymous_id)
    page.reload()
    assert page.get_by_role("button", name=ACCEPT).count() == 0


def test_refusing_is_as_easy_and_leaves_no_id(page: Page, shop: str) -> None:
    page.goto(f"{shop}/privacy/")
    boxes = [
        page.get_by_role("button", name=name, exact=True).bounding_box() for name in (ACCEPT, REJECT, CHOOSE)
    ]
    assert len({(round(box["width"]), round(box["height"]), round(box["y"])) for box in boxes if box}) == 1
    page.get_by_role("button", name=REJECT).click()
    page.get_by_role("region", name="Your privacy, your choice").wait_for(state="hidden")
    assert "etalage_anonymous_id" not in cookies(page)
    assert not ConsentState.all_stores.exists()
    assert ConsentPayload.all_stores.get().method == "reject"


def test_choosing_by_keyboard(page: Page, shop: str) -> None:
    page.goto(f"{shop}/privacy/")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == CHOOSE:
            break
    else:
        pytest.fail("the keyboard does not reach the choices")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.value") == "analytics"  # the first that can be changed
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.get_by_role("button", name="Save my choice").press("Enter")
    page.get_by_role("region", name="Your privacy, your choice").wait_for(state="hidden")
    assert ConsentPayload.all_stores.get().granted == ["necessary", "personalisation"]


def test_escape_from_the_banner_is_not_needed(page: Page, shop: str) -> None:
    """The page below stays usable without any choice: no wall, no trap."""
    page.goto(f"{shop}/privacy/")
    page.get_by_role("link", name="Get a copy of my data").click()
    page.wait_for_url("**/privacy/ask/access/")
    assert "etalage_consent" not in cookies(page)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_no_violations_of_accessibility_rules(page: Page, shop: str, width: int, scheme: str) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page.goto(f"{shop}/privacy/")
    assert violations(page) == []  # with the banner
    page.get_by_role("button", name=CHOOSE, exact=True).click()
    assert violations(page) == []  # with its details
    page.get_by_role("button", name=REJECT).click()
    page.get_by_role("region", name="Your privacy, your choice").wait_for(state="hidden")
    log_in(page, shop)
    for path in ("", "preferences/", "notice/", "data/", "looks/", "ask/erasure/", "ask/rectification/"):
        page.goto(f"{shop}/privacy/{path}")
        assert violations(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
            f"{path} is wider than the page"
        )


def test_scripts_wait_for_their_purpose(page: Page, shop: str) -> None:
    page.goto(f"{shop}/privacy/")
    page.evaluate(
        """() => {
            for (const purpose of ["analytics", "marketing", "analytics marketing"]) {
                const script = document.createElement("script");
                script.type = "text/plain";
                script.dataset.purpose = purpose;
                script.dataset.name = purpose;
                script.src = "/static/etalage/consent-mode.js?" + encodeURIComponent(purpose);
                document.body.append(script);
            }
        }"""
    )
    page.get_by_role("button", name=CHOOSE, exact=True).click()
    page.get_by_label("Analytics").check()
    page.get_by_role("button", name="Save my choice").click()
    page.get_by_role("region", name="Your privacy, your choice").wait_for(state="hidden")
    types = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('script[data-name]')].map(s => [s.dataset.name, s.type]))"
    )
    assert types == {"analytics": "", "marketing": "text/plain", "analytics marketing": "text/plain"}


def test_consent_mode_denies_first_and_updates_after_the_choice(page: Page, shop: str) -> None:
    page.goto(f"{shop}/privacy/")
    read = "window.dataLayer.filter(e => e[0] === 'consent').map(e => [e[1], e[2]])"
    ((kind, signals),) = page.evaluate(read)
    assert kind == "default"
    assert {name: value for name, value in signals.items() if name != "wait_for_update"} == dict.fromkeys(
        (
            "ad_storage", "ad_user_data", "ad_personalization", "analytics_storage", "functionality_storage",
            "personalization_storage", "security_storage",
        ),
        "denied",
    )  # fmt: skip
    page.get_by_role("button", name=ACCEPT).click()
    page.get_by_role("region", name="Your privacy, your choice").wait_for(state="hidden")
    kind, signals = page.evaluate(read)[-1]
    assert kind == "update"
    assert set(signals.values()) == {"granted"}
    page.reload()
    assert [kind for kind, _ in page.evaluate(read)] == ["default", "update"]


def test_a_page_from_a_shared_cache_does_not_ask_who_has_answered(page: Page, shop: str) -> None:
    page.goto(f"{shop}/privacy/")
    shared = page.content()
    page.get_by_role("button", name=REJECT).click()
    page.get_by_role("region", name="Your privacy, your choice").wait_for(state="hidden")
    page.route(f"{shop}/privacy/", lambda route: route.fulfill(body=shared, content_type="text/html"))
    page.goto(f"{shop}/privacy/")
    page.wait_for_function("document.querySelector('[data-etalage-banner]').hidden")


def test_withdrawing_is_one_press_from_the_footer(page: Page, shop: str) -> None:
    page.goto(f"{shop}/privacy/")
    page.get_by_role("button", name=ACCEPT).click()
    page.get_by_role("region", name="Your privacy, your choice").wait_for(state="hidden")
    anonymous_id = cookies(page)["etalage_anonymous_id"]
    page.get_by_role("contentinfo").get_by_role("link", name="Your privacy choices").click()
    page.get_by_role("button", name="Withdraw everything").click()
    page.get_by_text("Withdrawn.").wait_for()
    assert "etalage_anonymous_id" not in cookies(page)
    assert not may_personalise(Store.objects.get(), anonymous_id=anonymous_id)


def test_a_customer_follows_an_erasure_to_its_receipt(page: Page, shop: str) -> None:
    log_in(page, shop)
    page.goto(f"{shop}/privacy/")
    page.get_by_role("button", name=REJECT).click()
    page.get_by_role("region", name="Your privacy, your choice").wait_for(state="hidden")
    page.get_by_role("link", name="Erase my data").click()
    page.get_by_label("I understand that this cannot be undone.").check()
    page.get_by_role("button", name="Erase everything").click()
    page.get_by_text("Your request is about to be carried out.").wait_for()
    process_now(DataSubjectRequest.all_stores.get())
    page.get_by_role("heading", name="Receipt").wait_for()  # the page found out by itself
    page.get_by_text("Erased: customers, 1").wait_for()


def test_where_the_law_begins_with_the_notice_a_no_is_one_press_away(page: Page, shop: str) -> None:
    store = Store.objects.get()
    store.country = "US"
    store.save()
    RegionMode.all_stores.create(
        store=store, region="US", mechanism="opt_out", granted=["analytics", "personalisation"]
    )
    modes_forget(store)
    page.goto(f"{shop}/privacy/")
    no = page.get_by_role("button", name="Say no to all of it")
    no.wait_for()
    page.get_by_text("You can say no, now or at any time.").wait_for()
    page.wait_for_function(
        "() => document.documentElement.dataset.etalageConsent?.includes('personalisation')"
    )
    assert ConsentPayload.all_stores.get().method == "dismiss"
    assert violations(page) == []
    no.click()
    page.get_by_role("region", name="Your privacy, your choice").wait_for(state="hidden")
    assert "etalage_anonymous_id" not in cookies(page)
    assert set(ConsentPayload.all_stores.values_list("mechanism", "method")) == {
        ("opt_out", "dismiss"),
        ("opt_out", "reject"),
    }
    page.reload()
    assert page.evaluate("document.documentElement.dataset.etalageConsent") == "necessary"
