from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from recommendations.models import TrainingRun, TrainingSchedule


@dataclass(frozen=True)
class ScheduleStatus:
    """`next_run` is None while the schedule is off; a moment in the past means: as soon as beat looks."""

    schedule: TrainingSchedule
    last_run: TrainingRun | None
    last_duration: timedelta | None
    next_run: datetime | None


def schedule_status(schedule: TrainingSchedule) -> ScheduleStatus:
    last = TrainingRun.objects.for_store(schedule.store_id).order_by("-started_at").first()
    duration = (
        last.finished_at - last.started_at if last is not None and last.finished_at is not None else None
    )
    return ScheduleStatus(schedule, last, duration, _next_run(schedule))


def _next_run(schedule: TrainingSchedule) -> datetime | None:
    task = schedule.periodic_task
    if not schedule.is_enabled or task is None or not task.enabled:
        return None
    if task.last_run_at is None:
        return timezone.now()
    return task.last_run_at + timedelta(hours=schedule.every_hours)
