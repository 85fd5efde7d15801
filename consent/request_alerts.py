"""Deadlines that need somebody: a line in the log and a figure for the monitoring."""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.core.mail import send_mail
from django.db.models import QuerySet
from django.utils import timezone
from prometheus_client import Gauge

from accounts.models import Store, StoreMembership, User
from accounts.permissions import Ability, may
from consent.deadlines import confirm_by
from consent.models import DataSubjectRequest
from consent.request_states import OPEN
from consent.services.request_moves import policy_of

log = structlog.get_logger(__name__)

OVERDUE = Gauge(
    "etalage_requests_overdue",
    "Data-subject requests past their deadline.",
    ["store"],
    multiprocess_mode="mostrecent",
)
DUE_SOON = Gauge(
    "etalage_requests_due_soon",
    "Data-subject requests close to their deadline.",
    ["store"],
    multiprocess_mode="mostrecent",
)
UNCONFIRMED = Gauge(
    "etalage_requests_unconfirmed",
    "Data-subject requests whose receipt could not be confirmed to the person yet.",
    ["store"],
    multiprocess_mode="mostrecent",
)
FAILED = Gauge(
    "etalage_requests_failed",
    "Data-subject requests with a part that keeps failing.",
    ["store"],
    multiprocess_mode="mostrecent",
)


def publish_request_figures() -> None:
    """Count what is overdue, due soon, unconfirmed and failed in each store; what is past a deadline is logged as an error."""
    now = timezone.now()
    for store in Store.objects.order_by("pk"):
        unanswered = _unanswered(store)
        overdue = unanswered.filter(due_at__lt=now).count()
        soon = now + timedelta(days=policy_of(store).due_soon_days)
        OVERDUE.labels(store.slug).set(overdue)
        DUE_SOON.labels(store.slug).set(unanswered.filter(due_at__gte=now, due_at__lt=soon).count())
        FAILED.labels(store.slug).set(unanswered.filter(state=DataSubjectRequest.State.ERROR).count())
        if overdue:
            log.error("requests.overdue", store=store.slug, count=overdue)
        unconfirmed = unconfirmed_requests(store)
        UNCONFIRMED.labels(store.slug).set(len(unconfirmed))
        if late := sum(confirm_by(asked.received_at, store.time_zone) < now for asked in unconfirmed):
            log.error("requests.not_confirmed_in_time", store=store.slug, count=late)


def _unanswered(store: Store) -> QuerySet[DataSubjectRequest]:
    return (
        DataSubjectRequest.objects.for_store(store)
        .filter(state__in=OPEN)
        .exclude(state=DataSubjectRequest.State.IDENTITY_UNVERIFIED)
    )


def unconfirmed_requests(store: Store) -> list[DataSubjectRequest]:
    """Open requests of which nobody could be told yet that they have arrived, the oldest first."""
    return list(
        _unanswered(store)
        .filter(acknowledged_at=None)
        .only("public_id", "received_at", "kind", "state")
        .order_by("received_at")
    )


def officers_remind() -> int:
    """Write to those who decide, once a day, while a request is overdue, due soon or waits for a human's review.

    Gives the number of letters. A mail server that fails is logged, and tried again the next day.
    """
    now, count = timezone.now(), 0
    for store in Store.objects.order_by("pk"):
        soon = now + timedelta(days=policy_of(store).due_soon_days)
        due = _unanswered(store).filter(due_at__lt=soon)
        reviews = DataSubjectRequest.objects.for_store(store).filter(
            review_asked_at__isnull=False, reviewed_at=None
        )
        figures = (due.filter(due_at__lt=now).count(), due.filter(due_at__gte=now).count(), reviews.count())
        if not any(figures):
            continue
        officers = officers_of(store)
        if not officers:
            log.error("requests.nobody_decides", store=store.slug)
        count += sum(_remind(store, officer, figures) for officer in officers)
    return count


def officers_of(store: Store) -> list[User]:
    """Active members of the store whose role decides on requests."""
    members = StoreMembership.objects.filter(store=store, user__is_active=True).select_related("user")
    users = {member.user_id: member.user for member in members.order_by("pk")}  # some hold two roles
    return [user for user in users.values() if may(user, store, Ability.DECIDE_REQUESTS)]


def _remind(store: Store, officer: User, figures: tuple[int, int, int]) -> bool:
    overdue, soon, reviews = figures
    text = (
        f"Requests of people about their data at {store}:\n\n"
        f"{overdue} overdue\n{soon} due soon\n{reviews} waiting for a human's review\n\n"
        "Open Privacy → Requests in the admin: the most urgent stands first.\n"
    )
    subject = f"{store}: {overdue} privacy requests overdue, {soon} due soon"
    try:
        send_mail(subject, text, None, [officer.email])
    except OSError as error:  # smtplib's errors are OSErrors
        log.warning("requests.reminder_not_sent", store=store.slug, error=type(error).__name__)
        return False
    return True
