"""Deadlines that need somebody: a line in the log and a figure for the monitoring."""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.utils import timezone
from prometheus_client import Gauge

from accounts.models import Store
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
FAILED = Gauge(
    "etalage_requests_failed",
    "Data-subject requests with a part that keeps failing.",
    ["store"],
    multiprocess_mode="mostrecent",
)


def publish_request_figures() -> None:
    """Count what is overdue, due soon and failed in each store; overdue ones are logged as errors."""
    now = timezone.now()
    for store in Store.objects.order_by("pk"):
        unanswered = (
            DataSubjectRequest.objects.for_store(store)
            .filter(state__in=OPEN)
            .exclude(state=DataSubjectRequest.State.IDENTITY_UNVERIFIED)
        )
        overdue = unanswered.filter(due_at__lt=now).count()
        soon = now + timedelta(days=policy_of(store).due_soon_days)
        OVERDUE.labels(store.slug).set(overdue)
        DUE_SOON.labels(store.slug).set(unanswered.filter(due_at__gte=now, due_at__lt=soon).count())
        FAILED.labels(store.slug).set(unanswered.filter(state=DataSubjectRequest.State.ERROR).count())
        if overdue:
            log.error("requests.overdue", store=store.slug, count=overdue)
