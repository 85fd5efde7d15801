"""The privacy centre as people without scripts use it."""

from __future__ import annotations

import io
import zipfile
from datetime import timedelta

import pytest
from django.contrib.auth import SESSION_KEY
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts import vault
from accounts.models import Customer, Store
from accounts.services.visitors import visitor_get_or_create
from consent.cookies import ANONYMOUS_ID_COOKIE, CONSENT_COOKIE
from consent.links import download_path, request_path, token_of
from consent.models import DataSubjectRequest
from consent.purposes import ALL
from consent.services.decisions import Decision, decision_record
from consent.services.request_processing import process_now
from consent.services.requests import request_ask
from storefront.services.account import account_open

Kind, State = DataSubjectRequest.Kind, DataSubjectRequest.State


@pytest.fixture(autouse=True)
def _the_shop(settings, tmp_path) -> None:  # type: ignore[no-untyped-def]
    settings.ETALAGE_STOREFRONT_STORE = "tents"
    settings.ETALAGE_ANCHOR_DIR = tmp_path


@pytest.fixture
def ann(store: Store) -> Customer:
    return account_open(
        store=store, email="ann@example.org", password="long and secret", name="Ann Lee"
    ).customer


@pytest.fixture
def browser(ann: Customer) -> Client:
    client = Client()
    client.force_login(ann.shop_account.user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def only_request(store: Store) -> DataSubjectRequest:
    return DataSubjectRequest.objects.for_store(store).get()


def test_a_customer_reads_what_is_known(browser: Client, ann: Customer) -> None:
    decision_record(store=ann.store, decision=Decision(ALL, "accept", customer=ann))
    page = browser.get("/privacy/data/").content.decode()
    assert "ann@example.org" in page
    assert "Ann Lee" in page
    assert "What you permitted and refused" in page


def test_a_guest_is_shown_nothing_and_asked_for_an_address(client: Client, ann: Customer) -> None:
    page = client.get("/privacy/data/").content.decode()
    assert "Ann Lee" not in page
    assert client.get("/privacy/").status_code == 200
    assert 'name="email"' in client.get("/privacy/ask/access/").content.decode()


def test_a_recognised_browser_of_a_customer_shows_nothing_without_a_login(
    client: Client, ann: Customer
) -> None:
    """Whoever sits at a shared computer must not read or erase what somebody else did there."""
    from accounts.services.identity import identity_link

    visitor = visitor_get_or_create(store=ann.store, anonymous_id="family-computer")
    identity_link(store=ann.store, visitor=visitor, customer=ann)
    client.cookies[ANONYMOUS_ID_COOKIE] = "family-computer"
    assert "family-computer" not in client.get("/privacy/data/").content.decode()
    assert 'name="email"' in client.get("/privacy/ask/erasure/").content.decode()


def test_a_browser_without_account_can_have_itself_forgotten(client: Client, store: Store) -> None:
    visitor_get_or_create(store=store, anonymous_id="lone-browser")
    client.cookies[ANONYMOUS_ID_COOKIE] = "lone-browser"
    response = client.post("/privacy/ask/erasure/", {"confirm": "on"})
    request = only_request(store)
    assert (request.source, request.state) == ("browser", State.APPROVED)
    assert response["Location"] == request_path(request)
    assert client.cookies[ANONYMOUS_ID_COOKIE].value == ""
    assert client.cookies[CONSENT_COOKIE].value == ""


def test_access_from_the_button_to_the_file(browser: Client, ann: Customer) -> None:
    response = browser.post("/privacy/ask/access/", {"message": ""})
    request = only_request(ann.store)
    assert response["Location"] == request_path(request)
    process_now(request)
    page = browser.get(request_path(request)).content.decode()
    assert "Download my data" in page
    archive = browser.get(download_path(request))
    assert archive["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(archive.content)) as files:
        assert "ann@example.org" in files.read("index.html").decode()


def test_the_download_link_expires_and_cannot_be_made_up(
    browser: Client, ann: Customer, time_machine
) -> None:  # type: ignore[no-untyped-def]
    browser.post("/privacy/ask/access/")
    request = only_request(ann.store)
    process_now(request)
    link = download_path(request)
    assert browser.get(link).status_code == 200
    assert browser.get(link[:-2] + "x/").status_code == 404
    time_machine.move_to(timezone.now() + timedelta(seconds=3601))
    assert browser.get(link).status_code == 404
    assert browser.get(download_path(request)).status_code == 200


def test_a_requests_page_opens_with_its_token_only(client: Client, browser: Client, ann: Customer) -> None:
    browser.post("/privacy/ask/access/")
    request = only_request(ann.store)
    assert client.get(request_path(request)).status_code == 200
    assert client.get(request_path(request))["Referrer-Policy"] == "same-origin"
    assert client.get(f"/privacy/requests/{request.public_id.hex}/").status_code == 404
    assert client.get(f"/privacy/requests/{request.public_id.hex}.forged/").status_code == 404


def test_erasing_needs_a_tick_and_then_asks_nothing_more(browser: Client, ann: Customer) -> None:
    refused = browser.post("/privacy/ask/erasure/", {})
    assert refused.status_code == 400
    assert "Tick this" in refused.content.decode()
    assert not DataSubjectRequest.objects.for_store(ann.store).exists()
    browser.post("/privacy/ask/erasure/", {"confirm": "on"})
    request = only_request(ann.store)
    process_now(request)
    page = browser.get(request_path(request)).content.decode()
    assert "Receipt" in page
    assert "Erased: customers, 1" in page
    assert not Customer.objects.for_store(ann.store).exists()
    assert SESSION_KEY not in browser.session


def test_status_as_json_for_the_script(browser: Client, ann: Customer) -> None:
    browser.post("/privacy/ask/access/")
    request = only_request(ann.store)
    state = browser.get(request_path(request), headers={"Accept": "application/json"}).json()
    assert (state["state"], state["is_final"], state["parts"]) == ("approved", False, [])
    process_now(request)
    state = browser.get(request_path(request), headers={"Accept": "application/json"}).json()
    assert state["is_final"]
    assert {part["state"] for part in state["parts"]} == {"done"}


def test_a_correction_is_checked_before_it_is_sent(browser: Client, ann: Customer) -> None:
    for wrong in ({}, {"right_birth_year": "eighty"}, {"right_country": "Germany"}):
        assert browser.post("/privacy/ask/rectification/", wrong).status_code == 400
    assert not DataSubjectRequest.objects.for_store(ann.store).exists()
    browser.post("/privacy/ask/rectification/", {"right_city": "Ulm"})
    assert only_request(ann.store).corrections == {"city": "Ulm"}


def test_answering_a_question_and_withdrawing(browser: Client, ann: Customer, admin_user) -> None:  # type: ignore[no-untyped-def]
    browser.post("/privacy/ask/rectification/", {"message": "My city is wrong."})
    request = only_request(ann.store)
    request_ask(request=request, actor=admin_user, question="Which is right?")
    page = request_path(request)
    assert "Which is right?" in browser.get(page).content.decode()
    browser.post(page, {"action": "answer", "answer": "Ulm"})
    request.refresh_from_db()
    assert (request.state, "Ulm" in request.message) == (State.PENDING, True)
    browser.post(page, {"action": "cancel"})
    request.refresh_from_db()
    assert request.state == State.CANCELLED


def test_by_mail_from_the_address_to_the_decision(
    client: Client, ann: Customer, django_capture_on_commit_callbacks  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    with django_capture_on_commit_callbacks(execute=True):
        response = client.post("/privacy/ask/erasure/", {"email": "Ann@example.org", "confirm": "on"})
    request = only_request(ann.store)
    assert request.state == State.IDENTITY_UNVERIFIED
    assert response["Location"] == request_path(request)
    (letter,) = mail.outbox
    assert letter.to == ["ann@example.org"]
    code = letter.subject.split()[-1]
    page = request_path(request)
    assert client.post(page, {"action": "code", "code": "abc"}).status_code == 400
    assert (
        client.post(page, {"action": "code", "code": "000000" if code != "000000" else "1" * 6}).status_code
        == 400
    )
    client.post(page, {"action": "code", "code": code})
    request.refresh_from_db()
    assert request.state == State.PENDING


def test_pausing_and_resuming(browser: Client, ann: Customer) -> None:
    browser.post("/privacy/pause/", {"paused": "1"})
    ann.refresh_from_db()
    assert ann.is_personalisation_paused
    assert "Resume" in browser.get("/privacy/").content.decode()
    browser.post("/privacy/pause/", {"paused": "0"})
    ann.refresh_from_db()
    assert not ann.is_personalisation_paused


def test_an_objection_can_be_taken_back(browser: Client, ann: Customer) -> None:
    browser.post("/privacy/ask/objection/", {})
    ann.refresh_from_db()
    assert ann.has_objected_to_profiling
    browser.post("/privacy/profiling/")
    ann.refresh_from_db()
    assert not ann.has_objected_to_profiling


def test_guests_have_nothing_to_pause(client: Client, store: Store) -> None:
    assert client.post("/privacy/pause/", {"paused": "1"}).status_code == 404
    assert client.post("/privacy/profiling/").status_code == 404


@pytest.mark.parametrize("path", ["/privacy/ask/revenge/", "/privacy/requests/x/", "/privacy/download/x/"])
def test_what_does_not_exist_is_not_found(client: Client, store: Store, path: str) -> None:
    assert client.get(path).status_code == 404


def test_forms_of_the_centre_are_protected_against_other_sites(ann: Customer) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ann.shop_account.user, backend="django.contrib.auth.backends.ModelBackend")
    assert strict.post("/privacy/ask/erasure/", {"confirm": "on"}).status_code == 403
    assert not DataSubjectRequest.objects.for_store(ann.store).exists()


def test_pages_are_never_kept_by_caches(browser: Client, ann: Customer) -> None:
    vault.put(ann, "email", "ann@example.org")
    browser.post("/privacy/ask/access/")
    for path in (
        "/privacy/",
        "/privacy/data/",
        "/privacy/preferences/",
        request_path(only_request(ann.store)),
    ):
        assert "no-store" in browser.get(path)["Cache-Control"]


def test_one_page_of_the_centre_takes_few_queries(
    browser: Client, ann: Customer, django_assert_max_num_queries
) -> None:  # type: ignore[no-untyped-def]
    browser.post("/privacy/ask/access/")
    assert token_of(only_request(ann.store))
    browser.get("/privacy/")  # the store's notice is there from its first page on
    with django_assert_max_num_queries(12):
        browser.get("/privacy/")
