"""What the worker does for this app. Rows are the queue: every task may be lost, and every task may run twice."""

from __future__ import annotations

import structlog
from celery import shared_task
from django.utils import timezone

from accounts import personal_data
from accounts.models import Store
from consent.anchors import anchor_heads
from consent.request_alerts import officers_remind, publish_request_figures
from consent.retention_report import report_write
from consent.services import request_processing
from consent.services.letters import confirmations_resend
from consent.services.policies import owners_remind
from consent.verification import verify_all

log = structlog.get_logger(__name__)


@shared_task
def advance_request(request_id: int) -> None:
    """Begin a request, hand out the parts whose turn it is, close it when nothing is left."""
    request_processing.advance(request_id, run_request_part.delay)


@shared_task
def run_request_part(part_id: int) -> None:
    request_id = request_processing.request_of_part(part_id)
    if request_id is not None and request_processing.run_part(part_id):
        request_processing.send_for_processing(request_id)


@shared_task
def sweep_requests() -> None:
    """Take up what was left: parts to try again, and requests whose message to the worker was lost."""
    for request_id in request_processing.due_for_sweep():
        advance_request(request_id)
    confirmations_resend(timezone.now())
    publish_request_figures()


@shared_task
def anchor_ledgers() -> None:
    """Verify every ledger and write its head to the anchor file. A ledger that does not verify is not anchored over."""
    for store in Store.objects.order_by("pk"):
        reports = verify_all(store)
        if all(report.is_intact for report in reports):
            anchor_heads(store)
        else:
            findings = [
                (report.ledger, finding.kind, finding.sequence)
                for report in reports
                for finding in report.findings
            ]
            log.error("ledger.not_intact", store=store.slug, findings=findings[:20])


@shared_task
def expire_personal_data() -> None:
    """Delete what is past its term, in every app, and report it."""
    now = timezone.now()
    report = report_write(now, personal_data.expire(now))
    log.info("retention.done", deleted=report.deleted, is_file_rewritten=report.is_file_rewritten)


@shared_task
def remind_owners() -> None:
    """Write to the owners of policies whose review is due, and to privacy officers whose requests are."""
    if count := officers_remind():
        log.info("requests.reminded", count=count)
    if count := owners_remind():
        log.info("policies.reminded", count=count)
