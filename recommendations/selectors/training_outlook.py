from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from accounts.models import Store
from recommendations.models import ModelVersion, TrainingRun, TrainingSchedule
from recommendations.selectors.schedule import schedule_status


@dataclass(frozen=True)
class TrainingOutlook:
    """How a store's training stands. `next_run_at` is None while the schedule is off or missing.

    `last` is the newest run whatever became of it, `last_done` the newest that went well.
    """

    last: TrainingRun | None
    last_done: TrainingRun | None
    live: ModelVersion | None
    every_hours: int | None
    is_enabled: bool
    next_run_at: datetime | None
    learned_reranker: str = TrainingSchedule.Reranker.WHEN_IT_WINS

    @property
    def last_seconds(self) -> float | None:
        if self.last_done is None or self.last_done.finished_at is None:
            return None
        return (self.last_done.finished_at - self.last_done.started_at).total_seconds()


def version_waiting(store: Store) -> ModelVersion | None:
    """The newest version, if it waits for a person to publish it."""
    newest = ModelVersion.objects.for_store(store).order_by("-number").first()
    return newest if newest is not None and newest.state == ModelVersion.State.CANDIDATE else None


def training_outlook(store: Store) -> TrainingOutlook:
    """Five queries."""
    runs = TrainingRun.objects.for_store(store).select_related("version").order_by("-started_at")
    schedule = TrainingSchedule.objects.for_store(store).select_related("periodic_task").first()
    return TrainingOutlook(
        last=runs.first(),
        last_done=runs.filter(state=TrainingRun.State.DONE).first(),
        live=ModelVersion.objects.for_store(store).filter(state=ModelVersion.State.LIVE).first(),
        every_hours=schedule.every_hours if schedule else None,
        is_enabled=bool(schedule and schedule.is_enabled),
        next_run_at=schedule_status(schedule).next_run if schedule else None,
        learned_reranker=schedule.learned_reranker if schedule else TrainingSchedule.Reranker.WHEN_IT_WINS,
    )
