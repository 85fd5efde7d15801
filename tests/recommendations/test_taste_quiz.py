"""The taste quiz: who may answer it, what it asks, and that the next page knows."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.personal_data import processors
from accounts.selectors.identity import subject_of_visitor
from recommendations.models import StatedTaste
from recommendations.selectors.shoppers import read_known_shopper
from recommendations.selectors.taste_quiz import taste_quiz
from recommendations.shelf import NOBODY, Shopper
from tests.recommendations.shop import Shop, consenting_visitor


@pytest.fixture
def known(trained_shop: Shop, settings: Any, client: Client) -> Any:
    settings.ETALAGE_STOREFRONT_STORE = trained_shop.store.slug
    visitor, _ = consenting_visitor(trained_shop.store)
    client.cookies["etalage_anonymous_id"] = visitor.anonymous_id
    return visitor


def test_without_permission_it_asks_for_it_and_keeps_nothing(
    trained_shop: Shop, settings: Any, client: Client
) -> None:
    settings.ETALAGE_STOREFRONT_STORE = trained_shop.store.slug
    assert not taste_quiz(trained_shop.store, NOBODY).is_permitted
    assert b"we need your permission for personalisation" in client.get("/etalage/taste/").content
    answer = client.post("/etalage/taste/", {"category": ["tents"]})
    assert answer.status_code == 403
    assert not StatedTaste.all_stores.exists()


def test_answers_are_stated_interests_of_the_very_next_page(
    known: Any, trained_shop: Shop, client: Client
) -> None:
    shopper = Shopper(anonymous_id=known.anonymous_id)
    quiz = taste_quiz(trained_shop.store, shopper)
    path = quiz.categories[-1].path
    assert read_known_shopper(trained_shop.store, shopper).interests == ()
    assert client.post("/etalage/taste/", {"category": [path, "no-such"]}).status_code == 302
    assert read_known_shopper(trained_shop.store, shopper).interests == (("category", path),)
    shown = client.get("/etalage/taste/").content.decode()
    assert f'name="category" value="{path}" checked' in shown
    client.post("/etalage/taste/", {"delete": "1", "category": [path]})
    assert not StatedTaste.all_stores.exists()
    assert read_known_shopper(trained_shop.store, shopper).interests == ()


def test_pictures_are_of_different_categories(known: Any, trained_shop: Shop) -> None:
    pictures = taste_quiz(trained_shop.store, Shopper(anonymous_id=known.anonymous_id)).pictures
    categories = [product.category_id for product in pictures]
    assert len(categories) == len(set(categories))


def test_a_form_from_another_site_changes_nothing(known: Any, client: Client) -> None:
    headers = {"Origin": "https://evil.example"}
    assert client.post("/etalage/taste/", {"category": ["tents"]}, headers=headers).status_code == 403
    assert not StatedTaste.all_stores.exists()


def test_who_has_paused_is_not_asked(known: Any, trained_shop: Shop, client: Client) -> None:
    client.cookies["etalage_pause"] = "1"
    assert client.post("/etalage/taste/", {"category": ["tents"]}).status_code == 403
    assert not StatedTaste.all_stores.exists()


def test_what_was_said_is_exported_and_erased(known: Any, trained_shop: Shop, client: Client) -> None:
    path = taste_quiz(trained_shop.store, Shopper(anonymous_id=known.anonymous_id)).categories[0].path
    client.post("/etalage/taste/", {"category": [path]})
    subject = subject_of_visitor(known)
    ours = next(held for held in processors() if held.name == "recommendations")
    exported = {table.name: list(table.rows) for table in ours.export(subject)}
    assert [row["value"] for row in exported["stated_taste"]] == [path]
    ours.erase(subject)
    assert not StatedTaste.all_stores.exists()


def test_what_was_said_about_things_that_are_not_asked_stays(
    known: Any, trained_shop: Shop, client: Client
) -> None:
    StatedTaste.all_stores.create(
        store=trained_shop.store, visitor=known, interests=[{"kind": "brand", "value": "not-sold-now"}]
    )
    client.post("/etalage/taste/", {})
    shopper = Shopper(anonymous_id=known.anonymous_id)
    assert read_known_shopper(trained_shop.store, shopper).interests == (("brand", "not-sold-now"),)
