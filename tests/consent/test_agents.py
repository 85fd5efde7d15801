"""Somebody asks in a person's name: the permission, the person's own word, and what each side is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from accounts import vault
from accounts.models import Customer, Store, User
from consent.gate import allowed_purposes
from consent.links import agent_token_of, request_path
from consent.models import AuditPayload, DataSubjectRequest, OptOut
from consent.privacy import expire_challenges
from consent.purposes import ALL, Purpose
from consent.request_states import InvalidTransition
from consent.services.agent_requests import (
    MAX_ABOUT_ONE_PERSON_PER_HOUR,
    MAX_OF_ONE_AGENT_PER_DAY,
    Agent,
    agent_confirm_directly,
    agent_request_open,
)
from consent.services.challenges import TooManyLetters
from consent.services.decisions import Decision, decision_record
from consent.services.request_processing import process_now
from consent.services.requests import request_answer, request_approve, request_ask, request_deny
from tests.consent.conftest import Sent
from tests.consent.test_challenges import code_in

Kind, State = DataSubjectRequest.Kind, DataSubjectRequest.State
BEA = Agent("Bea Agent", "bea@agents.example", "Rights for All")
PROOF = ("permission.pdf", b"%PDF-1.7 signed by Ann")


@pytest.fixture(autouse=True)
def _the_shop(settings: Any, tmp_path: Any) -> None:
    settings.ETALAGE_STOREFRONT_STORE = "tents"
    settings.ETALAGE_ANCHOR_DIR = tmp_path
    cache.clear()


@pytest.fixture
def ann(customer: Customer) -> Customer:
    vault.put(customer, "email", "ann@example.org")
    return customer


def opened(store: Store, kind: str = Kind.ACCESS, **values: Any) -> DataSubjectRequest:
    values = {"permission": PROOF, **values}
    return agent_request_open(store=store, kind=kind, agent=BEA, person_email="Ann@example.org", **values)


def page_of(request: DataSubjectRequest) -> str:
    return f"/privacy/agents/{agent_token_of(request)}/"


def upload() -> SimpleUploadedFile:
    return SimpleUploadedFile("permission.pdf", PROOF[1], content_type="application/pdf")


def confirmed(request: DataSubjectRequest, client: Client, sent: Sent, **extra: str) -> DataSubjectRequest:
    """The person asks for the code on their page, and types it."""
    client.post(request_path(request), {"action": "renew"})
    client.post(request_path(request), {"action": "code", "code": code_in(sent()), **extra})
    request.refresh_from_db()
    return request


def test_an_agents_request_for_data_from_the_form_to_the_file(
    store: Store, ann: Customer, officer: User, client: Client, sent: Sent
) -> None:
    response = client.post("/privacy/agent/", {
        "name": "Bea Agent", "organisation": "Rights for All", "email": "bea@agents.example",
        "person_email": "ann@example.org", "kind": "access", "permission": upload(),
    })  # fmt: skip
    request = DataSubjectRequest.objects.for_store(store).get()
    assert response["Location"] == page_of(request)
    assert (request.source, request.state) == ("agent", State.IDENTITY_UNVERIFIED)
    to_person, to_agent = sent()
    assert "Bea Agent" in to_person
    assert "bea@agents.example" in to_person
    assert request_path(request) in to_person  # the person's own page, and not the agent's
    assert page_of(request) in to_agent
    assert request_path(request) not in to_agent
    assert "wait until they confirm you" in client.get(page_of(request)).content.decode()

    confirmed(request, client, sent)
    assert (request.state, request.identity_confirmed_at is not None) == (State.PENDING, True)
    request_approve(request=request, actor=officer)
    request.refresh_from_db()
    process_now(request)
    assert (request.state, request.customer) == (State.COMPLETE, ann)
    assert client.get(f"{page_of(request)}download/").status_code == 404  # the data goes to the person
    assert "was given to the person" in client.get(page_of(request)).content.decode()
    assert "Download my data" in client.get(request_path(request)).content.decode()


def test_the_agent_fetches_the_copy_only_where_the_person_says_so(
    store: Store, ann: Customer, officer: User, client: Client, sent: Sent
) -> None:
    request = confirmed(opened(store), client, sent, may_fetch="on")
    assert client.get(f"{page_of(request)}download/").status_code == 404  # nothing to fetch yet
    request_approve(request=request, actor=officer)
    request.refresh_from_db()
    process_now(request)
    fetched = client.get(f"{page_of(request)}download/")
    assert (fetched.status_code, fetched["Content-Type"]) == (200, "application/zip")


def test_without_the_permission_nobody_but_the_agent_is_written_to(
    store: Store, ann: Customer, client: Client, sent: Sent
) -> None:
    request = opened(store, permission=None)
    assert request.state == State.REQUIRES_INPUT
    (letter,) = sent()
    assert "written permission" in letter
    with pytest.raises(InvalidTransition, match="file"):
        request_answer(request=request, answer="I promise that I may.")
    client.post(page_of(request), {"action": "file", "file": upload()})
    request.refresh_from_db()
    assert request.state == State.IDENTITY_UNVERIFIED
    assert len(sent()) == 2  # now the person is asked
    assert confirmed(request, client, sent).state == State.PENDING


def test_an_opt_out_with_the_permission_needs_no_identity_and_holds_at_once(
    store: Store, ann: Customer, client: Client, sent: Sent
) -> None:
    decision_record(store=store, decision=Decision(ALL, "accept", customer=ann))
    request = opened(store, Kind.OPT_OUT, permission=None)
    assert (request.state, request.law) == (State.REQUIRES_INPUT, "ccpa")
    assert Purpose.SHARING in allowed_purposes(store, customer=ann)
    client.post(page_of(request), {"action": "file", "file": upload()})
    request.refresh_from_db()
    assert (request.state, request.identity_confirmed_at) == (State.COMPLETE, None)
    assert Purpose.SHARING not in allowed_purposes(store, customer=ann)
    assert OptOut.objects.for_store(store).get().source == "agent"
    assert any("nothing about you is sold" in letter for letter in sent())  # the person is told


def test_the_person_refuses_an_agent_they_do_not_know(
    store: Store, ann: Customer, client: Client, sent: Sent
) -> None:
    request = opened(store, Kind.ERASURE)
    page = client.get(request_path(request)).content.decode()
    assert "They do not act for me" in page
    assert "permission.pdf" in page  # what was shown in their name
    client.post(request_path(request), {"action": "refuse"})
    request.refresh_from_db()
    assert (request.state, request.decision_reason) == (State.DENIED, "The person did not authorise it.")
    assert Customer.objects.for_store(store).filter(pk=ann.pk).exists()
    client.post(request_path(request), {"action": "renew"})
    request.refresh_from_db()
    assert request.state == State.DENIED


def test_staff_may_make_sure_directly_and_say_how(store: Store, ann: Customer, officer: User) -> None:
    request = opened(store, Kind.ERASURE)
    with pytest.raises(ValueError, match="how you made sure"):
        agent_confirm_directly(request=request, actor=officer, reason=" ")
    agent_confirm_directly(request=request, actor=officer, reason="Telephoned the number on file.")
    request.refresh_from_db()
    assert request.state == State.PENDING
    told = AuditPayload.objects.for_store(store).filter(entry__action="request.pending").get()
    assert (told.actor, told.reason) == (f"user:{officer.pk}", "Telephoned the number on file.")


def test_who_lacks_the_permission_cannot_be_confirmed_directly(store: Store, officer: User) -> None:
    request = opened(store, permission=None)
    with pytest.raises(InvalidTransition):
        agent_confirm_directly(request=request, actor=officer, reason="Telephoned.")
    request.refresh_from_db()
    assert (request.state, request.identity_confirmed_at) == (State.REQUIRES_INPUT, None)


def test_questions_and_refusals_go_to_the_agent_and_a_refusal_to_the_person_too(
    store: Store, ann: Customer, officer: User, client: Client, sent: Sent
) -> None:
    request = confirmed(opened(store), client, sent)
    before = len(sent())
    request_ask(request=request, actor=officer, question="Which account?")
    (question,) = sent()[before:]
    assert "Which account?" in question
    assert page_of(request) in question
    client.post(page_of(request), {"action": "answer", "answer": "The one of 2024."})
    request.refresh_from_db()
    assert (request.state, request.message) == (State.PENDING, "The one of 2024.")
    request_deny(request=request, actor=officer, reason="Not theirs.")
    assert sum("Not theirs." in letter for letter in sent()[before:]) == 2


def test_agents_cannot_flood_a_person_or_the_shop(store: Store, sent: Sent) -> None:
    for _ in range(MAX_ABOUT_ONE_PERSON_PER_HOUR):
        opened(store)
    with pytest.raises(TooManyLetters):
        opened(store)
    for number in range(MAX_OF_ONE_AGENT_PER_DAY - MAX_ABOUT_ONE_PERSON_PER_HOUR - 1):
        agent_request_open(store=store, kind=Kind.ACCESS, agent=BEA, person_email=f"{number}@example.org")
    with pytest.raises(TooManyLetters):
        agent_request_open(store=store, kind=Kind.ACCESS, agent=BEA, person_email="one.more@example.org")
    assert DataSubjectRequest.objects.for_store(store).count() == MAX_OF_ONE_AGENT_PER_DAY - 1


@pytest.mark.parametrize("wrong", [
    {"person_email": "bea@agents.example"},
    {"kind": "objection"},
    {"kind": "rectification"},
    {"name": ""},
    {"permission": SimpleUploadedFile("virus.exe", b"MZ\x00\x01")},
])  # fmt: skip
def test_a_form_that_makes_no_sense_leaves_nothing(
    store: Store, client: Client, sent: Sent, wrong: dict[str, Any]
) -> None:
    form = {"name": "Bea", "email": "bea@agents.example", "person_email": "ann@example.org", "kind": "access"}
    assert client.post("/privacy/agent/", {**form, **wrong}).status_code == 400
    assert not DataSubjectRequest.objects.for_store(store).exists()
    assert sent() == []


def test_the_two_pages_have_two_keys(store: Store, client: Client) -> None:
    request = opened(store)
    own = agent_token_of(request)
    assert client.get(page_of(request))["Referrer-Policy"] == "same-origin"
    assert client.get(f"/privacy/requests/{own}/").status_code == 404
    assert client.get(request_path(request).replace("/requests/", "/agents/")).status_code == 404


def test_what_nobody_confirms_ends_after_thirty_days_with_all_that_it_held(store: Store) -> None:
    waiting, unproved = opened(store), opened(store, permission=None)
    now = timezone.now()
    assert expire_challenges(now + timedelta(days=29)) == 0
    expire_challenges(now + timedelta(days=31))
    for request in (waiting, unproved):
        request.refresh_from_db()
        assert (request.state, request.sealed, request.papers.count()) == (State.CANCELLED, None, 0)


def test_an_erasure_leaves_nothing_of_the_agent_either(
    store: Store, ann: Customer, officer: User, client: Client, sent: Sent
) -> None:
    request = confirmed(opened(store, Kind.ERASURE), client, sent)
    before = len(sent())
    request_approve(request=request, actor=officer)
    request.refresh_from_db()
    process_now(request)
    assert request.state == State.COMPLETE
    assert (request.sealed, request.papers.count()) == (None, 0)
    assert len(sent()) == before + 2  # person and agent
    assert client.get(page_of(request)).status_code == 200
