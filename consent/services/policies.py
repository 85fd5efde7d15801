"""Policies: the ones that every shop has to have, their reviews, and reminders before a review is due."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

import structlog
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts import auditing
from accounts.models import Store, User
from consent.models import Policy, PolicyReview

log = structlog.get_logger(__name__)

REMIND_BEFORE: Final = timedelta(days=14)
REMIND_AGAIN: Final = timedelta(days=7)

# What Articles 5, 12 to 22, 24, 28, 30 and 32 to 34 of the GDPR ask a shop to have thought about.
STANDARD: Final = (
    ("notice", "Privacy notice and purposes", "What visitors are told and asked: Privacy → Notices."),
    ("retention", "How long data are kept", "The terms of each purpose in the notice, and what the nightly deletion did."),
    ("requests", "Requests of customers", "Deadlines, identity checks and what is carried out without a decision: Privacy → Handling."),
    ("access", "Who may see personal data", "Roles in Settings → Team, and what the audit log says of who looked."),
    ("recipients", "Recipients and transfers", "Whom data are passed on to, by which contract, and where: the record of processing."),
    ("profiling", "Recommendations and profiling", "Which shoppers are profiled, with what effect, and how they stop it."),
    ("security", "Keys, backups and breaches", "Rotation of the vault's key, backups and their restore, and who is told of a breach."),
)  # fmt: skip


def policies_ensure(store: Store) -> QuerySet[Policy]:
    """The store's policies; those that every shop needs are there afterwards, without an owner until somebody takes them."""
    first_review = timezone.localdate() + timedelta(days=90)
    Policy.all_stores.bulk_create(
        [
            Policy(store=store, key=key, title=title, description=text, next_review_on=first_review)
            for key, title, text in STANDARD
        ],
        ignore_conflicts=True,
    )
    return Policy.objects.for_store(store).order_by("next_review_on", "key")


@transaction.atomic
def policy_review(
    *, policy: Policy, reviewer: User, outcome: str, note: str = "", next_review_on: date | None = None
) -> PolicyReview:
    """Record that somebody looked at it, and when it is to be looked at again (default: after its usual term).

    Raises ValidationError, with nothing changed, for a date that is not ahead, an unknown outcome, or a change that is
    not explained.
    """
    today = timezone.localdate()
    again = next_review_on or today + timedelta(days=policy.review_every_days)
    if again <= today:
        raise ValidationError({"next_review_on": f"{again} is not ahead: the next review comes after today."})
    if outcome not in PolicyReview.Outcome.values:
        raise ValidationError({"outcome": f"{outcome!r} is no outcome of a review."})
    if outcome != PolicyReview.Outcome.KEPT and not note.strip():
        raise ValidationError({"note": "Say what was changed, or what has to change."})
    locked = Policy.objects.for_store(policy.store_id).select_for_update().get(pk=policy.pk)
    review = PolicyReview.all_stores.create(
        store_id=policy.store_id,
        policy=locked,
        reviewer=reviewer,
        outcome=outcome,
        note=note.strip(),
        next_review_on=again,
    )
    locked.next_review_on, locked.reminded_at = again, None
    locked.save(update_fields=["next_review_on", "reminded_at"])
    auditing.record(
        store=locked.store,
        actor=reviewer,
        action="policy.reviewed",
        target=f"policy:{locked.key}",
        details={"outcome": outcome, "next_review_on": again.isoformat()},
    )
    return review


def reviews_due(store: Store, today: date | None = None) -> QuerySet[Policy]:
    """Policies whose review is due within two weeks or late, the latest first."""
    soon = (today or timezone.localdate()) + REMIND_BEFORE
    return Policy.objects.for_store(store).filter(next_review_on__lte=soon).order_by("next_review_on")


def owners_remind() -> int:
    """Write to the owners of policies whose review is due, once a week. Gives the number of letters.

    A policy without an owner is logged: nobody else can be told. A mail server that fails is logged, and tried again
    with the next run.
    """
    count = 0
    now = timezone.now()
    for store in Store.objects.order_by("pk"):
        policies_ensure(store)
        due = reviews_due(store).select_related("owner").exclude(reminded_at__gt=now - REMIND_AGAIN)
        for policy in due:
            if policy.owner is None or not policy.owner.is_active:
                log.warning("policy.has_no_owner", store=store.slug, policy=policy.key)
            elif _remind(policy, policy.owner):
                Policy.objects.for_store(store).filter(pk=policy.pk).update(reminded_at=now)
                count += 1
    return count


def _remind(policy: Policy, owner: User) -> bool:
    is_late = policy.next_review_on < timezone.localdate()
    when = "was due" if is_late else "is due"
    text = (
        f"The review of “{policy.title}” of {policy.store} {when} on {policy.next_review_on:%d %B %Y}.\n\n"
        f"{policy.description}\n\nOpen Privacy → Policies in the admin, look at it, and record what you found.\n"
    )
    try:
        send_mail(f"{policy.store}: review of “{policy.title}” {when}", text, None, [owner.email])
    except OSError as error:  # smtplib's errors are OSErrors
        log.warning("policy.reminder_not_sent", policy=policy.key, error=type(error).__name__)
        return False
    return True
