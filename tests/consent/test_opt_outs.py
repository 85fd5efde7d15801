"""CCPA opt-out and limit: one press, no identity, at once, on every browser of a customer, until the person takes it back."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts import vault
from accounts.models import Customer, Scope, Store, User
from accounts.selectors.identity import subject_of, subject_of_visitor
from accounts.services.api_keys import api_key_create
from accounts.services.identity import identity_link
from accounts.services.visitors import visitor_get_or_create
from consent.cookies import ANONYMOUS_ID_COOKIE, CONSENT_COOKIE
from consent.gate import allowed_purposes, may_personalise
from consent.models import ConsentPayload, DataSubjectRequest, OptOut, RegionMode
from consent.opt_out_cookie import OPT_OUT_COOKIE
from consent.purposes import ALL, Purpose
from consent.regions import modes_forget
from consent.selectors.denied import denied_among, denied_now
from consent.services.decisions import Decision, decision_record
from consent.services.notices import notice_for
from consent.services.opt_outs import opt_out_end, opt_out_set, standing
from consent.services.requests import request_extend, request_open
from consent.verification import verify_all
from storefront.services.account import account_open
from tests.consent.conftest import Sent
from tracking.ingestion.importing import ingest_messages
from tracking.models import Event

Kind, State = DataSubjectRequest.Kind, DataSubjectRequest.State
A, P, M, S = Purpose.ANALYTICS, Purpose.PERSONALISATION, Purpose.MARKETING, Purpose.SHARING
N = Purpose.NECESSARY
PASSWORD = "long and secret"


@pytest.fixture(autouse=True)
def _the_shop(settings: Any, tmp_path: Any) -> None:
    settings.ETALAGE_STOREFRONT_STORE = "tents"
    settings.ETALAGE_ANCHOR_DIR = tmp_path
    settings.ETALAGE_COUNTRY_HEADER = "CF-IPCountry"
    settings.ETALAGE_SUBDIVISION_HEADER = "CF-Region-Code"
    cache.clear()


@pytest.fixture
def california(store: Store) -> RegionMode:
    granted = ["analytics", "personalisation", "marketing", "sharing"]
    made = RegionMode.all_stores.create(store=store, region="US-CA", mechanism="opt_out", granted=granted)
    modes_forget(store)
    return made


@pytest.fixture
def ann(store: Store) -> Customer:
    return account_open(store=store, email="ann@example.org", password=PASSWORD, name="Ann Lee").customer


def browser(**headers: str) -> Client:
    return Client(
        headers={"Origin": "http://testserver", "CF-IPCountry": "US", "CF-Region-Code": "CA", **headers}
    )


def log_in(client: Client) -> None:
    assert client.post("/login/", {"username": "ann@example.org", "password": PASSWORD}).status_code == 302


def say(client: Client, store: Store, choice: str, **extra: object) -> Any:
    form = {"store": store.slug, "notice": notice_for(store, "en").content_hash, "choice": choice, **extra}
    return client.post("/privacy/consent/", form, headers={"Accept": "application/json"}).json()


def permit_all(store: Store, *, anonymous_id: str | None = None, customer: Customer | None = None) -> None:
    decision_record(
        store=store, decision=Decision(ALL, "accept", anonymous_id=anonymous_id, customer=customer)
    )


# --- at the gate


def test_the_veto_takes_away_and_never_permits(store: Store, ann: Customer) -> None:
    opt_out_set(store=store, kind=Kind.OPT_OUT, customer=ann)
    assert allowed_purposes(store, customer=ann) == N
    permit_all(store, customer=ann)  # whoever says yes to everything does not take the opt-out back
    assert allowed_purposes(store, customer=ann) == N | A
    opt_out_end(store=store, kind=Kind.OPT_OUT, customer=ann)
    assert allowed_purposes(store, customer=ann) == N | A  # and ending it permits nothing by itself
    permit_all(store, customer=ann)
    assert allowed_purposes(store, customer=ann) == ALL


@pytest.mark.parametrize(("kind", "left"), [(Kind.OPT_OUT, N | A), (Kind.LIMIT, N | A | M)])
def test_it_is_recorded_as_a_withdrawal_too(store: Store, ann: Customer, kind: str, left: Purpose) -> None:
    permit_all(store, customer=ann)
    opt_out_set(store=store, kind=kind, customer=ann)
    assert allowed_purposes(store, customer=ann) == left
    newest = ConsentPayload.objects.for_store(store).order_by("-record__sequence").first()
    assert newest is not None
    assert (newest.method, newest.mechanism) == ("withdraw", "opt_out")
    assert "sharing" not in newest.granted
    assert all(report.is_intact for report in verify_all(store))


def test_it_reaches_linked_browsers_whatever_they_permitted(store: Store, ann: Customer) -> None:
    phone = visitor_get_or_create(store=store, anonymous_id="phone")
    permit_all(store, anonymous_id="phone")
    opt_out_set(store=store, kind=Kind.OPT_OUT, customer=ann)
    assert allowed_purposes(store, anonymous_id="phone") == ALL  # not theirs yet
    identity_link(store=store, visitor=phone, customer=ann)
    assert allowed_purposes(store, anonymous_id="phone") == N | A
    assert not may_personalise(store, anonymous_id="phone")


def test_what_happened_before_or_meanwhile_is_not_let_through_later(store: Store, time_machine: Any) -> None:
    start = timezone.now()
    for hours, step in enumerate(("permit", "opt out", "end")):
        time_machine.move_to(start + timedelta(hours=hours), tick=False)
        if step == "permit":
            permit_all(store, anonymous_id="a")
        elif step == "opt out":
            opt_out_set(store=store, kind=Kind.OPT_OUT, anonymous_id="a")
        else:
            opt_out_end(store=store, kind=Kind.OPT_OUT, anonymous_id="a")
            permit_all(store, anonymous_id="a")
    time_machine.move_to(start + timedelta(hours=3), tick=False)
    at = [allowed_purposes(store, anonymous_id="a", at=start + timedelta(minutes=m)) for m in (30, 90, 150)]
    assert at == [ALL, N | A, ALL]


def test_sources_that_declare_their_own_basis_do_not_pass_it(store: Store) -> None:
    """A server's declared purposes hold for people who have said nothing; an opt-out is something that they said."""
    key, _ = api_key_create(
        store=store, name="import", scopes=[Scope.WRITE_SECRET], legal_basis="consent", consent_source="declared",
        declared_purposes=["analytics", "personalisation", "sharing"],
    )  # fmt: skip
    opt_out_set(store=store, kind=Kind.OPT_OUT, anonymous_id="a")
    now = timezone.now()
    message = {
        "type": "track", "event": "Product Viewed", "messageId": str(uuid.uuid4()), "anonymousId": "a",
        "properties": {"product_id": "T"}, "timestamp": now, "receivedAt": now,
    }  # fmt: skip
    assert ingest_messages(store, key, [message]).stored == 1
    assert Event.objects.for_store(store).get().purposes == int(A)


@pytest.mark.parametrize("purpose", [P, M, S])
def test_later_readers_leave_them_out(store: Store, ann: Customer, purpose: Purpose) -> None:
    lone = visitor_get_or_create(store=store, anonymous_id="lone")
    phone = visitor_get_or_create(store=store, anonymous_id="phone")
    bystander = Customer.objects.create(store=store, external_id="bystander")
    identity_link(store=store, visitor=phone, customer=ann)
    assert not denied_now(store, purpose)
    opt_out_set(store=store, kind=Kind.OPT_OUT, customer=ann)
    opt_out_set(store=store, kind=Kind.OPT_OUT, anonymous_id="lone")
    denied = denied_now(store, purpose)
    assert (denied.customer_ids, denied.visitor_ids) == ({ann.pk}, {lone.pk, phone.pk})
    among = denied_among(
        store, purpose, anonymous_ids=["lone"], customer_ids=[ann.external_id, bystander.external_id]
    )
    assert (among.customer_ids, among.visitor_ids) == ({ann.pk}, {lone.pk, phone.pk})
    assert not denied_now(store, A)


# --- as a request


def test_a_customer_opts_out_with_one_press(
    store: Store, california: RegionMode, ann: Customer, sent: Sent
) -> None:
    client = browser()
    log_in(client)
    permit_all(store, customer=ann)
    page = client.get("/privacy/ask/opt_out/").content.decode()
    assert "Do not sell or share" in page
    assert 'name="email"' not in page
    client.post("/privacy/ask/opt_out/", {})
    asked = DataSubjectRequest.objects.for_store(store).get()
    assert (asked.kind, asked.law, asked.state, asked.source) == (
        "opt_out",
        "ccpa",
        State.COMPLETE,
        "account",
    )
    assert S not in allowed_purposes(store, customer=ann)
    letters = sent()
    assert len(letters) == 1  # one that says that it holds, and none that says that it will be looked at
    assert "nothing about you is sold" in letters[0]
    asked.refresh_from_db()
    assert asked.acknowledged_at is not None
    centre = client.get("/privacy/").content.decode()
    assert "You have opted out since" in centre


def test_the_deadline_is_15_business_days_and_cannot_be_extended(
    store: Store, ann: Customer, officer: User, time_machine: Any
) -> None:
    # Friday 6 March 2026 + 15 business days: 9–13, 16–20 and 23–27 March.
    time_machine.move_to("2026-03-06T12:00:00+00:00", tick=False)
    asked = request_open(subject=subject_of(ann), kind=Kind.LIMIT, source="account")
    assert asked.due_at.date().isoformat() == "2026-03-27"
    with pytest.raises(ValueError, match="15 business days"):
        request_extend(request=asked, actor=officer, reason="Many.")


def test_a_browser_without_account_or_tracking_id_is_remembered_by_its_cookie(
    store: Store, california: RegionMode
) -> None:
    client = browser()
    client.post("/privacy/ask/opt_out/", {})
    asked = DataSubjectRequest.objects.for_store(store).get()
    assert (asked.state, asked.source) == (State.COMPLETE, "browser")
    assert client.cookies[OPT_OUT_COOKIE]["max-age"] == 395 * 86_400
    assert "You have opted out since" in client.get("/privacy/").content.decode()
    # The notice is not shown again, and what it would permit by default does not hold.
    assert 'class="etalage-consent"' not in client.get("/").content.decode()
    assert say(client, store, "dismiss")["granted"] == ["necessary", "analytics"]
    assert say(client, store, "accept")["granted"] == ["necessary", "analytics"]


def test_a_browser_that_is_not_opted_out_is_asked(store: Store, california: RegionMode) -> None:
    """Else the test above proves nothing."""
    client = browser()
    assert 'class="etalage-consent"' in client.get("/").content.decode()
    assert "sharing" in say(client, store, "dismiss")["granted"]


def test_nobody_is_asked_again_for_twelve_months(
    store: Store, california: RegionMode, time_machine: Any
) -> None:
    start = timezone.now()
    time_machine.move_to(start, tick=False)
    client = browser()
    client.post("/privacy/ask/opt_out/", {})
    for days, is_asked in ((364, False), (366, True)):
        time_machine.move_to(start + timedelta(days=days), tick=False)
        cache.clear()
        assert ('class="etalage-consent"' in client.get("/").content.decode()) is is_asked


def test_the_cookie_of_the_choice_is_narrowed_for_the_scripts_of_the_page(
    store: Store, california: RegionMode
) -> None:
    client = browser()
    say(client, store, "accept")
    assert f".{int(ALL)}." in client.cookies[CONSENT_COOKIE].value
    anonymous_id = client.cookies[ANONYMOUS_ID_COOKIE].value
    visitor_get_or_create(store=store, anonymous_id=anonymous_id)
    client.post("/privacy/ask/opt_out/", {})
    assert f".{int(N | A)}." in client.cookies[CONSENT_COOKIE].value
    assert allowed_purposes(store, anonymous_id=anonymous_id) == N | A


def test_an_address_opts_the_account_out_without_proof_and_without_telling_whether_there_is_one(
    store: Store, california: RegionMode, ann: Customer, sent: Sent
) -> None:
    permit_all(store, customer=ann)
    pages = []
    for address in ("Ann@example.org", "nobody@example.org"):
        client = browser()
        response = client.post("/privacy/ask/opt_out/", {"email": address}, follow=True)
        pages.append(response.content.decode())
    assert S not in allowed_purposes(store, customer=ann)
    assert DataSubjectRequest.objects.for_store(store).filter(state=State.COMPLETE).count() == 2
    assert not hasattr(DataSubjectRequest.objects.for_store(store).first(), "challenge")
    assert all("Done." in page for page in pages)
    assert "Ann Lee" not in pages[0]
    assert len(sent()) == 2


def test_a_browser_carries_its_opt_out_to_the_account_and_so_to_other_browsers(
    store: Store, california: RegionMode, ann: Customer
) -> None:
    permit_all(store, customer=ann)
    first, second = browser(), browser()
    first.post("/privacy/ask/opt_out/", {})
    assert S in allowed_purposes(store, customer=ann)
    log_in(first)
    assert S not in allowed_purposes(store, customer=ann)
    assert OptOut.objects.for_store(store).get(customer=ann).source == "browser"
    log_in(second)
    assert second.cookies[OPT_OUT_COOKIE].value  # the other browser knows it from its log-in on
    assert say(second, store, "accept")["granted"] == ["necessary", "analytics"]


def test_only_the_person_takes_it_back_in_two_steps_and_an_old_browser_does_not_bring_it_up_again(
    store: Store, california: RegionMode, ann: Customer, time_machine: Any
) -> None:
    start = timezone.now()
    time_machine.move_to(start, tick=False)
    old, other = browser(), browser()
    old.post("/privacy/ask/opt_out/", {})
    log_in(old)
    stranger = browser()
    assert stranger.post("/privacy/opt-outs/opt_out/").status_code == 404
    assert standing(store, customer=ann)
    time_machine.move_to(start + timedelta(minutes=1), tick=False)
    log_in(other)
    assert "Take it back" in other.get("/privacy/opt-outs/opt_out/").content.decode()
    assert standing(store, customer=ann)  # to look at it is not to do it
    assert other.post("/privacy/opt-outs/opt_out/")["Location"] == "/privacy/preferences/"
    assert not standing(store, customer=ann)
    old.post("/logout/")
    log_in(old)
    assert not standing(store, customer=ann)
    assert not old.cookies[OPT_OUT_COOKIE].value


def test_global_privacy_control_becomes_the_same_state_where_the_law_says_so(
    store: Store, california: RegionMode, ann: Customer
) -> None:
    permit_all(store, customer=ann)
    client = browser(**{"Sec-GPC": "1"})
    log_in(client)
    opt_out = OptOut.objects.for_store(store).get(customer=ann)
    assert (opt_out.kind, opt_out.source, opt_out.withheld) == ("opt_out", "signal", int(P | M | S))
    # It now holds without the signal, on another browser of theirs.
    assert S not in allowed_purposes(store, customer=ann)
    assert "You have opted out since" in client.get("/privacy/").content.decode()


def test_the_signal_of_a_browser_counts_from_the_notice_on(store: Store, california: RegionMode) -> None:
    client = browser(**{"Sec-GPC": "1"})
    client.cookies[ANONYMOUS_ID_COOKIE] = "known"
    say(client, store, "dismiss")
    assert OptOut.objects.for_store(store).get(subject="v:known").source == "signal"


def test_where_the_law_asks_first_the_signal_is_honoured_without_becoming_an_opt_out(
    store: Store, california: RegionMode, ann: Customer
) -> None:
    client = Client(headers={"Origin": "http://testserver", "CF-IPCountry": "DE", "Sec-GPC": "1"})
    log_in(client)
    assert say(client, store, "accept")["granted"] == ["necessary", "analytics"]
    assert not OptOut.objects.for_store(store).exists()


def test_naming_a_purpose_ends_what_a_signal_set_but_not_what_was_asked_for(
    store: Store, california: RegionMode, ann: Customer
) -> None:
    client = browser()
    log_in(client)
    opt_out_set(store=store, kind=Kind.OPT_OUT, customer=ann, source="signal")
    assert "personalisation" in say(client, store, "save", purpose=["personalisation"])["granted"]
    opt_out_set(store=store, kind=Kind.OPT_OUT, customer=ann, source="request")
    assert "personalisation" not in say(client, store, "save", purpose=["personalisation"])["granted"]


def test_links_stand_on_every_page_of_shops_that_serve_such_a_region(
    store: Store, california: RegionMode, client: Client
) -> None:
    for path in ("/", "/privacy/"):
        page = browser().get(path).content.decode()
        assert 'href="/privacy/ask/opt_out/"' in page
        assert 'href="/privacy/ask/limit/"' in page
    RegionMode.all_stores.all().delete()
    modes_forget(store)
    assert "/privacy/ask/opt_out/" not in client.get("/").content.decode()


def test_it_is_in_the_copy_of_their_data_and_goes_with_an_erasure(store: Store, ann: Customer) -> None:
    from consent.privacy import erase, export

    visitor = visitor_get_or_create(store=store, anonymous_id="lone")
    opt_out_set(store=store, kind=Kind.OPT_OUT, customer=ann)
    opt_out_set(store=store, kind=Kind.LIMIT, anonymous_id="lone")
    for subject, kind in ((subject_of(ann), "opt_out"), (subject_of_visitor(visitor), "limit")):
        tables = {table.name: list(table.rows) for table in export(subject)}
        (row,) = tables["opt_outs"]
        assert (row["what"], row["ended_at"]) == (kind, None)
        assert "sharing" in row["takes_away"]
        erase(subject)
    assert not OptOut.objects.for_store(store).exists()


def test_pressing_twice_is_one_opt_out(store: Store, ann: Customer) -> None:
    vault.put(ann, "email", "ann@example.org")
    for _ in range(2):
        request_open(subject=subject_of(ann), kind=Kind.OPT_OUT, source="account")
    assert OptOut.objects.for_store(store).count() == 1
