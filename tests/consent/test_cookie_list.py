"""The notice names every cookie that the shop sets, with what it is for and how long it stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.models import Store, User
from catalog.models import Product
from consent.cookie_list import cookies
from consent.services.notices import notice_for

PASSWORD = "long and secret"


@pytest.fixture(autouse=True)
def _the_shop(settings: Any, tmp_path: Path) -> None:
    settings.ETALAGE_STOREFRONT_STORE = "tents"
    settings.ETALAGE_ANCHOR_DIR = tmp_path


def test_no_cookie_is_set_that_the_notice_does_not_name(store: Store) -> None:
    """A walk on which each of them is set."""
    Product.objects.create(
        store=store, external_id="T1", name="Tent", price_minor_units=9900, currency="EUR", stock=5
    )
    User.objects.create_user("anna@tents.example", password=PASSWORD)
    browser = Client(enforce_csrf_checks=False)
    browser.get("/")
    notice = notice_for(store, "en").content_hash
    browser.post("/privacy/consent/", {"store": store.slug, "notice": notice, "choice": "accept"})
    browser.post("/cart/add/", {"product_id": "T1"})
    browser.post("/language/", {"language": "fr", "next": "/"})
    browser.post("/etalage/pause/")
    browser.post("/privacy/ask/opt_out/", {})
    browser.get("/login/")
    browser.post("/login/", {"username": "anna@tents.example", "password": PASSWORD})
    named = {cookie.name: cookie for cookie in cookies()}
    assert set(browser.cookies) == set(named)
    for name, morsel in browser.cookies.items():
        assert int(morsel["max-age"] or 0) <= (named[name].days or 0) * 86_400, name
    assert [name for name, cookie in named.items() if not cookie.is_necessary] == ["etalage_anonymous_id"]


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "For 180 days at most."), ("de", "Höchstens 180 Tage."), ("fr", "180 jours au plus.")],
)
def test_the_notice_names_them_all(client: Client, store: Store, language: str, words: str) -> None:
    page = client.get("/privacy/notice/", headers={"Accept-Language": language}).content.decode()
    assert words in page
    for cookie in cookies():
        assert f"<code>{cookie.name}</code>" in page
