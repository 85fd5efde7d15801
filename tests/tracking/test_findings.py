"""The review list: the same thing is one row, people's decisions stand, what is over resolves itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Store, User
from accounts.personal_data import Subject
from consent.models import AuditPayload
from tests.factories import CustomerFactory, StoreFactory, UserFactory
from tracking import privacy
from tracking.models import Finding, FindingKind
from tracking.retention import FINDING_DAYS, expire_findings
from tracking.services.findings import (
    CannotClose,
    FindingCounts,
    FindingDraft,
    finding_close,
    finding_reopen,
    findings_clear,
    findings_close,
    findings_report,
)

MISSING = FindingDraft(
    FindingKind.PAYMENT_MISSING,
    "order:A-1",
    "Order A-1 has no payment.",
    details={"expected_minor_units": 1999},
    evidence=["order:A-1"],
)


@pytest.fixture
def person(db: None) -> User:
    return UserFactory()


def the_one(store: Store) -> Finding:
    return Finding.objects.for_store(store).get()


def test_the_same_thing_is_one_row_that_is_refreshed(store: Store) -> None:
    assert findings_report(store=store, findings=[MISSING, MISSING]) == FindingCounts(new=1)
    first = the_one(store)
    told = replace(MISSING, summary="Order A-1 still has no payment.", severity=Finding.Severity.HIGH)
    assert findings_report(store=store, findings=[told]) == FindingCounts(refreshed=1)
    row = the_one(store)
    assert (row.summary, row.severity) == ("Order A-1 still has no payment.", 3)
    assert row.first_seen_at == first.first_seen_at
    assert row.last_seen_at > first.last_seen_at


def test_keys_are_of_a_kind_and_of_a_store(store: Store) -> None:
    other = StoreFactory()
    same_key = replace(MISSING, kind=FindingKind.PAYMENT_DUPLICATE)
    assert findings_report(store=store, findings=[MISSING, same_key]) == FindingCounts(new=2)
    assert findings_report(store=other, findings=[MISSING]) == FindingCounts(new=1)
    assert Finding.objects.for_store(store).count() == 2


def test_what_a_person_dismissed_stays_so_until_it_changes(store: Store, person: User) -> None:
    findings_report(store=store, findings=[MISSING])
    finding_close(finding=the_one(store), actor=person, state="dismissed", note="A gift.")
    assert findings_report(store=store, findings=[MISSING]) == FindingCounts(left_closed=1)
    row = the_one(store)
    assert (row.state, row.note, row.resolved_by) == ("dismissed", "A gift.", person)
    changed = replace(MISSING, details={"expected_minor_units": 2999})
    assert findings_report(store=store, findings=[changed]) == FindingCounts(reopened=1)
    row = the_one(store)
    assert (row.state, row.note, row.resolved_by, row.resolved_at) == ("open", "", None, None)


def test_a_fingerprint_says_what_counts_as_a_change(store: Store, person: User) -> None:
    steady = replace(MISSING, fingerprint="unpaid")
    findings_report(store=store, findings=[steady])
    finding_close(finding=the_one(store), actor=person, state="dismissed")
    findings_report(store=store, findings=[replace(steady, details={"days": 9})])
    assert the_one(store).state == "dismissed"
    findings_report(store=store, findings=[replace(steady, fingerprint="partly paid")])
    assert the_one(store).state == "open"


def test_what_was_resolved_opens_only_if_it_is_seen_afterwards(store: Store, person: User) -> None:
    before = replace(MISSING, observed_at=timezone.now() - timedelta(hours=3))
    findings_report(store=store, findings=[before])
    assert the_one(store).first_seen_at == before.observed_at
    finding_close(finding=the_one(store), actor=person, state="resolved", note="Paid.")
    assert findings_report(store=store, findings=[before]) == FindingCounts(left_closed=1)
    assert findings_report(store=store, findings=[MISSING]) == FindingCounts(reopened=1)


def test_what_is_over_resolves_itself_and_opens_when_it_comes_back(store: Store) -> None:
    others = [replace(MISSING, key=f"order:{number}") for number in range(3)]
    elsewhere = replace(MISSING, key="file:1", kind=FindingKind.PAYMENT_DUPLICATE)
    findings_report(store=store, findings=[*others, elsewhere])
    gone = findings_clear(
        store=store, kind=FindingKind.PAYMENT_MISSING, except_keys=["order:1"], key_prefix="order:"
    )
    assert gone == 2
    states = dict(Finding.objects.for_store(store).values_list("key", "state"))
    assert states == {"order:0": "resolved", "order:1": "open", "order:2": "resolved", "file:1": "open"}
    assert findings_report(store=store, findings=[others[0]]) == FindingCounts(reopened=1)


def test_a_store_clears_nothing_of_another(store: Store) -> None:
    other = StoreFactory()
    findings_report(store=other, findings=[MISSING])
    assert findings_clear(store=store, kind=FindingKind.PAYMENT_MISSING, except_keys=[]) == 0
    assert the_one(other).state == "open"


def test_closing_is_recorded_once_for_all_and_only_for_open_ones(store: Store, person: User) -> None:
    drafts = [replace(MISSING, key=f"order:{number}") for number in range(3)]
    findings_report(store=store, findings=drafts)
    rows = list(Finding.objects.for_store(store).order_by("pk"))
    finding_close(finding=rows[0], actor=person, state="resolved")
    assert findings_close(store=store, findings=rows, actor=person, state="dismissed", note="Tests.") == 2
    told = AuditPayload.objects.for_store(store).get(entry__action="finding.dismissed")
    assert told.details == {"findings": [rows[1].pk, rows[2].pk]}
    with pytest.raises(CannotClose, match="resolved already"):
        finding_close(finding=rows[0], actor=person, state="dismissed")
    with pytest.raises(CannotClose, match="'open'"):
        finding_close(finding=rows[0], actor=person, state="open")
    rows[0].refresh_from_db()
    assert rows[0].state == "resolved"


def test_a_decision_can_be_taken_back(store: Store, person: User) -> None:
    findings_report(store=store, findings=[MISSING])
    row = the_one(store)
    with pytest.raises(CannotClose):
        finding_reopen(finding=row, actor=person)
    finding_close(finding=row, actor=person, state="resolved")
    finding_reopen(finding=row, actor=person)
    assert (row.state, row.resolved_by) == ("open", None)
    assert AuditPayload.objects.for_store(store).filter(entry__action="finding.reopened").count() == 1


def test_many_are_written_in_pieces(store: Store) -> None:
    drafts = [replace(MISSING, key=f"order:{number}") for number in range(1_201)]
    assert findings_report(store=store, findings=drafts) == FindingCounts(new=1_201)
    assert findings_report(store=store, findings=drafts) == FindingCounts(refreshed=1_201)


def test_what_names_a_person_goes_with_them(store: Store) -> None:
    anna, ben = CustomerFactory(store=store), CustomerFactory(store=store)
    same = FindingDraft(
        FindingKind.DUPLICATE_CUSTOMERS, "1", "Two customers.", evidence=[f"customer:{anna.pk}"]
    )
    other = replace(same, key="2", evidence=[f"customer:{ben.pk}"])
    findings_report(store=store, findings=[same, other, MISSING])
    subject = Subject(store=store, customer=anna)
    tables = {table.name: list(table.rows) for table in privacy.export(subject)}
    assert [row["summary"] for row in tables["findings"]] == ["Two customers."]
    assert privacy.erase(subject).deleted["findings"] == 1
    assert set(Finding.objects.for_store(store).values_list("key", flat=True)) == {"2", "order:A-1"}


def test_old_ones_go(store: Store) -> None:
    now = timezone.now()
    findings_report(
        store=store,
        findings=[
            replace(MISSING, key="old", observed_at=now - timedelta(days=FINDING_DAYS + 1)),
            replace(MISSING, key="new", observed_at=now - timedelta(days=FINDING_DAYS - 1)),
        ],
    )
    assert expire_findings(now) == 1
    assert the_one(store).key == "new"
