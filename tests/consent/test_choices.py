"""Banner and preferences as a browser without scripts meets them, and what the server keeps of it."""

from __future__ import annotations

import uuid
from html.parser import HTMLParser

import pytest
from django.test import Client, RequestFactory

from accounts.models import Customer, Store, Visitor
from accounts.services.identity import identity_link
from accounts.services.visitors import visitor_get_or_create
from consent.banner import render_banner
from consent.cookies import ANONYMOUS_ID_COOKIE, CONSENT_COOKIE
from consent.gate import allowed_purposes, may_personalise
from consent.models import ConsentPayload, ConsentState
from consent.purposes import ALL, Purpose
from consent.services.decisions import Decision, decision_record, decisions_record
from consent.services.notices import notice_draft, notice_for, notice_publish
from consent.verification import verify_all

N, A, P = Purpose.NECESSARY, Purpose.ANALYTICS, Purpose.PERSONALISATION


@pytest.fixture(autouse=True)
def _the_shop(settings) -> None:  # type: ignore[no-untyped-def]
    settings.ETALAGE_STOREFRONT_STORE = "tents"


@pytest.fixture
def browser(store: Store) -> Client:
    return Client(
        headers={"User-Agent": "Firefox", "Origin": "http://testserver"}, REMOTE_ADDR="203.0.113.77"
    )


class Form(HTMLParser):
    """What a browser without scripts can send from a page: the first form's fields and its buttons."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fields: list[tuple[str, str]] = []
        self.buttons: list[dict[str, str | None]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append((tag, values))
        if tag == "button":
            self.buttons.append(values)
        elif (
            tag == "input"
            and "disabled" not in values
            and (values.get("type") != "checkbox" or "checked" in values)
        ):
            self.fields.append((values["name"] or "", values.get("value") or ""))


def banner(store: Store, **cookies: str) -> str:
    request = RequestFactory().get("/c/tents/")
    request.COOKIES.update(cookies)
    return str(render_banner(request, store))


def choose(browser: Client, store: Store, choice: str, **extra: object):  # type: ignore[no-untyped-def]
    fields = dict(Form(banner(store)).fields)
    return browser.post("/privacy/consent/", {**fields, "choice": choice, **extra})


def test_the_banner_offers_three_choices_that_look_alike_and_ticks_nothing(store: Store) -> None:
    form = Form(banner(store))
    visible = [button for button in form.buttons if button.get("value") != "save"]
    assert [button.get("value") for button in visible] == ["accept", "reject", None]
    assert len({button["class"] for button in form.buttons}) == 1
    assert visible[2]["formaction"] == "/privacy/preferences/"
    boxes = [values for tag, values in form.tags if tag == "input" and values.get("type") == "checkbox"]
    assert [(box["value"], "checked" in box) for box in boxes] == [
        ("necessary", True), ("analytics", False), ("personalisation", False), ("marketing", False), ("sharing", False),
    ]  # fmt: skip
    assert "disabled" in boxes[0]
    region = next(values for tag, values in form.tags if tag == "section")
    assert region["role"] == "region"
    assert "style" not in {name for _, values in form.tags for name in values}
    assert all("src" in values for tag, values in form.tags if tag == "script")


def test_accept_sets_the_tracking_id_and_proves_it(browser: Client, store: Store) -> None:
    response = choose(browser, store, "accept")
    assert (response.status_code, response["Location"]) == (303, "/c/tents/")
    anonymous_id = browser.cookies[ANONYMOUS_ID_COOKIE].value
    uuid.UUID(anonymous_id)
    assert allowed_purposes(store, anonymous_id=anonymous_id) == ALL
    assert may_personalise(store, anonymous_id=anonymous_id)
    proof = ConsentPayload.objects.for_store(store).get()
    notice = notice_for(store, "en")
    assert (proof.method, proof.notice_version, proof.notice_hash, proof.language) == (
        "accept",
        1,
        notice.content_hash,
        "en",
    )
    assert proof.granted == ["necessary", "analytics", "personalisation", "marketing", "sharing"]
    assert proof.denied == []
    assert (proof.ip_truncated, proof.user_agent) == ("203.0.113.0", "Firefox")
    assert anonymous_id not in str(vars(proof))
    assert all(report.is_intact for report in verify_all(store))
    assert "etalage-consent__choices" not in banner(
        store, **{name: morsel.value for name, morsel in browser.cookies.items()}
    )


def test_reject_leaves_a_proof_and_nothing_to_recognise(browser: Client, store: Store) -> None:
    response = choose(browser, store, "reject")
    assert response.status_code == 303
    assert ANONYMOUS_ID_COOKIE not in browser.cookies or browser.cookies[ANONYMOUS_ID_COOKIE].value == ""
    assert browser.cookies[CONSENT_COOKIE]["max-age"] == 395 * 86_400
    assert not ConsentState.objects.for_store(store).exists()
    assert not Visitor.objects.for_store(store).exists()
    proof = ConsentPayload.objects.for_store(store).get()
    assert (proof.method, proof.granted, proof.visitor_pseudonym, proof.customer_pseudonym) == (
        "reject",
        ["necessary"],
        "",
        "",
    )
    assert "etalage-consent__choices" not in banner(
        store, **{CONSENT_COOKIE: browser.cookies[CONSENT_COOKIE].value}
    )


def test_a_choice_purpose_by_purpose(browser: Client, store: Store) -> None:
    choose(browser, store, "save", purpose=["personalisation"])
    anonymous_id = browser.cookies[ANONYMOUS_ID_COOKIE].value
    assert allowed_purposes(store, anonymous_id=anonymous_id) == N | P


def test_withdrawing_deletes_the_id_everywhere_and_stops_at_once(browser: Client, store: Store) -> None:
    choose(browser, store, "accept")
    anonymous_id = browser.cookies[ANONYMOUS_ID_COOKIE].value
    page = Form(browser.get("/privacy/preferences/").content.decode())
    assert "withdraw" in [button.get("value") for button in page.buttons]
    response = browser.post(
        "/privacy/consent/",
        {"store": store.slug, "choice": "withdraw"},
        headers={"Referer": "http://testserver/c/tents/"},
    )
    deleted = {
        (morsel["domain"], morsel["path"])
        for key, morsel in response.cookies.items()
        if morsel.key == ANONYMOUS_ID_COOKIE
    }
    assert {("", path) for path in ("/", "/c", "/c/", "/c/tents", "/c/tents/")} <= deleted
    assert all(
        morsel["max-age"] == "0" for morsel in response.cookies.values() if morsel.key == ANONYMOUS_ID_COOKIE
    )
    assert allowed_purposes(store, anonymous_id=anonymous_id) == N
    assert not may_personalise(store, anonymous_id=anonymous_id)


def test_cookies_are_deleted_on_every_parent_domain(store: Store, settings) -> None:  # type: ignore[no-untyped-def]
    settings.ALLOWED_HOSTS = ["www.shop.example"]
    browser = Client(HTTP_HOST="www.shop.example")
    response = browser.post("/privacy/consent/", {"choice": "reject"})
    domains = {morsel["domain"] for morsel in response.cookies.values() if morsel.key == ANONYMOUS_ID_COOKIE}
    assert domains == {"", "www.shop.example", "shop.example"}
    raw = [value for name, value in response.items() if name == "Set-Cookie"] or [
        morsel.OutputString() for morsel in response.cookies.values()
    ]
    assert all(value.startswith((f"{ANONYMOUS_ID_COOKIE}=", f"{CONSENT_COOKIE}=")) for value in raw)


def test_another_sites_form_decides_nothing(store: Store) -> None:
    forged = Client(headers={"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"})
    response = forged.post("/privacy/consent/", {"choice": "accept"})
    assert response.status_code == 403
    assert response.json()["code"] == "forbidden"
    assert not forged.cookies
    assert not ConsentPayload.objects.for_store(store).exists()


@pytest.mark.parametrize(
    "fields", [{"choice": "yes"}, {}, {"choice": "save", "purpose": "everything"}, {"choice": "gpc"}]
)
def test_a_choice_that_does_not_exist_is_refused(
    browser: Client, store: Store, fields: dict[str, str]
) -> None:
    response = browser.post("/privacy/consent/", fields)
    assert response.status_code == 400
    assert not ConsentPayload.objects.for_store(store).exists()


def test_next_never_leads_to_another_site(browser: Client, store: Store) -> None:
    response = browser.post("/privacy/consent/", {"choice": "reject", "next": "https://evil.example/"})
    assert response["Location"] == "/"


def test_a_script_gets_json(browser: Client, store: Store) -> None:
    response = browser.post(
        "/privacy/consent/",
        {"choice": "save", "purpose": "analytics"},
        headers={"Accept": "application/json"},
    )
    answer = response.json()
    assert (answer["granted"], answer["mask"]) == (["necessary", "analytics"], 3)
    assert str(ConsentPayload.objects.for_store(store).get().receipt_id) == answer["receipt_id"]


def test_global_privacy_control_is_shown_and_honoured(browser: Client, store: Store) -> None:
    request = RequestFactory().get("/", headers={"Sec-GPC": "1"})
    html = str(render_banner(request, store))
    assert "data-etalage-gpc>" in html
    assert "data-etalage-gpc hidden>" in banner(store)
    fields = dict(Form(html).fields)
    browser.post("/privacy/consent/", {**fields, "choice": "accept"}, headers={"Sec-GPC": "1"})
    anonymous_id = browser.cookies[ANONYMOUS_ID_COOKIE].value
    assert allowed_purposes(store, anonymous_id=anonymous_id) == N | A
    browser.post(
        "/privacy/consent/",
        {**fields, "choice": "save", "purpose": ["personalisation"]},
        headers={"Sec-GPC": "1"},
    )
    assert (
        allowed_purposes(store, anonymous_id=anonymous_id, gpc=True) == N | P
    )  # chosen by name although the signal was on


def test_gpc_support_is_announced(browser: Client, store: Store) -> None:
    response = browser.get("/.well-known/gpc.json")
    assert response.json().keys() == {"gpc", "lastUpdate"}
    assert response.json()["gpc"] is True


def test_new_content_asks_again_and_a_new_version_of_the_same_content_does_not(
    browser: Client, store: Store
) -> None:
    choose(browser, store, "reject")
    cookie = {CONSENT_COOKIE: browser.cookies[CONSENT_COOKIE].value}
    drafts = notice_draft(store=store)
    assert {draft.version for draft in drafts} == {2}
    assert "etalage-consent__choices" not in banner(store, **cookie)  # a draft is nobody's business
    notice_publish(store=store, version=2)
    _forget_notices()
    assert "etalage-consent__choices" not in banner(store, **cookie)  # version 2 says the same
    english = next(draft for draft in notice_draft(store=store) if draft.language == "en")
    english.purposes.filter(purpose="analytics").update(recipients=["A measuring company"])
    notice_publish(store=store, version=3)
    _forget_notices()
    assert "etalage-consent__choices" in banner(store, **cookie)


def _forget_notices() -> None:
    """What publishing does when its transaction commits, which a test's never does."""
    from django.core.cache import cache

    cache.clear()


def test_a_forged_cookie_is_no_choice(store: Store) -> None:
    notice = notice_for(store, "en")
    forged = f"{uuid.uuid4().hex}.31.{notice.content_hash[:12]}.1790000000.forged"
    assert "etalage-consent__choices" in banner(store, **{CONSENT_COOKIE: forged})


@pytest.mark.parametrize(
    ("language", "word"),
    [("de", "Alle ablehnen"), ("fr", "Tout refuser"), ("en", "Reject all"), ("it", "Reject all")],
)
def test_the_banner_speaks_the_visitors_language(
    browser: Client, store: Store, language: str, word: str
) -> None:
    page = browser.get("/privacy/preferences/", headers={"Accept-Language": language}).content.decode()
    assert word in page


def test_a_customers_refusal_reaches_their_other_browsers_and_a_consent_does_not(
    store: Store, customer: Customer
) -> None:
    for anonymous_id in ("phone", "laptop"):
        visitor = visitor_get_or_create(store=store, anonymous_id=anonymous_id)
        identity_link(store=store, visitor=visitor, customer=customer)
    decision_record(store=store, decision=Decision(ALL, "accept", anonymous_id="phone"))
    decision_record(store=store, decision=Decision(N | A, "save", anonymous_id="laptop", customer=customer))
    assert allowed_purposes(store, anonymous_id="phone") == N | A
    decision_record(store=store, decision=Decision(ALL, "accept", anonymous_id="laptop", customer=customer))
    assert allowed_purposes(store, anonymous_id="laptop", customer=customer) == ALL
    assert allowed_purposes(store, anonymous_id="phone") == N | A


def test_decisions_at_one_moment_keep_their_order(store: Store) -> None:
    moment = notice_for(store, "en").published_at
    decisions = [
        Decision(ALL, "accept", anonymous_id="a", at=moment),
        Decision(N, "reject", anonymous_id="a", at=moment),
    ]
    decisions_record(store=store, decisions=decisions)
    assert allowed_purposes(store, anonymous_id="a") == N
    assert [state.granted for state in ConsentState.objects.for_store(store).order_by("valid_from")] == [
        31,
        1,
    ]


def test_pages_with_an_answered_banner_ask_the_database_for_nothing_new(
    browser: Client, store: Store, django_assert_num_queries
) -> None:  # type: ignore[no-untyped-def]
    choose(browser, store, "reject")
    cookie = {CONSENT_COOKIE: browser.cookies[CONSENT_COOKIE].value}
    banner(store, **cookie)
    with django_assert_num_queries(0):
        banner(store, **cookie)
