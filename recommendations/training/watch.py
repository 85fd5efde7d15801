"""A training that failed or was killed is noticed and told: in the log, in a metric, in the admin. The live version is left alone."""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.utils import timezone

from recommendations.metrics import LAST_TRAINING, TRAINING_FAILURES, TRAINING_SECONDS
from recommendations.models import ModelVersion, TrainingRun

log = structlog.get_logger(__name__)

DEAD_AFTER = timedelta(seconds=90)
"""Six heartbeats."""


def training_finished(run: TrainingRun, version: ModelVersion, seconds: float) -> None:
    run.state, run.version, run.finished_at, run.step = TrainingRun.State.DONE, version, timezone.now(), ""
    run.save(update_fields=["state", "version", "finished_at", "step"])
    store = str(run.store_id)
    TRAINING_SECONDS.labels(store=store).observe(seconds)
    LAST_TRAINING.labels(store=store).set(run.finished_at.timestamp())
    log.info(
        "training.finished",
        store=run.store_id,
        version=version.number,
        state=version.state,
        seconds=round(seconds, 1),
    )


def training_failed(run: TrainingRun, error: str) -> None:
    run.state, run.error, run.finished_at = TrainingRun.State.FAILED, error, timezone.now()
    run.save(update_fields=["state", "error", "finished_at"])
    TRAINING_FAILURES.labels(store=str(run.store_id)).inc()
    log.error("training.failed", store=run.store_id, run=run.pk, step=run.step, error=error)


def training_waits(run: TrainingRun, reason: str) -> None:
    """There is nothing to learn from yet: noted, but nobody is alarmed."""
    run.state, run.error, run.finished_at, run.is_acknowledged = (
        TrainingRun.State.FAILED,
        reason,
        timezone.now(),
        True,
    )
    run.save(update_fields=["state", "error", "finished_at", "is_acknowledged"])
    log.info("training.too_little_data", store=run.store_id, reason=reason)


def find_killed_runs() -> list[TrainingRun]:
    """Mark runs whose process no longer beats as failed, and give them. Called every minute by beat, and by whoever shows runs."""
    silent = TrainingRun.all_stores.filter(
        state=TrainingRun.State.RUNNING, heartbeat_at__lt=timezone.now() - DEAD_AFTER
    )
    killed = []
    for run in silent:
        # Of two watchers only one tells.
        if TrainingRun.all_stores.filter(pk=run.pk, state=TrainingRun.State.RUNNING).update(
            state=TrainingRun.State.FAILED
        ):
            training_failed(
                run,
                f"The process was killed or lost during {run.step or 'its start'}: it last gave a sign at {run.heartbeat_at:%H:%M:%S} UTC.",
            )
            killed.append(run)
    return killed


def failures_to_show(store_id: int) -> list[TrainingRun]:
    """Failed runs that nobody has acknowledged, newest first, unless a later one went well: for the admin's banner."""
    runs = TrainingRun.objects.for_store(store_id)
    done = (
        runs.filter(state=TrainingRun.State.DONE)
        .order_by("-started_at")
        .values_list("started_at", flat=True)
        .first()
    )
    failed = runs.filter(state=TrainingRun.State.FAILED, is_acknowledged=False)
    return list(failed.filter(started_at__gt=done) if done else failed)
