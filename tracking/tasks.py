"""Background work of tracking. Each task is safe to run twice, and at the same time."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

import structlog
from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded

from accounts.models import Store
from tracking.folding import fold_new_events
from tracking.inventory.rollup import sources_roll_up
from tracking.models import QuarantineJob
from tracking.quality.detection import detect_anomalies
from tracking.quality.duplicates import report_duplicates
from tracking.quality.inference import infer_profiles
from tracking.services.quarantine_jobs import PIECE_EVENTS, quarantine_job_run

# Shorter than the schedule, so that a job that never ends holds nobody up.
JOBS_SECONDS: Final = 25.0
JOB_PIECE_EVENTS: Final = PIECE_EVENTS  # at one turn of a job
# For the counts of one store's sources: the rest of a long log is counted by the runs that follow.
COUNTING_SECONDS: Final = 2.0

log = structlog.get_logger(__name__)


@shared_task(name="tracking.tasks.fold_all_stores", ignore_result=True)
def fold_all_stores() -> dict[str, dict[str, int]]:
    """Sessions, orders, profiles and whatever else follows the log, for every store. Events read, by store
    and fold."""
    folded = {}
    for store in Store.objects.all():
        # What one store's log holds must not keep the others from being read.
        try:
            folded[store.slug] = fold_new_events(store)
            sources_roll_up(store, budget_seconds=COUNTING_SECONDS)
        except (MemoryError, SoftTimeLimitExceeded):
            raise
        except Exception:
            log.exception("fold.store_failed", store=store.slug)
    return folded


@shared_task(name="tracking.tasks.detect_anomalies_all_stores", ignore_result=True)
def detect_anomalies_all_stores() -> dict[str, int]:
    """Volumes, prices and clocks of every store; what is odd goes to its review list. Findings, by store."""
    found = {}
    for store in Store.objects.all():
        try:
            found[store.slug] = len(detect_anomalies(store).findings)
        except Exception:
            # One store's odd data must not keep the others from being looked at.
            log.exception("quality.detection_failed", store=store.slug)
    return found


@shared_task(name="tracking.tasks.find_duplicates_all_stores", ignore_result=True)
def find_duplicates_all_stores() -> dict[str, int]:
    """Customers who may be one person go to each store's review list. Pairs, by store."""
    found = {}
    for store in Store.objects.all():
        try:
            found[store.slug] = len(report_duplicates(store).candidates)
        except Exception:
            log.exception("quality.duplicates_failed", store=store.slug)
    return found


@shared_task(name="tracking.tasks.run_quarantine_jobs", ignore_result=True)
def run_quarantine_jobs() -> int:
    """Go on with what people wanted done to many quarantined events, for at most JOBS_SECONDS. Events done.

    Open jobs take turns, a piece each, and another begins each time: a huge one holds up nobody's small one.
    """
    done, until = 0, time.monotonic() + JOBS_SECONDS
    is_open = QuarantineJob.all_stores.filter(finished_at=None)
    waiting = deque(is_open.select_related("store", "actor").order_by("?"))
    while waiting and time.monotonic() < until:
        job = waiting.popleft()
        try:
            count = quarantine_job_run(job=job, at_most=JOB_PIECE_EVENTS)
        except (MemoryError, SoftTimeLimitExceeded):
            raise
        except Exception:
            log.exception("quarantine_job.failed", job=job.pk, store_id=job.store_id)
            continue
        done += count
        if count and not job.finished_at:
            waiting.append(job)
    return done


@shared_task(name="tracking.tasks.infer_profiles_all_stores", ignore_result=True)
def infer_profiles_all_stores() -> dict[str, int]:
    """What visits suggest about customers, for every store. Profiles that changed, by store."""
    changed = {}
    for store in Store.objects.all():
        try:
            changed[store.slug] = infer_profiles(store)
        except Exception:
            log.exception("quality.inference_failed", store=store.slug)
    return changed
