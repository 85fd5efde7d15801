"""Opt-in everywhere, but where a rule of the store says otherwise; what holds by default never outweighs what was said."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client, RequestFactory

from accounts.models import Customer, Store, User
from consent.banner import render_banner
from consent.cookies import ANONYMOUS_ID_COOKIE, CONSENT_COOKIE
from consent.gate import allowed_purposes
from consent.models import ConsentPayload, ConsentState, RegionMode
from consent.purposes import NONE, Purpose
from consent.regions import mode_in, modes_forget, region_of
from consent.services.decisions import Decision, decision_record
from consent.services.notices import notice_for
from storefront.services.account import account_open

A, P, S = Purpose.ANALYTICS, Purpose.PERSONALISATION, Purpose.SHARING


@pytest.fixture(autouse=True)
def _behind_a_proxy_that_knows(settings: Any) -> None:
    settings.ETALAGE_STOREFRONT_STORE = "tents"
    settings.ETALAGE_COUNTRY_HEADER = "CF-IPCountry"
    settings.ETALAGE_SUBDIVISION_HEADER = "CF-Region-Code"
    cache.clear()


@pytest.fixture
def california(store: Store) -> RegionMode:
    return rule(store, "US-CA", "opt_out", ["analytics", "personalisation", "sharing"])


def rule(store: Store, region: str, mechanism: str, granted: list[str]) -> RegionMode:
    made = RegionMode.all_stores.create(store=store, region=region, mechanism=mechanism, granted=granted)
    modes_forget(store)
    return made


def browser(country: str = "US", part: str = "CA", **headers: str) -> Client:
    return Client(
        headers={"Origin": "http://testserver", "CF-IPCountry": country, "CF-Region-Code": part, **headers}
    )


def say(client: Client, store: Store, choice: str, **extra: object) -> Any:
    notice = notice_for(store, "en")
    form = {"store": store.slug, "notice": notice.content_hash, "choice": choice, **extra}
    return client.post("/privacy/consent/", form, headers={"Accept": "application/json"}).json()


@pytest.mark.parametrize(
    "country, part, expected",
    [
        ("us", "ca", "US-CA"),
        ("US", "US-CA", "US-CA"),
        ("US", "", "US"),
        ("US", "<b>", "US"),
        ("XX", "CA", "DE"),
        ("T1", "", "DE"),
        ("", "CA", "DE"),
    ],
)
def test_where_a_visitor_is(store: Store, country: str, part: str, expected: str) -> None:
    request = RequestFactory().get("/", headers={"CF-IPCountry": country, "CF-Region-Code": part})
    assert region_of(request, store) == expected


def test_headers_that_nobody_named_are_not_believed(store: Store, settings: Any) -> None:
    settings.ETALAGE_COUNTRY_HEADER = ""
    request = RequestFactory().get("/", headers={"CF-IPCountry": "US"})
    assert region_of(request, store) == "DE"


def test_a_part_goes_before_its_country_and_the_rest_is_opt_in(store: Store, california: RegionMode) -> None:
    rule(store, "US", "notice_only", ["analytics"])
    told = {region: mode_in(store, region) for region in ("US-CA", "US-NY", "US", "DE")}
    assert [str(mode.mechanism) for mode in told.values()] == [
        "opt_out",
        "notice_only",
        "notice_only",
        "opt_in",
    ]
    assert [mode.granted for mode in told.values()] == [A | P | S, A, A, NONE]


def test_the_notice_was_shown_and_so_the_default_holds_with_its_proof(
    store: Store, california: RegionMode
) -> None:
    client = browser()
    asked = client.get("/privacy/region/").json()
    assert asked == {
        "region": "US-CA",
        "mechanism": "opt_out",
        "granted": ["analytics", "personalisation", "sharing"],
    }
    assert not ConsentPayload.all_stores.exists()  # asking where one is stores nothing
    answer = say(client, store, "dismiss")
    assert answer["granted"] == ["necessary", "analytics", "personalisation", "sharing"]
    proof = ConsentPayload.all_stores.get()
    assert (proof.mechanism, proof.method, proof.region) == ("opt_out", "dismiss", "US-CA")
    anonymous_id = client.cookies[ANONYMOUS_ID_COOKIE].value
    assert P in allowed_purposes(store, anonymous_id=anonymous_id)


def test_elsewhere_leaving_the_notice_permits_nothing(store: Store, california: RegionMode) -> None:
    for client in (browser("FR", ""), browser("US", "NY")):
        assert client.get("/privacy/region/").json()["mechanism"] == "opt_in"
        assert say(client, store, "dismiss")["granted"] == ["necessary"]
        assert ANONYMOUS_ID_COOKIE not in client.cookies or not client.cookies[ANONYMOUS_ID_COOKIE].value
    assert not ConsentState.all_stores.exists()


def test_the_signal_is_the_opt_out(store: Store, california: RegionMode) -> None:
    client = browser(**{"Sec-GPC": "1"})
    assert client.get("/privacy/region/").json()["granted"] == ["analytics"]
    assert say(client, store, "dismiss")["granted"] == ["necessary", "analytics"]
    proof = ConsentPayload.all_stores.get()
    assert (proof.mechanism, proof.method, proof.gpc) == ("opt_out", "gpc", True)


def test_who_said_no_is_not_defaulted_again(store: Store, california: RegionMode) -> None:
    client = browser()
    say(client, store, "dismiss")
    say(client, store, "reject")
    assert say(client, store, "dismiss")["granted"] == ["necessary"]
    assert client.cookies[CONSENT_COOKIE]["max-age"] == 395 * 86_400


def test_a_default_never_widens_a_choice(store: Store, california: RegionMode) -> None:
    client = browser()
    say(client, store, "save", purpose=["analytics"])
    assert say(client, store, "dismiss")["granted"] == ["necessary", "analytics"]


def test_a_customer_who_refused_elsewhere_stays_refused(store: Store, california: RegionMode) -> None:
    account = account_open(store=store, email="ann@example.org", password="long and secret", name="Ann")
    customer: Customer = account.customer
    decision_record(store=store, decision=Decision(NONE, "reject", customer=customer))
    client = browser()
    client.force_login(account.user, backend="django.contrib.auth.backends.ModelBackend")
    say(client, store, "dismiss")
    anonymous_id = client.cookies[ANONYMOUS_ID_COOKIE].value
    assert allowed_purposes(store, anonymous_id=anonymous_id, customer=customer) == Purpose.NECESSARY
    assert ConsentState.objects.for_store(store).filter(subject__startswith="c:").count() == 1


def test_the_banner_asks_for_the_region_only_where_a_rule_exists(store: Store) -> None:
    request = RequestFactory().get("/")
    assert "data-region-url" not in str(render_banner(request, store))
    rule(store, "US-CA", "opt_out", ["analytics"])
    shown = str(render_banner(request, store))
    assert 'data-region-url="/privacy/region/"' in shown
    assert "Say no to all of it" in shown


def test_an_opt_in_rule_grants_nothing_whatever_its_row_says(store: Store) -> None:
    rule(store, "US", "opt_in", ["analytics"])
    assert mode_in(store, "US").default_for(gpc=False) == NONE


def test_nobody_of_another_store_is_affected(store: Store, california: RegionMode, officer: User) -> None:
    other = Store.objects.create(slug="boots", name="Boots")
    assert mode_in(other, "US-CA").mechanism == "opt_in"
