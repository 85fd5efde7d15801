"""Every public page in a real browser, in every language: no violation of accessibility rules, nothing wider than a phone.

The pages come from the addresses of the installation: one that is new belongs into `paths` or, if it is no page, into NO_PAGE.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings as django_settings
from django.test import Client
from django.urls import URLPattern, get_resolver

from accounts.models import Customer, Store, User
from accounts.services.customers import customer_upsert
from consent.links import agent_token_of, token_of
from consent.models import DataSubjectRequest
from consent.request_texts import KIND_TEXTS
from consent.services.agent_requests import Agent, agent_request_open
from consent.services.challenges import request_open_by_email
from consent.services.request_processing import process_now
from consent.services.requests import request_ask, request_deny, request_open
from consent.subjects import Subject
from recommendations.services.store_defaults import store_defaults_create
from recommendations.serving.browser import forget_store
from storefront.models import ShopAccount, ShopOrder
from storefront.services import payments
from storefront.services.account import account_open
from storefront.services.cart import cart_add, cart_find_or_create
from storefront.services.checkout import Delivery, order_place
from tests.factories import BrandFactory, CategoryFactory, ProductFactory, StoreFactory

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.django_db(transaction=True)

Kind = DataSubjectRequest.Kind
NO_PAGE = {
    # Forms that answer with another page.
    "language", "consent:pause", "consent:opt-out-end", "consent:allow-profiling", "consent:record", "etalage:not-this",
    "etalage:pause", "etalage:resume", "etalage:taste", "storefront:cart-add", "storefront:cart-update", "storefront:logout",
    # Files, fragments and answers for programmes.
    "consent:gpc", "consent:script_file", "consent:agent-download", "consent:paper", "consent:download", "consent:region",
    "etalage:shelf", "storefront:picture",
}  # fmt: skip


def _names(patterns: list[Any], prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            yield f"{prefix}{pattern.name}"
        elif pattern.namespace in {"consent", "etalage", "storefront"}:
            yield from _names(pattern.url_patterns, f"{pattern.namespace}:")


@dataclass(frozen=True)
class Shop:
    url: str
    account: ShopAccount
    paths: dict[str, list[str]]


@pytest.fixture
def shop(live_server, settings, tmp_path: Path) -> Iterator[Shop]:  # type: ignore[no-untyped-def]
    settings.ETALAGE_STOREFRONT_STORE = "demo"
    settings.ETALAGE_ANCHOR_DIR = tmp_path
    forget_store()
    store = StoreFactory(slug="demo", name="Wren & Fell", controller_name="Wren & Fell Ltd")
    store_defaults_create(store=store)
    camping = CategoryFactory(store=store, slug="camping", name="Camping", parent=None)
    tents = CategoryFactory(store=store, slug="tents", name="Tents", parent=camping)
    brand = BrandFactory(store=store, slug="fellmark", name="Fellmark")
    for number in range(1, 5):
        tent = ProductFactory(
            store=store, external_id=f"T{number}", name=f"Curlew tent {number}", category=tents, brand=brand, stock=9,
            price_minor_units=20900, list_price_minor_units=24900 if number == 2 else None, url=f"/p/T{number}/",
            attributes={"colour": "sky", "packed_weight": "1.9 kg", "material": "cotton canvas"},
        )  # fmt: skip
    account = account_open(store=store, email="ann@example.org", password="long and secret", name="Ann Lee")
    cart = cart_find_or_create(store=store, account=account, cart_id=None)
    cart_add(cart=cart, product=tent, quantity=1)
    delivery = Delivery("ann@example.org", "Ann Lee", "Lange Reihe 7", "20099", "Hamburg", "DE")
    order = order_place(
        cart=cart, account=account, delivery=delivery, payment=payments.pay_by_transfer(), anonymous_id=None
    )
    cart_add(cart=cart_find_or_create(store=store, account=account, cart_id=None), product=tent, quantity=2)
    yield Shop(live_server.url, account, _paths(store, account, order))
    forget_store()


def _paths(store: Store, account: ShopAccount, order: ShopOrder) -> dict[str, list[str]]:
    return {
        "storefront:home": ["/"],
        "storefront:category": ["/c/camping/tents/"],
        "storefront:search": ["/search/", "/search/?q=tent", "/search/?q=tnt"],
        "storefront:product": ["/p/T1/", "/p/T2/"],
        "storefront:cart": ["/cart/"],
        "storefront:checkout": ["/checkout/"],
        "storefront:order-done": [f"/checkout/done/{order.access_token}/"],
        "storefront:login": ["/login/"],
        "storefront:sign-up": ["/sign-up/"],
        "storefront:account": ["/account/"],
        "storefront:interests": ["/account/interests/"],
        "storefront:order": [f"/account/orders/{order.number}/"],
        "consent:centre": ["/privacy/"],
        "consent:data": ["/privacy/data/"],
        "consent:looks": ["/privacy/looks/"],
        "consent:ask": [f"/privacy/ask/{kind}/" for kind in KIND_TEXTS],
        "consent:agent": ["/privacy/agent/"],
        "consent:agent-request": [f"/privacy/agents/{agent_token_of(_by_agent(store))}/"],
        "consent:request": [f"/privacy/requests/{token_of(asked)}/" for asked in _requests(store, account)],
        "consent:preferences": ["/privacy/preferences/"],
        "consent:notice": ["/privacy/notice/"],
        "nowhere": ["/nowhere/"],
    }


def _by_agent(store: Store) -> DataSubjectRequest:
    agent = Agent("Bea Agent", "bea@agents.example", "Rights for All")
    return agent_request_open(store=store, kind=Kind.ACCESS, agent=agent, person_email="cara@example.org")


def _requests(store: Store, account: ShopAccount) -> list[DataSubjectRequest]:
    """One in each state that has something of its own to show."""
    officer = User.objects.create_user("officer@tents.example")
    subject = _subject(store, account.customer)
    copy = request_open(subject=subject, kind=Kind.ACCESS, source="account")
    erased = request_open(
        subject=_subject(store, _customer(store, "gone")), kind=Kind.ERASURE, source="account"
    )
    for asked in (copy, erased):
        process_now(asked)
    asked_back = request_open(subject=subject, kind=Kind.RECTIFICATION, source="account", message="Wrong.")
    request_ask(request=asked_back, actor=officer, question="Which year?")
    refused = request_open(
        subject=_subject(store, _customer(store, "no")),
        kind=Kind.RECTIFICATION,
        source="account",
        message="Wrong.",
    )
    request_deny(request=refused, actor=officer, reason="It is right as it is.")
    unproved = request_open_by_email(store=store, email="dora@example.org", kind=Kind.OBJECTION)
    return [copy, erased, asked_back, refused, unproved]


def _customer(store: Store, external_id: str) -> Customer:
    return customer_upsert(store=store, external_id=external_id)


def _subject(store: Store, customer: Customer) -> Subject:
    return Subject(store=store, customer=customer, user_ids=(customer.external_id,))


def log_in(page: Page, shop: Shop) -> None:
    client = Client()
    client.force_login(shop.account.user, backend="django.contrib.auth.backends.ModelBackend")
    name = django_settings.SESSION_COOKIE_NAME
    page.context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": shop.url}])


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {[node['html'][:160] for node in rule['nodes']]}" for rule in found]


VIEWS = ((360, "light"), (1280, "dark"), (360, "dark"), (1280, "light"))
"""Of a phone and a desk. Each page is examined in each language, and in all but one of the views over the languages."""


def faults(page: Page, language: str, url: str, turn: int) -> Iterator[str]:
    """Open the page and examine it. It is opened in its view: colours that still change have no contrast to speak of."""
    width, scheme = VIEWS[turn % len(VIEWS)]
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page.goto(url)
    if page.locator("html").get_attribute("lang") != language:
        yield f"{url}: not in {language}"
    page.evaluate(
        "() => Promise.all(document.getAnimations().map((each) => each.finished.catch(() => null)))"
    )
    yield from (f"{url} at {width} px, {scheme}: {told}" for told in violations(page))
    page.set_viewport_size({"width": 360, "height": 800})
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        yield f"{url} is wider than a phone"


def test_no_page_is_forgotten(db: None) -> None:
    """Which pages there are is known without making them."""
    listed = {name for name in _names(get_resolver().url_patterns) if ":" in name or name == "language"}
    source = inspect.getsource(_paths)
    assert sorted(name for name in listed - NO_PAGE if f'"{name}"' not in source) == []


@pytest.mark.parametrize(("language", "turn"), [("en", 0), ("fr", 1), ("de", 2)])
def test_every_page_is_accessible(page: Page, shop: Shop, language: str, turn: int) -> None:
    page.context.add_cookies([{"name": "shop_language", "value": language, "url": shop.url}])
    found = list(faults(page, language, f"{shop.url}/privacy/", turn))
    page.locator("[data-etalage-reject]").first.click()
    page.locator("[data-etalage-banner]").first.wait_for(state="hidden")
    of_a_guest = ["/privacy/", "/privacy/ask/access/", "/login/", "/sign-up/", "/cart/"]
    for path in of_a_guest:
        turn += 1
        found += faults(page, language, shop.url + path, turn)
    log_in(page, shop)
    for path in (path for paths in shop.paths.values() for path in paths):
        turn += 1
        found += faults(page, language, shop.url + path, turn)
    assert found == []
