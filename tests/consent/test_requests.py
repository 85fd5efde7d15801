"""Requests from the first word to the receipt: states, parts, failures, letters."""

from __future__ import annotations

import io
import itertools
import json
import zipfile
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import personal_data, vault
from accounts.models import Customer, User
from accounts.personal_data import ErasureReport, ExportTable, Processor, Subject
from accounts.selectors.identity import subject_of
from consent.gate import allowed_purposes, may_personalise
from consent.models import AuditPayload, DataSubjectRequest, RequestPart, RequestPolicy, Suppression
from consent.purposes import ALL, Purpose
from consent.request_states import TRANSITIONS, InvalidTransition, check_transition
from consent.services.archives import expire_archives, open_archive
from consent.services.decisions import Decision, decision_record
from consent.services.request_processing import due_for_sweep, process_now
from consent.services.requests import (
    request_answer,
    request_approve,
    request_ask,
    request_cancel,
    request_deny,
    request_extend,
    request_open,
    request_retry,
)
from consent.verification import verify_all

Kind, State = DataSubjectRequest.Kind, DataSubjectRequest.State


class Held:
    """A processor of the test: fails while `error` is set, and remembers whom it erased."""

    def __init__(self, name: str, stage: int = 50) -> None:
        self.name, self.stage = name, stage
        self.error: Exception | None = None
        self.erased: list[Subject] = []

    def export(self, subject: Subject) -> Iterator[ExportTable]:
        if self.error:
            raise self.error
        yield ExportTable(
            "things", "Things.", [{"n": 1, "said": "=1+1", "of": subject.user_ids}, {"n": 2, "said": "<b>"}]
        )

    def erase(self, subject: Subject) -> ErasureReport:
        if self.error:
            raise self.error
        self.erased.append(subject)
        return ErasureReport(deleted={"things": 2})

    def processor(self) -> Processor:
        return Processor(self.name, self.name.title(), self.export, self.erase, self.stage)


@pytest.fixture
def shop(monkeypatch) -> Held:  # type: ignore[no-untyped-def]
    return Held("shop")


@pytest.fixture
def crm(monkeypatch) -> Held:  # type: ignore[no-untyped-def]
    return Held("crm", stage=40)


@pytest.fixture(autouse=True)
def _only_these_processors(monkeypatch, shop: Held, crm: Held) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(personal_data, "_processors", {held.name: held.processor() for held in (shop, crm)})


@pytest.fixture(autouse=True)
def _anchors(tmp_path, settings) -> None:  # type: ignore[no-untyped-def]
    settings.ETALAGE_ANCHOR_DIR = tmp_path


def ask(customer: Customer, kind: str, **values: object) -> DataSubjectRequest:
    return request_open(subject=subject_of(customer), kind=kind, source="account", **values)  # type: ignore[arg-type]


def states(request: DataSubjectRequest) -> dict[str, str]:
    return dict(request.parts.values_list("processor", "state"))


def test_every_transition_is_allowed_or_refused_by_the_table() -> None:
    assert set(TRANSITIONS) == set(State.values)
    for current, following in itertools.product(State.values, State.values):
        if following in TRANSITIONS[current]:
            check_transition(current, following)
        else:
            with pytest.raises(InvalidTransition):
                check_transition(current, following)


def test_nothing_leaves_a_closed_request(customer: Customer, officer: User) -> None:
    request = ask(customer, Kind.RECTIFICATION, corrections={"city": "Ulm"})
    request_deny(request=request, actor=officer, reason="Not proved.")
    entries = AuditPayload.objects.for_store(customer.store).count()
    for action in (request_approve, request_cancel):
        with pytest.raises(InvalidTransition):
            action(request=request, actor=officer)
    request.refresh_from_db()
    assert (request.state, request.decided_by, request.decision_reason) == (
        State.DENIED,
        officer,
        "Not proved.",
    )
    assert AuditPayload.objects.for_store(customer.store).count() == entries


def test_an_access_request_becomes_a_zip_to_read_and_to_take_elsewhere(customer: Customer) -> None:
    request = ask(customer, Kind.ACCESS, contact="ann@example.org")
    assert request.state == State.APPROVED  # the store's policy asks for no decision
    process_now(request)
    assert request.state == State.COMPLETE
    assert states(request) == {"shop": "done", "crm": "done"}
    content = open_archive(request)
    assert content is not None
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert sorted(archive.namelist()) == [
            "csv/crm-things.csv",
            "csv/shop-things.csv",
            "data.json",
            "index.html",
        ]
        data = json.loads(archive.read("data.json"))
        assert data["data"]["shop"]["things"]["rows"][0] == {"n": 1, "said": "=1+1", "of": ["u-1"]}
        assert data["missing"] == []
        csv = archive.read("csv/shop-things.csv").decode().splitlines()
        assert csv == ["n,said,of", '1,\'=1+1,"[""u-1""]"', "2,<b>,"]
        html = archive.read("index.html").decode()
        assert "&lt;b&gt;" in html
        assert "<b>" not in html
    assert content not in bytes(request.archive)  # sealed where it stands
    assert set(request.parts.values_list("output", flat=True)) == {None}
    assert {part["processor"]: part["report"] for part in request.receipt["parts"]} == {
        "crm": {"rows": {"things": 2}}, "shop": {"rows": {"things": 2}},
    }  # fmt: skip


def test_an_export_expires(customer: Customer) -> None:
    RequestPolicy.objects.create(store=customer.store, archive_days=3)
    request = ask(customer, Kind.ACCESS)
    process_now(request)
    expires_at = request.archive_expires_at
    assert expires_at is not None
    assert abs(expires_at - timezone.now() - timedelta(days=3)) < timedelta(minutes=1)
    assert expire_archives(expires_at - timedelta(seconds=1)) == 0
    assert expire_archives(expires_at) == 1
    request.refresh_from_db()
    assert open_archive(request) is None


def test_one_failing_part_holds_back_no_other(customer: Customer, shop: Held, crm: Held) -> None:
    crm.error = ConnectionError("no route to ann@example.org")
    request = ask(customer, Kind.ERASURE)
    process_now(request)
    assert states(request) == {"crm": "failed", "shop": "done"}
    assert request.state == State.PENDING_EXTERNAL
    part = request.parts.get(processor="crm")
    assert (part.attempts, part.error) == (1, "ConnectionError")  # the message may name the person
    assert part.retry_at is not None
    assert part.retry_at > timezone.now()
    assert len(shop.erased) == 1
    assert due_for_sweep() == []  # not its turn yet
    request.parts.filter(processor="crm").update(retry_at=timezone.now())
    assert due_for_sweep() == [request.pk]


def test_what_failed_is_tried_again_with_the_ids_of_a_customer_who_is_gone(
    customer: Customer, shop: Held, crm: Held
) -> None:
    crm.error = ConnectionError()
    request = ask(customer, Kind.ERASURE)
    process_now(request)
    Customer.objects.for_store(customer.store).filter(pk=customer.pk).delete()
    crm.error = None
    request.parts.update(retry_at=timezone.now())
    process_now(request)
    assert request.state == State.COMPLETE
    (again,) = crm.erased
    assert again.user_ids == ("u-1",)
    assert again.customer_ids == (customer.pk,)
    assert len(shop.erased) == 1  # what was done is not done again
    assert request.private == {}
    assert "u-1" not in json.dumps(request.receipt)


def test_a_part_that_keeps_failing_is_shown_as_an_error_until_it_works(
    customer: Customer, crm: Held, officer: User
) -> None:
    crm.error = ConnectionError()
    request = ask(customer, Kind.ERASURE)
    for _ in range(3):
        request.parts.filter(state="failed").update(retry_at=timezone.now())
        process_now(request)
    assert request.state == State.ERROR
    assert request.parts.get(processor="crm").attempts == 3
    crm.error = None
    request_retry(request=request, actor=officer)
    process_now(request)
    assert request.state == State.COMPLETE


def test_parts_run_in_the_order_of_their_stages_and_a_lost_worker_is_noticed(customer: Customer) -> None:
    from consent.services.request_processing import _part_lock, advance

    request = ask(customer, Kind.ACCESS)
    handed_out: list[int] = []
    advance(request.pk, handed_out.append)
    assert [RequestPart.all_stores.get(pk=pk).processor for pk in handed_out] == ["crm"]
    request.parts.filter(processor="crm").update(state="running", started_at=timezone.now())
    handed_out.clear()
    with _part_lock(request.parts.get(processor="crm").pk) as is_ours:
        assert is_ours
        advance(request.pk, handed_out.append)
        assert handed_out == []  # the next stage waits for the running part
    # Its worker has died: its connection, and the lock with it, is gone.
    advance(request.pk, handed_out.append)
    assert [RequestPart.all_stores.get(pk=pk).processor for pk in handed_out] == ["crm", "shop"]


def test_an_erasure_suppresses_before_it_deletes(customer: Customer, shop: Held) -> None:
    vault.put(customer, "email", "Ann@Example.org")
    shop.error = RuntimeError()
    request = ask(customer, Kind.ERASURE)
    process_now(request)
    assert set(Suppression.objects.for_store(customer.store).values_list("kind", flat=True)) == {
        "user_id",
        "email",
    }
    assert allowed_purposes(customer.store, customer="u-1", at=timezone.now() - timedelta(days=1)) == Purpose(
        0
    )


def test_the_same_request_twice_is_one(customer: Customer) -> None:
    first = ask(customer, Kind.RECTIFICATION, corrections={"city": "Ulm"})
    assert ask(customer, Kind.RECTIFICATION, corrections={"city": "Bonn"}) == first
    assert ask(customer, Kind.ACCESS) != first


def test_a_correction_waits_for_a_person_and_is_then_put_in(customer: Customer, officer: User) -> None:
    request = ask(
        customer, Kind.RECTIFICATION, corrections={"city": "Ulm", "name": "Ann Lee", "birth_year": "1980"}
    )
    assert request.state == State.PENDING
    request_approve(request=request, actor=officer)
    request.refresh_from_db()
    process_now(request)
    customer.refresh_from_db()
    assert (customer.city, customer.birth_year, vault.get(customer, "name")) == ("Ulm", 1980, "Ann Lee")
    assert request.state == State.COMPLETE


def test_an_objection_holds_at_once(customer: Customer) -> None:
    decision_record(
        store=customer.store, decision=Decision(ALL, "accept", anonymous_id="a", customer=customer)
    )
    assert may_personalise(customer.store, anonymous_id="a", customer=customer)
    request = ask(customer, Kind.OBJECTION)
    assert request.state == State.COMPLETE
    customer.refresh_from_db()
    assert customer.has_objected_to_profiling
    assert not may_personalise(customer.store, anonymous_id="a", customer=customer)


def test_a_restriction_freezes_at_once(customer: Customer) -> None:
    decision_record(store=customer.store, decision=Decision(ALL, "accept", customer=customer))
    ask(customer, Kind.RESTRICTION)
    assert allowed_purposes(customer.store, customer="u-1") == Purpose.NECESSARY


def test_an_extension_moves_the_deadline_once_and_says_why(customer: Customer, officer: User) -> None:
    request = ask(customer, Kind.RECTIFICATION, corrections={"city": "Ulm"}, received_at=timezone.now())
    first_due = request.due_at
    with pytest.raises(ValueError, match="reason"):
        request_extend(request=request, actor=officer, reason=" ")
    extended = request_extend(request=request, actor=officer, reason="Many systems.")
    assert extended.due_at > first_due
    assert extended.extended_until == extended.due_at
    with pytest.raises(ValueError, match="once"):
        request_extend(request=request, actor=officer, reason="Again.")


def test_asking_back_and_the_answer(customer: Customer, officer: User) -> None:
    request = ask(customer, Kind.RECTIFICATION, message="My city is wrong.")
    asked = request_ask(request=request, actor=officer, question="Which is right?")
    assert asked.state == State.REQUIRES_INPUT
    assert asked.private["question"] == "Which is right?"
    answered = request_answer(request=request, answer="Ulm")
    assert (answered.state, answered.message) == (State.PENDING, "My city is wrong.\n\nUlm")


def test_what_people_write_is_sealed(customer: Customer) -> None:
    request = ask(customer, Kind.RECTIFICATION, message="I am Ann Lee", contact="ann@example.org")
    request.refresh_from_db()
    assert request.sealed is not None
    assert b"Ann" not in bytes(request.sealed)
    assert b"u-1" not in bytes(request.sealed)
    assert request.contact == "ann@example.org"


def test_the_audit_log_tells_the_story_without_the_person(customer: Customer, officer: User) -> None:
    request = ask(customer, Kind.RECTIFICATION, corrections={"city": "Ulm"}, contact="ann@example.org")
    request_deny(request=request, actor=officer, reason="Not proved.")
    story = (
        AuditPayload.objects.for_store(customer.store)
        .order_by("pk")
        .values_list("entry__action", "actor", "target")
    )
    target = f"request:{request.public_id}"
    assert list(story) == [
        ("request.received", "requester", target),
        ("request.denied", f"user:{officer.pk}", target),
    ]
    assert all(report.is_intact for report in verify_all(customer.store))
