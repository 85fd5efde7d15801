"""In which language somebody is answered: their choice, else their browser's, else the shop's."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from accounts.models import Store
from catalog.models import Product
from config.languages import forget_language_of_shop
from tests.factories import ProductFactory

GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}


def language_of(page: str) -> str:
    found = re.search(r'<html lang="([^"]+)"', page)
    assert found is not None
    return found[1]


def get(client: Client, path: str, **headers: str) -> str:
    return client.get(path, headers=headers).content.decode()


def test_the_browser_says_which(client: Client, tent: Product) -> None:
    page = get(client, "/p/T1/", **GERMAN)
    assert language_of(page) == "de"
    assert "In den Warenkorb" in page
    assert "Zelte" in page  # the category, a word of the catalogue
    assert "209,00\xa0€" in page
    assert "Curlew tent" in page  # names of products stay
    french = get(client, "/p/T1/", **{"Accept-Language": "fr"})
    assert language_of(french) == "fr"
    assert "Ajouter au panier" in french


def test_the_choice_in_the_footer_wins_and_stays(client: Client, tent: Product) -> None:
    chosen = client.post("/language/", {"language": "fr", "next": "/p/T1/"}, headers=GERMAN)
    assert chosen.status_code == 302
    assert chosen["Location"] == "/p/T1/"
    cookie = chosen.cookies["shop_language"]
    assert (cookie.value, cookie["httponly"], cookie["samesite"]) == ("fr", True, "Lax")
    page = get(client, "/p/T1/", **GERMAN)
    assert language_of(page) == "fr"
    assert '<button name="language" value="fr" lang="fr" aria-current="true">' in page


def test_the_switch_is_a_form_on_every_page_with_each_language_in_its_own_words(
    client: Client, store: Store
) -> None:
    page = get(client, "/search/?q=x", **{"Accept-Language": "en"})
    assert '<input type="hidden" name="next" value="/search/?q=x">' in page
    assert re.findall(r'value="(\w\w)" lang="\1"[^>]*>(\w+)</button>', page) == [
        ("en", "English"),
        ("fr", "Français"),
        ("de", "Deutsch"),
    ]


def test_another_site_chooses_nothing_and_no_way_leads_elsewhere(client: Client, store: Store) -> None:
    refused = client.post(
        "/language/", {"language": "de", "next": "/"}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert refused.status_code == 403
    assert "shop_language" not in client.cookies
    elsewhere = client.post("/language/", {"language": "de", "next": "https://evil.example/"})
    assert elsewhere["Location"] == "/"
    unknown = client.post("/language/", {"language": "xx", "next": "/"})
    assert "shop_language" not in unknown.cookies
    assert client.get("/language/").status_code == 405


@pytest.mark.parametrize("asked", ["", "es", "*", "x" * 500])
def test_the_shops_own_language_is_the_last_resort(client: Client, store: Store, asked: str) -> None:
    Store.objects.filter(pk=store.pk).update(language="de")
    forget_language_of_shop()
    assert language_of(get(client, "/cart/", **{"Accept-Language": asked})) == "de"


def test_staff_read_english_whatever_their_browser_speaks(client: Client, store: Store) -> None:
    answer = client.get("/admin/login/", headers=GERMAN)
    assert answer["Content-Language"] == "en"
    assert "Passwort" not in answer.content.decode()


@pytest.mark.parametrize(
    "path", ["/etalage/etalage-consent.js", "/etalage/consent.css", "/etalage/consent/page.js"]
)
def test_files_for_programmes_do_not_ask_what_the_shop_speaks(client: Client, path: str) -> None:
    assert client.get(path).status_code == 200  # a query would raise: this test has no database


def test_caches_keep_languages_apart(client: Client, store: Store) -> None:
    answer = client.get("/search/", headers=GERMAN)
    assert "Accept-Language" in answer["Vary"]
    assert answer["Content-Language"] == "de"


def test_errors_of_forms_and_pages_speak_too(client: Client, store: Store) -> None:
    refused = client.post("/login/", {"username": "no", "password": ""}, headers=GERMAN)
    assert "Dieses Feld ist zwingend erforderlich." in refused.content.decode()
    lost = client.get("/nowhere/", headers=GERMAN).content.decode()
    assert language_of(lost) == "de"
    assert "Dieser Weg führt nirgendwohin." in lost


def test_sums_are_written_as_the_language_writes_them(client: Client, store: Store) -> None:
    ProductFactory(store=store, external_id="DEAR", price_minor_units=123_456_00, currency="EUR")
    assert "€123,456.00" in get(client, "/p/DEAR/", **{"Accept-Language": "en"})
    assert "123.456,00\xa0€" in get(client, "/p/DEAR/", **GERMAN)
    assert "123\u202f456,00\xa0€" in get(client, "/p/DEAR/", **{"Accept-Language": "fr"})
