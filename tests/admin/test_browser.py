"""The moments of a merchandiser and a privacy officer, in a real browser. The `page` fixture fails on script errors and
breaches of the content security policy."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from accounts.models import Role, User
from consent.models import DataSubjectRequest
from recommendations.models import Placement
from tests.admin.conftest import BACKEND
from tests.factories import CustomerFactory, MembershipFactory, UserFactory
from tests.recommendations.shop import Shop

if TYPE_CHECKING:
    from playwright.sync_api import Page

PHONE = {"width": 390, "height": 844}


def _log_in(page: Page, live_server: Any, user: User) -> None:
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = BACKEND
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    page.context.add_cookies(
        [{"name": "sessionid", "value": str(session.session_key), "url": live_server.url}]
    )


def _staff(shop: Shop, role: Role) -> User:
    user = UserFactory(is_staff=True)
    user.save()
    MembershipFactory(store=shop.store, user=user, role=role)
    return user


@pytest.fixture
def home(live_server: Any, trained_shop: Shop) -> Placement:
    return Placement.objects.for_store(trained_shop.store).get(slug="home")


def _move_sliders(page: Page, weights: dict[str, str]) -> None:
    """Move them one after the other and wait for the preview of where they stand in the end; those before it may come too."""
    *_, (last, weight) = weights.items()
    field = f'name="w:-:-:{last}"\r\n\r\n{weight}\r\n'
    with page.expect_response(lambda answer: field in (answer.request.post_data or "")):
        for name, weight in weights.items():
            page.locator(f'[data-for="w:-:-:{name}"]').fill(weight)
    expect(page.locator("[data-preview-status]")).to_contain_text("Previewed")
    expect(page.locator("#comparisons")).to_have_attribute("aria-busy", "false")


def test_sliders_move_the_shelf_then_publish_then_undo(
    page: Page, live_server: Any, trained_shop: Shop, home: Placement
) -> None:
    _log_in(page, live_server, _staff(trained_shop, Role.MERCHANDISER))
    page.goto(live_server.url + reverse("admin:recommendations_placement_change", args=[home.pk]))
    before = page.locator(".side--after .mini-card__name").all_inner_texts()
    off = (
        "session_knn",
        "user_knn",
        "item_knn",
        "content",
        "popular_in_category",
        "interests",
        "als",
        "item_vectors",
        "lightfm",
    )
    assert page.locator('[id="w:-:-:popular"]').input_value() != "2"
    _move_sliders(page, {**dict.fromkeys(off, "0"), "popular": "2"})
    assert page.locator('[id="w:-:-:popular"]').input_value() == "2", "the number follows the slider"
    after = page.locator(".side--after .mini-card__name").all_inner_texts()
    assert after != before
    # Both at one moment: pictures that are still loading move what stands below them.
    inner, outer = page.locator(".side--after .move").first.evaluate(
        "mark => [mark, mark.closest('.mini-card__picture')].map(each => each.getBoundingClientRect().toJSON())"
    )
    assert outer["left"] <= inner["left"] < outer["right"], "what moved is marked on its picture"
    assert outer["top"] <= inner["top"] < outer["bottom"]
    assert home.versions.count() == 1, "nothing is saved by looking"

    page.locator(".side--after .mini-card").first.click()
    # One click from the product to its reasons.
    expect(page.locator(".trace:popover-open")).to_contain_text("Weights of")
    page.keyboard.press("Escape")

    page.click("button[name=publish]")
    page.locator("#content").get_by_text("Can it be undone?").wait_for()
    page.get_by_role("button", name="Publish version 2").click()
    undo = page.get_by_role("button", name="Undo: back to version 1")
    undo.wait_for()
    assert home.versions.get(state="published").number == 2
    undo.click()
    page.wait_for_selector("text=Undone: version 1 is live again.")
    assert home.versions.get(state="published").number == 1


def test_a_sum_is_kept_if_wished(page: Page, live_server: Any, trained_shop: Shop, home: Placement) -> None:
    """0.3 stays the sum: what one gains the other loses."""
    version = home.versions.get()
    version.weights.exclude(segment=None, density="").delete()
    version.weights.update(weights={"popular": 0.2, "trending": 0.1})
    _log_in(page, live_server, _staff(trained_shop, Role.MERCHANDISER))
    page.goto(live_server.url + reverse("admin:recommendations_placement_change", args=[home.pk]))
    page.check("[data-keep-sum]")
    page.locator('[id="w:-:-:popular"]').fill("0.25")
    assert page.locator('[id="w:-:-:trending"]').input_value() == "0.05"
    assert page.locator("[data-sum]").first.inner_text() == "0.30"


def test_the_tuning_page_works_without_scripts(
    browser: Any, live_server: Any, trained_shop: Shop, home: Placement
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    _log_in(page, live_server, _staff(trained_shop, Role.MERCHANDISER))
    page.goto(live_server.url + reverse("admin:recommendations_placement_change", args=[home.pk]))
    page.locator('[id="w:-:-:popular"]').fill("2")
    with page.expect_navigation():
        page.click("button[name=preview][value='1']")
    page.locator("article.comparison").nth(3).wait_for()
    expect(page.locator('[id="w:-:-:popular"]')).to_have_value("2")
    assert home.versions.count() == 1
    context.close()


def test_a_rule_is_written_while_its_size_follows(page: Page, live_server: Any, trained_shop: Shop) -> None:
    _log_in(page, live_server, _staff(trained_shop, Role.MERCHANDISER))
    page.goto(live_server.url + reverse("admin:segments_segment_add"))
    page.fill("#id_name", "Buyers")
    row = page.locator("[data-row]").first
    row.locator("[data-field]").select_option("orders_90d")
    assert row.locator("[data-operator]").input_value() == "eq"
    assert row.locator("[data-operator] option[value=contains]").is_disabled()
    row.locator("[data-operator]").select_option("gte")
    row.locator("[data-value]").fill("1")
    page.wait_for_selector("[data-count] strong")
    expect(page.locator("[data-count]")).to_contain_text("shoppers who permit it")
    page.click("[data-add-group]")
    page.locator("[data-group='1'] [data-field]").select_option("country")
    page.locator("[data-group='1'] [data-value]").fill("DE")
    page.click("button[name=save]")
    page.wait_for_selector("text=is saved")
    expect(page.locator("[data-row]")).to_have_count(2)


def test_a_request_is_approved_on_one_page(page: Page, live_server: Any, trained_shop: Shop) -> None:
    store = trained_shop.store
    request = DataSubjectRequest(
        store=store,
        kind="restriction",
        customer=CustomerFactory(store=store),
        due_at=timezone.now() + timedelta(days=2),
    )
    request.private = {"message": "Please stop."}
    request.save()
    _log_in(page, live_server, _staff(trained_shop, Role.PRIVACY_OFFICER))
    page.goto(live_server.url + reverse("admin:consent_datasubjectrequest_changelist"))
    page.locator("#result_list tbody a").first.click()
    page.locator("#content").get_by_text("Please stop.").wait_for()
    page.get_by_role("link", name="Approve…").click()
    page.fill("#id_reason", "Identity checked by telephone")
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("Approved. Each part is carried out by a worker").wait_for()
    request.refresh_from_db()
    assert request.decision_reason == "Identity checked by telephone"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_fit_a_phone(
    page: Page, live_server: Any, trained_shop: Shop, home: Placement, theme: str
) -> None:
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    _log_in(page, live_server, _staff(trained_shop, Role.MERCHANDISER))
    for url in (
        "/admin/",
        reverse("admin:recommendations_placement_change", args=[home.pk]),
        reverse("admin:catalog_product_changelist"),
        reverse("admin:segments_segment_add"),
        reverse("admin:recommendations_trainingrun_changelist"),
        reverse("admin:recommendations_experiments"),
    ):
        page.goto(live_server.url + url)
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], f"{url} is {width} px wide"
        # A script of the admin's reads the scheme, and is not the first that runs.
        dark = expect(page.locator("html"))
        (dark.to_have_class if theme == "dark" else dark.not_to_have_class)(re.compile(r"\bdark\b"))
