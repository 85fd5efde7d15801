"""What waits for a person: the counts behind the badges of the sidebar and the banners of the home page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import Store
from consent.models import DataSubjectRequest, Policy
from consent.request_states import OPEN
from consent.services.request_moves import policy_of
from recommendations.models import TrainingRun
from tracking.models import Finding, QuarantinedEvent

# Past this nobody needs the exact number, and counting stops.
_MOST = 1_000


@dataclass(frozen=True)
class Attention:
    """`requests_urgent` are open requests that are overdue or due soon, as the store's policy has it, `reviews_late` policies whose review
    is overdue."""

    failed_runs: int = 0
    quarantine_open: int = 0
    findings_open: int = 0
    requests_urgent: int = 0
    reviews_late: int = 0


def attention_for(store: Store) -> Attention:
    return Attention(
        failed_runs=TrainingRun.objects.for_store(store)
        .filter(state=TrainingRun.State.FAILED, is_acknowledged=False)[:_MOST]
        .count(),
        quarantine_open=QuarantinedEvent.objects.for_store(store)
        .filter(state=QuarantinedEvent.State.OPEN)[:_MOST]
        .count(),
        findings_open=Finding.objects.for_store(store).filter(state=Finding.State.OPEN)[:_MOST].count(),
        requests_urgent=urgent_requests(store)[:_MOST].count(),
        reviews_late=Policy.objects.for_store(store)
        .filter(next_review_on__lt=timezone.localdate())[:_MOST]
        .count(),
    )


def urgent_requests(store: Store) -> QuerySet[DataSubjectRequest]:
    """Open requests that are overdue or due soon, and closed ones that wait for a human's review, the most urgent first."""
    soon = timezone.now() + timedelta(days=policy_of(store).due_soon_days)
    is_urgent = Q(state__in=OPEN, due_at__lte=soon) & ~Q(state=DataSubjectRequest.State.IDENTITY_UNVERIFIED)
    return (
        DataSubjectRequest.objects.for_store(store)
        .filter(is_urgent | Q(review_asked_at__isnull=False, reviewed_at=None))
        .select_related("customer")
        .defer("archive", "sealed")
        .order_by("due_at")
    )
