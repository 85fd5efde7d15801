"""People without an account prove an address; letters say how it stands."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import vault
from accounts.models import Customer, Store, User
from accounts.selectors.identity import subject_of
from consent.models import DataSubjectRequest
from consent.services.challenges import (
    ChallengeFailed,
    TooManyLetters,
    challenge_answer,
    challenge_renew,
    request_open_by_email,
)
from consent.services.request_processing import process_now
from consent.services.requests import request_answer, request_ask, request_deny, request_extend, request_open
from tests.consent.conftest import Sent

Kind, State = DataSubjectRequest.Kind, DataSubjectRequest.State


def code_in(letters: list[str]) -> str:
    return next(
        word for word in letters[-1].split() if word.strip(".").isdigit() and len(word.strip(".")) == 6
    ).strip(".")


def test_an_address_is_proved_by_a_code(store: Store, customer: Customer, sent: Sent) -> None:
    vault.put(customer, "email", "ann@example.org")
    request = request_open_by_email(store=store, email=" Ann@Example.org", kind=Kind.ACCESS)
    assert request.state == State.IDENTITY_UNVERIFIED
    assert request.customer is None  # nobody looked yet
    verified = challenge_answer(request=request, code=code_in(sent()))
    assert verified.state == State.APPROVED
    process_now(verified)
    assert (verified.state, verified.customer) == (State.COMPLETE, customer)


def test_three_wrong_codes_are_the_end(store: Store, sent: Sent) -> None:
    request = request_open_by_email(store=store, email="ann@example.org", kind=Kind.ACCESS)
    code = code_in(sent())
    wrong = "000000" if code != "000000" else "111111"
    for left in (2, 1, 0):
        with pytest.raises(ChallengeFailed) as failed:
            challenge_answer(request=request, code=wrong)
        assert failed.value.attempts_left == left
    with pytest.raises(ChallengeFailed):
        challenge_answer(request=request, code=code)
    request.refresh_from_db()
    assert request.state == State.IDENTITY_UNVERIFIED


def test_a_code_lasts_ten_minutes(store: Store, sent: Sent, time_machine) -> None:  # type: ignore[no-untyped-def]
    start = timezone.now()
    time_machine.move_to(start, tick=False)
    request = request_open_by_email(store=store, email="ann@example.org", kind=Kind.ACCESS)
    code = code_in(sent())
    time_machine.move_to(start + timedelta(minutes=10), tick=False)
    with pytest.raises(ChallengeFailed):
        challenge_answer(request=request, code=code)
    challenge_renew(request=request)
    assert challenge_answer(request=request, code=code_in(sent())).state == State.APPROVED


def test_nobody_is_flooded_with_letters(store: Store, sent: Sent) -> None:
    for _ in range(3):
        request_open_by_email(store=store, email="ann@example.org", kind=Kind.ACCESS)
    with pytest.raises(TooManyLetters):
        request_open_by_email(store=store, email="ANN@example.org", kind=Kind.ERASURE)
    assert len(sent()) == 3


def test_an_erasure_by_mailbox_waits_for_a_person(store: Store, sent: Sent) -> None:
    request = request_open_by_email(store=store, email="ann@example.org", kind=Kind.ERASURE)
    assert challenge_answer(request=request, code=code_in(sent())).state == State.PENDING


def test_a_second_request_by_mail_is_a_duplicate(store: Store, sent: Sent) -> None:
    first = request_open_by_email(store=store, email="ann@example.org", kind=Kind.ERASURE)
    challenge_answer(request=first, code=code_in(sent()))
    second = request_open_by_email(store=store, email="ann@example.org", kind=Kind.ERASURE)
    assert challenge_answer(request=second, code=code_in(sent())).state == State.DUPLICATE


@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_letters_carry_the_number_and_the_page_of_the_request(
    customer: Customer, officer: User, sent: Sent, language: str
) -> None:
    request = request_open(
        subject=subject_of(customer),
        kind=Kind.RECTIFICATION,
        source="account",
        contact="ann@example.org",
        message="x",
        language=language,
    )
    request_extend(request=request, actor=officer, reason="Many systems.")
    request_ask(request=request, actor=officer, question="Which?")
    request_answer(request=request, answer="Ulm")
    request_deny(request=request, actor=officer, reason="Because.")
    received, extended, question, denied = sent()
    for letter in (received, extended, question, denied):
        assert str(request.public_id) in letter
    assert "/privacy/requests/" in received
    assert "Many systems." in extended
    assert "Which?" in question
    assert "Because." in denied
