"""Policies: what every shop has, reviews that stay on record, reminders that come once a week and go to the owner."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.models import Store, User
from consent.models import AuditEntry, Policy, PolicyReview
from consent.services.policies import STANDARD, owners_remind, policies_ensure, policy_review, reviews_due

Outcome = PolicyReview.Outcome


@pytest.fixture
def policy(store: Store, officer: User) -> Policy:
    policies_ensure(store)
    notice = Policy.objects.for_store(store).get(key="notice")
    notice.owner, notice.next_review_on = officer, timezone.localdate() + timedelta(days=14)
    notice.save()
    return notice


def test_every_shop_has_the_standard_ones_once(store: Store) -> None:
    policies_ensure(store)
    Policy.objects.for_store(store).filter(key="access").update(title="Our own words")
    titles = {policy.key: policy.title for policy in policies_ensure(store)}
    assert titles.keys() == {key for key, _, _ in STANDARD}
    assert titles["access"] == "Our own words"
    assert not policies_ensure(store).exclude(owner=None).exists()


def test_a_review_is_recorded_and_sets_the_next_one(policy: Policy, officer: User) -> None:
    Policy.objects.for_store(policy.store).filter(pk=policy.pk).update(reminded_at=timezone.now())
    review = policy_review(policy=policy, reviewer=officer, outcome=Outcome.KEPT)
    policy.refresh_from_db()
    expected = timezone.localdate() + timedelta(days=365)
    assert (review.next_review_on, policy.next_review_on, policy.reminded_at) == (expected, expected, None)
    entry = AuditEntry.objects.for_store(policy.store).select_related("payload").get(action="policy.reviewed")
    assert entry.payload.target == "policy:notice"
    assert not reviews_due(policy.store).filter(pk=policy.pk).exists()


@pytest.mark.parametrize(
    "outcome, note, days, field",
    [
        (Outcome.KEPT, "", 0, "next_review_on"),
        (Outcome.CHANGED, " ", 30, "note"),
        ("forgotten", "", 30, "outcome"),
    ],
)
def test_a_faulty_review_changes_nothing(
    policy: Policy, officer: User, outcome: str, note: str, days: int, field: str
) -> None:
    before = policy.next_review_on
    with pytest.raises(ValidationError) as refused:
        policy_review(
            policy=policy,
            reviewer=officer,
            outcome=outcome,
            note=note,
            next_review_on=timezone.localdate() + timedelta(days=days),
        )
    assert list(refused.value.message_dict) == [field]
    policy.refresh_from_db()
    assert policy.next_review_on == before
    assert not PolicyReview.objects.for_store(policy.store).exists()


def test_the_owner_is_reminded_two_weeks_ahead_and_once_a_week(policy: Policy) -> None:
    assert owners_remind() == 1
    assert owners_remind() == 0
    (letter,) = mail.outbox
    assert letter.to == ["officer@tents.example"]
    assert "Privacy notice and purposes" in letter.subject
    assert "is due" in letter.subject
    Policy.objects.for_store(policy.store).filter(pk=policy.pk).update(
        reminded_at=timezone.now() - timedelta(days=8),
        next_review_on=timezone.localdate() - timedelta(days=1),
    )
    assert owners_remind() == 1
    assert "was due" in mail.outbox[1].subject


def test_nobody_is_written_to_early_or_without_an_owner(policy: Policy) -> None:
    rows = Policy.objects.for_store(policy.store)
    rows.filter(pk=policy.pk).update(next_review_on=timezone.localdate() + timedelta(days=15))
    assert owners_remind() == 0
    rows.filter(pk=policy.pk).update(next_review_on=timezone.localdate(), owner=None)
    assert owners_remind() == 0
    assert mail.outbox == []


def test_a_mail_server_that_fails_is_tried_again(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise ConnectionRefusedError

    with monkeypatch.context() as patched:
        patched.setattr("consent.services.policies.send_mail", refuse)
        assert owners_remind() == 0
    policy.refresh_from_db()
    assert policy.reminded_at is None
    assert owners_remind() == 1
