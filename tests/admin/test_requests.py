"""The queue of data-subject requests: what is urgent, what can be done, who decides."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Store
from config.attention import attention_for
from consent.admin.request_deeds import deeds_for
from consent.admin.requests import deadline
from consent.models import AuditEntry, AuditPayload, DataSubjectRequest, RequestPolicy
from tests.admin.conftest import Staff
from tests.consent.test_ledger import without_protection
from tests.factories import CustomerFactory

State = DataSubjectRequest.State


def _request(
    store: Store, *, days: float = 20, state: str = State.PENDING, kind: str = "access"
) -> DataSubjectRequest:
    request = DataSubjectRequest(
        store=store,
        kind=kind,
        state=state,
        customer=CustomerFactory(store=store),
        due_at=timezone.now() + timedelta(days=days),
    )
    request.private = {"message": "Please send me what you know.", "contact": "anna@shop.example"}
    request.save()
    return request


def _url(request: DataSubjectRequest, verb: str = "") -> str:
    if verb:
        return reverse("admin:consent_datasubjectrequest_do", args=[request.pk, verb])
    return reverse("admin:consent_datasubjectrequest_change", args=[request.pk])


def test_the_most_urgent_come_first_and_closed_ones_last(privacy_officer: Staff, store: Store) -> None:
    later, overdue = _request(store, days=20), _request(store, days=-2)
    closed, soon = _request(store, days=-9, state=State.COMPLETE), _request(store, days=3)
    page = privacy_officer.client.get(reverse("admin:consent_datasubjectrequest_changelist"))
    assert [row.pk for row in page.context["cl"].result_list] == [overdue.pk, soon.pk, later.pk, closed.pk]
    html = page.content.decode()
    assert "Overdue since 2\xa0days" in html
    assert "Due in" in html


@pytest.mark.parametrize(
    "days, state, tone",
    [
        (20, State.PENDING, ""),
        (3, State.PENDING, "warn"),
        (-1, State.PROCESSING, "bad"),
        (-1, State.DENIED, ""),
    ],
)
def test_a_deadline_is_as_loud_as_it_is_near(store: Store, days: float, state: str, tone: str) -> None:
    assert deadline(_request(store, days=days, state=state), timedelta(days=7))[1] == tone


def test_urgent_ones_are_counted_for_the_sidebar(store: Store) -> None:
    _request(store, days=-1)
    _request(store, days=6)
    _request(store, days=8)
    _request(store, days=1, state=State.COMPLETE)
    _request(store, days=1, state=State.IDENTITY_UNVERIFIED)
    assert attention_for(store).requests_urgent == 2


@pytest.mark.parametrize(
    "query, expected",
    [("open", {"late", "soon", "far"}), ("overdue", {"late"}), ("soon", {"soon"}), ("closed", {"done"})],
)
def test_the_queue_is_filtered_by_its_deadline(
    privacy_officer: Staff, store: Store, query: str, expected: set[str]
) -> None:
    made = {
        "late": _request(store, days=-1),
        "soon": _request(store, days=2),
        "far": _request(store, days=20),
        "done": _request(store, days=-3, state=State.COMPLETE),
    }
    page = privacy_officer.client.get(
        reverse("admin:consent_datasubjectrequest_changelist") + f"?due={query}"
    )
    assert {row.pk for row in page.context["cl"].result_list} == {made[name].pk for name in expected}


def test_approving_asks_says_what_will_happen_and_is_recorded(privacy_officer: Staff, store: Store) -> None:
    request = _request(store, kind="erasure")
    html = privacy_officer.client.get(_url(request, "approve")).content.decode()
    assert "is deleted, part by part" in html
    assert "cannot be undone once a part has run" in html
    request.refresh_from_db()
    assert request.state == State.PENDING
    privacy_officer.client.post(_url(request, "approve"), {"reason": "Identity checked"})
    request.refresh_from_db()
    assert request.state == State.APPROVED
    assert request.decided_by == privacy_officer.user
    payload = AuditPayload.objects.for_store(store).get(entry__action="request.approved")
    assert payload.target == f"request:{request.public_id}"
    assert payload.actor == f"user:{privacy_officer.user.pk}"


def test_a_refusal_needs_a_reason(privacy_officer: Staff, store: Store) -> None:
    request = _request(store)
    assert privacy_officer.client.post(_url(request, "deny"), {"reason": "  "}).status_code == 200
    request.refresh_from_db()
    assert request.state == State.PENDING
    privacy_officer.client.post(_url(request, "deny"), {"reason": "It is somebody else's data."})
    request.refresh_from_db()
    assert (request.state, request.decision_reason) == (State.DENIED, "It is somebody else's data.")


def test_a_deadline_is_extended_once(privacy_officer: Staff, store: Store) -> None:
    request = _request(store)
    before = request.due_at
    privacy_officer.client.post(_url(request, "extend"), {"reason": "Many recipients"})
    request.refresh_from_db()
    assert request.due_at > before
    assert request.extension_reason == "Many recipients"
    assert "extend" not in {deed.verb for deed in deeds_for(request)}


@pytest.mark.parametrize(
    "state, verbs",
    [
        (State.PENDING, {"approve", "deny", "ask", "extend", "pause", "duplicate", "cancel"}),
        (State.PAUSED, {"resume", "extend", "cancel"}),
        (State.REQUIRES_INPUT, {"deny", "extend", "duplicate", "cancel"}),
        (State.PROCESSING, {"extend"}),
        (State.COMPLETE, set()),
        (State.DENIED, set()),
    ],
)
def test_each_state_offers_what_can_follow(store: Store, state: str, verbs: set[str]) -> None:
    assert {deed.verb for deed in deeds_for(_request(store, state=state))} == verbs


def test_failed_parts_can_be_tried_again(store: Store) -> None:
    request = _request(store, state=State.ERROR)
    assert "retry" not in {deed.verb for deed in deeds_for(request)}
    request.parts.create(store=store, processor="tracking", state="failed")
    assert "retry" in {deed.verb for deed in deeds_for(request)}


def test_what_is_not_possible_is_refused(privacy_officer: Staff, store: Store) -> None:
    request = _request(store, state=State.COMPLETE)
    answer = privacy_officer.client.post(_url(request, "approve"), {"reason": "x"}, follow=True)
    assert "not possible" in answer.content.decode()
    request.refresh_from_db()
    assert request.state == State.COMPLETE


def test_an_administrator_reads_and_does_not_decide(administrator: Staff, store: Store) -> None:
    request = _request(store)
    html = administrator.client.get(_url(request)).content.decode()
    assert "Please send me" not in html
    assert "privacy officers read it" in html
    for verb in ("approve", "deny", "extend", "ask", "cancel"):
        assert administrator.client.post(_url(request, verb), {"reason": "x"}).status_code == 403
    request.refresh_from_db()
    assert request.state == State.PENDING
    assert not AuditEntry.objects.for_store(store).exists()


def test_reading_what_somebody_wrote_is_recorded(privacy_officer: Staff, store: Store) -> None:
    request = _request(store)
    assert "Please send me what you know." in privacy_officer.client.get(_url(request)).content.decode()
    payload = AuditPayload.objects.for_store(store).get(entry__action="request.read")
    assert payload.target == f"request:{request.public_id}"


def test_a_request_by_letter_is_entered(privacy_officer: Staff, store: Store) -> None:
    CustomerFactory(store=store, external_id="anna")
    url = reverse("admin:consent_datasubjectrequest_add")
    answer = privacy_officer.client.post(url, {"customer": "nobody", "kind": "erasure", "message": ""})
    assert "There is no such customer" in answer.content.decode()
    privacy_officer.client.post(url, {"customer": "anna", "kind": "erasure", "message": "By letter"})
    request = DataSubjectRequest.objects.for_store(store).get()
    assert (request.source, request.kind, request.state) == ("staff", "erasure", State.PENDING)
    assert request.message == "By letter"


def test_the_policy_is_one_row_a_store(privacy_officer: Staff, administrator: Staff, store: Store) -> None:
    url = privacy_officer.client.get(reverse("admin:consent_requestpolicy_changelist")).headers["Location"]
    data = {"automatic_kinds": ["access"], "archive_days": 14, "due_soon_days": 5}
    assert administrator.client.post(url, {**data, "archive_days": 99}).status_code == 403
    assert privacy_officer.client.post(url, data).status_code == 302
    policy = RequestPolicy.objects.for_store(store).get()
    assert (policy.automatic_kinds, policy.archive_days) == (["access"], 14)


def test_the_chain_is_verified_on_request(privacy_officer: Staff, merchandiser: Staff, store: Store) -> None:
    _request(store)
    privacy_officer.client.get(_url(DataSubjectRequest.objects.for_store(store).get()))  # writes an entry
    lists = reverse("admin:consent_auditentry_changelist")
    verify = reverse("admin:consent_auditentry_verify")
    assert f'action="{verify}"' in privacy_officer.client.get(lists).content.decode()
    assert privacy_officer.client.get(verify).status_code == 405
    assert merchandiser.client.post(verify).status_code == 403
    assert "The chain is intact." in privacy_officer.client.post(verify).content.decode()
    without_protection(
        "UPDATE consent_auditpayload SET reason = 'nothing to see' WHERE store_id = %s", store.pk
    )
    html = privacy_officer.client.post(verify).content.decode()
    assert "The chain is broken." in html
    assert "payload_changed" in html
