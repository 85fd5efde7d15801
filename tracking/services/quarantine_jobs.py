"""One deed to many quarantined events: chosen at once, done in bounded pieces, gone on with wherever it stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from accounts import auditing
from accounts.models import Store, User
from tracking.ingestion.writing import prepare
from tracking.models import QuarantinedEvent, QuarantineJob
from tracking.quality.mending import Mend, mended
from tracking.services.quarantine import (
    CannotReplay,
    draft_of_quarantined,
    quarantine_discard,
    quarantine_replay,
)

log = structlog.get_logger(__name__)

Deed = QuarantineJob.Deed
State = QuarantinedEvent.State
# What one request or one turn of the worker does.
PIECE_EVENTS: Final = 200
PREVIEWED: Final = 5
TRIED: Final = 200
_COLUMNS: Final = {
    "stored": "stored",
    "duplicate": "duplicates",
    "not_permitted": "not_permitted",
    "faulty": "faulty",
}


@transaction.atomic
def quarantine_job_start(
    *,
    store: Store,
    chosen: QuerySet[QuarantinedEvent],
    deed: str,
    actor: User | None,
    mend: Mend | None = None,
    reason: str = "",
) -> QuarantineJob:
    """Choose the open ones among `chosen` that no other job holds. Nothing is done to them yet."""
    job = QuarantineJob.objects.create(
        store=store, deed=deed, actor=actor, reason=reason[:500], mend=mend.as_json() if mend else {}
    )
    free = QuarantinedEvent.objects.for_store(store).filter(
        pk__in=chosen.order_by().values("pk"), state=State.OPEN, job=None
    )
    job.total = free.update(job=job)
    if not job.total:
        job.finished_at = timezone.now()
    job.save(update_fields=["total", "finished_at"])
    auditing.record(
        store=store,
        actor=actor,
        action=f"quarantine_job.{deed}",
        target=f"quarantine_job:{job.pk}",
        reason=job.reason,
        details={
            "events": job.total,
            "mend": mend.as_json()["operation"] if mend else "",
            "path": mend.path if mend else "",
        },
    )
    return job


def quarantine_job_run(*, job: QuarantineJob, at_most: int = PIECE_EVENTS) -> int:
    """Do the next piece. Gives how many events were done; 0 where the job is over, or another process does the rest.

    Each event leaves the job in the transaction that stores or closes it and counts its outcome.
    """
    if not connection.in_atomic_block:
        prepare()
    waiting = QuarantinedEvent.objects.for_store(job.store_id).filter(job=job)
    done = 0
    for key in list(waiting.order_by("pk").values_list("pk", flat=True)[:at_most]):
        done += _do(job, key)
    if not waiting.exists():
        QuarantineJob.objects.for_store(job.store_id).filter(pk=job.pk, finished_at=None).update(
            finished_at=timezone.now()
        )
    job.refresh_from_db()
    return done


def quarantine_job_stop(*, job: QuarantineJob, actor: User) -> int:
    """Let go of what is not done yet: it stays in quarantine as it is. Gives how many."""
    with transaction.atomic():
        left = QuarantinedEvent.objects.for_store(job.store_id).filter(job=job).update(job=None)
        QuarantineJob.objects.for_store(job.store_id).filter(pk=job.pk, finished_at=None).update(
            finished_at=timezone.now()
        )
        auditing.record(
            store=job.store,
            actor=actor,
            action="quarantine_job.stopped",
            target=f"quarantine_job:{job.pk}",
            details={"left": left},
        )
    job.refresh_from_db()
    return left


def _do(job: QuarantineJob, key: int) -> bool:
    """One event; False where another process has it, or it has left the job."""
    with transaction.atomic():
        event = (
            QuarantinedEvent.objects.for_store(job.store_id)
            .filter(pk=key, job=job)
            .select_for_update(skip_locked=True, of=("self",))
            .select_related("store", "api_key", "api_key__store")
            .first()
        )
        if event is None:
            return False
        try:
            # A savepoint: what one event does wrong is no reason to lose count of it.
            with transaction.atomic():
                outcome = _deed(job, event)
        except CannotReplay:
            outcome = "left_alone"
        except (MemoryError, SoftTimeLimitExceeded):
            raise  # the process is at its end, and the event stays in the job
        except Exception:
            log.exception("quarantine_job.event_failed", job=job.pk, quarantined=key, store_id=job.store_id)
            outcome = "left_alone"
        QuarantinedEvent.objects.for_store(job.store_id).filter(pk=key).update(job=None)
        QuarantineJob.objects.for_store(job.store_id).filter(pk=job.pk).update(**{outcome: F(outcome) + 1})
    return True


def _deed(job: QuarantineJob, event: QuarantinedEvent) -> str:
    if job.deed == Deed.DISCARD:
        quarantine_discard(event=event, actor=job.actor, reason=job.reason)
        return "discarded"
    raw = None
    if job.deed == Deed.MEND:
        raw = mended(bytes(event.raw), event.reason, Mend.from_json(job.mend))
        if raw is None:
            return "not_mended"
    return _COLUMNS[quarantine_replay(event=event, actor=job.actor, raw=raw).outcome]


@dataclass(frozen=True)
class Trial:
    """What a mend would make of one event. `fault`: what would still be wrong with it; "" for nothing."""

    event: QuarantinedEvent
    after: bytes
    fault: str


@dataclass(frozen=True)
class MendPreview:
    """Of the first `tried` of those chosen. `good` would pass the validation, whose permission is asked only when it is
    done."""

    trials: Sequence[Trial]
    tried: int
    counts: dict[str, int]


def quarantine_mend_preview(
    *,
    store: Store,
    chosen: QuerySet[QuarantinedEvent],
    mend: Mend,
    tried: int = TRIED,
    shown: int = PREVIEWED,
) -> MendPreview:
    """Try the mend without storing anything."""
    rows = (
        chosen.filter(store=store, state=State.OPEN)
        .select_related("store", "api_key", "api_key__store")
        .order_by("pk")[:tried]
    )
    trials: list[Trial] = []
    counts: Counter[str] = Counter()
    for event in rows:
        after = mended(bytes(event.raw), event.reason, mend)
        if after is None:
            counts["unchanged"] += 1
            continue
        fault = _fault(event, after)
        counts["faulty" if fault else "good"] += 1
        if len(trials) < shown:
            trials.append(Trial(event, after, fault))
    return MendPreview(trials, sum(counts.values()), dict(counts))


def _fault(event: QuarantinedEvent, raw: bytes) -> str:
    try:
        draft = draft_of_quarantined(event, raw)
    except CannotReplay as error:
        return str(error)
    return draft.detail if draft.rejection is not None else ""
