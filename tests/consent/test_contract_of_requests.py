"""The contract's lines on requests, one by one: every state is reached, shown to both sides, confirmed, alerted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from prometheus_client import REGISTRY

from accounts import personal_data
from accounts.models import Customer, Role, Store, User
from accounts.personal_data import ErasureReport, Processor
from accounts.selectors.identity import subject_of
from consent.deadlines import confirm_by
from consent.links import request_path
from consent.models import DataSubjectRequest, RequestPolicy
from consent.request_alerts import officers_remind, publish_request_figures
from consent.request_texts import STATE_TEXTS
from consent.services.challenges import challenge_answer, request_open_by_email
from consent.services.letters import confirmations_resend
from consent.services.request_moves import approve, locked
from consent.services.request_processing import advance, process_now
from consent.services.requests import (
    request_approve,
    request_ask,
    request_cancel,
    request_deny,
    request_open,
    request_pause,
    request_restriction_lift,
    request_resume,
    request_review_answer,
)
from tests.consent.conftest import Sent
from tests.consent.test_challenges import code_in
from tests.factories import MembershipFactory, UserFactory

Kind, State = DataSubjectRequest.Kind, DataSubjectRequest.State


@pytest.fixture(autouse=True)
def _the_shop(settings: Any, tmp_path: Any) -> None:
    settings.ETALAGE_STOREFRONT_STORE = "tents"
    settings.ETALAGE_ANCHOR_DIR = tmp_path
    cache.clear()


def correction(customer: Customer, **values: Any) -> DataSubjectRequest:
    return request_open(
        subject=subject_of(customer), kind=Kind.RECTIFICATION, source="account", corrections={"city": "Ulm"}, **values
    )  # fmt: skip


def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(subject: object) -> Any:
        raise ConnectionError

    crm = Processor("crm", "CRM", fails, fails, stage=40)
    works = Processor("shop", "Shop", lambda subject: (), lambda subject: ErasureReport(), stage=50)
    monkeypatch.setattr(personal_data, "_processors", {"crm": crm, "shop": works})


def _reached(
    state: str, customer: Customer, officer: User, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> DataSubjectRequest:
    """A request that has come to the state by the services alone."""
    store = customer.store
    match state:
        case State.IDENTITY_UNVERIFIED:
            return request_open_by_email(store=store, email="ann@example.org", kind=Kind.ACCESS)
        case State.DUPLICATE:
            first = request_open_by_email(store=store, email="ann@example.org", kind=Kind.ERASURE)
            challenge_answer(request=first, code=code_in(sent()))
            second = request_open_by_email(store=store, email="ann@example.org", kind=Kind.ERASURE)
            return challenge_answer(request=second, code=code_in(sent()))
        case State.APPROVED | State.PROCESSING | State.COMPLETE:
            request = request_open(subject=subject_of(customer), kind=Kind.ACCESS, source="account")
            if state == State.PROCESSING:
                advance(request.pk, lambda part: None)
            if state == State.COMPLETE:
                process_now(request)
        case State.PENDING_EXTERNAL | State.ERROR:
            failing(monkeypatch)
            request = request_open(subject=subject_of(customer), kind=Kind.ERASURE, source="account")
            for _ in range(1 if state == State.PENDING_EXTERNAL else 3):
                request.parts.filter(state="failed").update(retry_at=timezone.now())
                process_now(request)
            assert request.parts.get(processor="shop").state == "done"  # one that fails holds back no other
        case _:
            request = correction(customer)
            steps: dict[str, Callable[[], object]] = {
                State.DENIED: lambda: request_deny(request=request, actor=officer, reason="No proof."),
                State.REQUIRES_INPUT: lambda: request_ask(request=request, actor=officer, question="Which?"),
                State.PAUSED: lambda: request_pause(request=request, actor=officer, reason="Dispute."),
                State.CANCELLED: lambda: request_cancel(request=request),
            }
            steps.get(state, lambda: None)()
    request.refresh_from_db()
    return request


@pytest.mark.parametrize("state", State.values)
def test_each_of_the_twelve_states_is_reached_and_shown_to_who_asked(
    state: str, customer: Customer, officer: User, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = _reached(state, customer, officer, sent, monkeypatch)
    assert request.state == state
    page = Client().get(request_path(request)).content.decode()
    assert f'data-request-state="{state}"' in page
    assert str(STATE_TEXTS[state]).replace("'", "&#x27;") in page


def test_what_is_paused_goes_on_where_it_was_and_its_deadline_kept_running(
    customer: Customer, officer: User
) -> None:
    request = correction(customer)
    due = request.due_at
    request_pause(request=request, actor=officer, reason="Dispute.")
    assert request_resume(request=request, actor=officer).state == State.PENDING
    request.refresh_from_db()
    assert request.due_at == due


# --- acknowledgement: CCPA, ten business days


def test_a_receipt_that_the_mail_server_did_not_take_is_confirmed_later_and_alerted(
    customer: Customer, sent: Sent, settings: Any, time_machine: Any, caplog: pytest.LogCaptureFixture
) -> None:
    time_machine.move_to(
        "2026-03-06T12:00:00+00:00", tick=False
    )  # a Friday: ten business days end on 20 March
    settings.EMAIL_BACKEND = "tests.consent.test_contract_of_requests.Unreachable"
    request = correction(customer, contact="ann@example.org")
    assert sent() == []
    request.refresh_from_db()
    assert request.acknowledged_at is None
    assert confirm_by(request.received_at, "UTC").date().isoformat() == "2026-03-20"
    publish_request_figures()
    figure = {"store": customer.store.slug}
    assert REGISTRY.get_sample_value("etalage_requests_unconfirmed", figure) == 1
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    now = timezone.now()
    assert confirmations_resend(now + timedelta(minutes=4)) == 0  # the first letter may still be on its way
    assert confirmations_resend(now + timedelta(minutes=6)) == 1
    assert confirmations_resend(now + timedelta(minutes=7)) == 0  # once an hour
    assert len(sent()) == 1
    request.refresh_from_db()
    assert request.acknowledged_at == now
    publish_request_figures()
    assert REGISTRY.get_sample_value("etalage_requests_unconfirmed", figure) == 0


class Unreachable:
    """A mail server that is away."""

    def __init__(self, **options: object) -> None:
        pass

    def send_messages(self, messages: object) -> int:
        raise ConnectionRefusedError


def test_who_leaves_no_address_is_told_on_the_page(customer: Customer) -> None:
    request = correction(customer)
    assert request.acknowledged_at == request.received_at


# --- alerts


def test_officers_are_written_to_while_something_is_due(customer: Customer, store: Store) -> None:
    officer, merchandiser = UserFactory(), UserFactory()
    MembershipFactory(user=officer, store=store, role=Role.PRIVACY_OFFICER)
    MembershipFactory(user=merchandiser, store=store, role=Role.MERCHANDISER)
    RequestPolicy.objects.create(store=store, due_soon_days=3)
    request = correction(customer)
    assert officers_remind() == 0
    for days, counted in ((2, "0 overdue\n1 due soon"), (-1, "1 overdue\n0 due soon")):
        mail.outbox.clear()
        DataSubjectRequest.objects.for_store(store).update(due_at=timezone.now() + timedelta(days=days))
        assert officers_remind() == 1
        (letter,) = mail.outbox
        assert letter.to == [officer.email]
        assert counted in letter.body
    request_deny(request=request, actor=officer, reason="No.")
    assert officers_remind() == 0


# --- the human review, and the end of a freeze


def test_an_objection_holds_at_once_and_a_human_answers_who_asks_for_one(
    customer: Customer, officer: User, sent: Sent
) -> None:
    request = request_open(
        subject=subject_of(customer), kind=Kind.OBJECTION, source="account", contact="ann@example.org",
        message="You think that I am poor.", asks_review=True,
    )  # fmt: skip
    customer.refresh_from_db()
    assert (customer.has_objected_to_profiling, request.state) == (True, State.COMPLETE)
    assert "A person will look" in Client().get(request_path(request)).content.decode()
    with pytest.raises(ValueError, match="Write what you found"):
        request_review_answer(request=request, actor=officer, answer=" ")
    request_review_answer(request=request, actor=officer, answer="We had guessed wrong, and deleted it.")
    assert "We had guessed wrong" in sent()[-1]
    assert "We had guessed wrong" in Client().get(request_path(request)).content.decode()
    with pytest.raises(ValueError, match="Nobody waits"):
        request_review_answer(request=request, actor=officer, answer="Once more.")


def test_a_freeze_ends_with_a_letter_and_a_reason(customer: Customer, officer: User, sent: Sent) -> None:
    request = request_open(
        subject=subject_of(customer), kind=Kind.RESTRICTION, source="account", contact="ann@example.org"
    )
    with pytest.raises(ValueError, match="reason"):
        request_restriction_lift(request=request, actor=officer, reason="")
    customer.refresh_from_db()
    assert customer.is_processing_restricted
    request_restriction_lift(request=request, actor=officer, reason="The dispute is settled.")
    customer.refresh_from_db()
    assert not customer.is_processing_restricted
    assert "The dispute is settled." in sent()[-1]


def test_an_officers_approval_of_what_somebody_else_decided_changes_nothing(
    customer: Customer, officer: User
) -> None:
    """Two officers at once: the second finds the request decided."""
    request = correction(customer)
    approve(locked(request), actor=officer, reason="")
    with pytest.raises(ValueError, match="cannot become"):
        request_approve(request=request, actor=officer)
