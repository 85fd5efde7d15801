"""What the worker does, without a worker: tasks run where they are sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone
from prometheus_client import REGISTRY

from accounts.models import Customer, Store
from accounts.selectors.identity import subject_of
from config.celery import app
from consent import tasks
from consent.anchors import read_anchors
from consent.models import AuditEntry, ConsentPayload, DataSubjectRequest, IdentityChallenge
from consent.purposes import ALL
from consent.services.challenges import request_open_by_email
from consent.services.decisions import Decision, decision_record
from consent.services.requests import request_open
from consent.verification import verify_all
from tests.consent.test_ledger import without_protection

State = DataSubjectRequest.State


@pytest.fixture(autouse=True)
def _here_and_now(settings, tmp_path) -> Iterator[None]:  # type: ignore[no-untyped-def]
    settings.ETALAGE_ANCHOR_DIR = tmp_path
    app.conf.update(task_always_eager=True, task_eager_propagates=True)
    yield
    app.conf.update(task_always_eager=False, task_eager_propagates=False)


def test_the_sweep_carries_out_what_the_worker_never_heard_of(store: Store, customer: Customer) -> None:
    """The message to the worker goes with the commit, which a test never sees: only the sweep can have done it."""
    request = request_open(subject=subject_of(customer), kind="access", source="account")
    tasks.sweep_requests()
    request.refresh_from_db()
    assert request.state == State.COMPLETE
    assert {part.state for part in request.parts.all()} == {"done"}


def test_a_task_twice_or_for_nothing_is_harmless(store: Store, customer: Customer) -> None:
    request = request_open(subject=subject_of(customer), kind="access", source="account")
    for _ in range(2):
        tasks.advance_request(request.pk)
    part = request.parts.first()
    assert part is not None
    tasks.run_request_part(part.pk)
    tasks.run_request_part(0)
    part.refresh_from_db()
    assert part.attempts == 1
    assert AuditEntry.objects.for_store(store).filter(action="request.complete").count() == 1


def test_overdue_requests_are_counted_and_logged(store: Store, customer: Customer, caplog) -> None:  # type: ignore[no-untyped-def]
    two_months_ago = timezone.now() - timedelta(days=62)
    request_open(
        subject=subject_of(customer),
        kind="rectification",
        source="account",
        message="x",
        received_at=two_months_ago,
    )
    tasks.sweep_requests()
    assert REGISTRY.get_sample_value("etalage_requests_overdue", {"store": store.slug}) == 1
    assert "requests.overdue" in caplog.text


def test_heads_are_anchored_nightly_and_a_broken_ledger_is_not_anchored_over(store: Store, caplog) -> None:  # type: ignore[no-untyped-def]
    decision_record(store=store, decision=Decision(ALL, "accept", anonymous_id="a"))
    tasks.anchor_ledgers()
    assert [(anchor.ledger, anchor.sequence) for anchor in read_anchors(store)] == [("consent", 1)]
    request_open_by_email(store=store, email="ann@example.org", kind="access")
    without_protection(
        "UPDATE consent_auditpayload SET actor = 'somebody else' WHERE store_id = %s", store.pk
    )
    tasks.anchor_ledgers()
    assert len(read_anchors(store)) == 1
    assert "ledger.not_intact" in caplog.text


def test_what_is_past_its_term_goes_and_the_ledger_still_verifies(store: Store) -> None:
    long_ago = timezone.now() - timedelta(days=4 * 365)
    decision_record(store=store, decision=Decision(ALL, "accept", anonymous_id="a", at=long_ago))
    decision_record(store=store, decision=Decision(ALL, "save", anonymous_id="a"))
    decision_record(store=store, decision=Decision(ALL, "accept", anonymous_id="faithful", at=long_ago))
    tasks.expire_personal_data()
    left = (
        ConsentPayload.objects.for_store(store)
        .order_by("record__sequence")
        .values_list("record__sequence", flat=True)
    )
    assert list(left) == [2, 3]  # the first was replaced and is old; the third is old and still in force
    reports = verify_all(store)
    assert [(report.ledger, report.erased, report.findings) for report in reports] == [
        ("consent", 1, []),
        ("audit", 0, []),
    ]


def test_addresses_that_nobody_proved_go_after_a_day(store: Store, time_machine) -> None:  # type: ignore[no-untyped-def]
    request = request_open_by_email(store=store, email="ann@example.org", kind="access")
    time_machine.move_to(timezone.now() + timedelta(days=1, minutes=1))
    tasks.expire_personal_data()
    request.refresh_from_db()
    assert (request.state, request.sealed) == (State.CANCELLED, None)
    assert not IdentityChallenge.objects.for_store(store).exists()
