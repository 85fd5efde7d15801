from __future__ import annotations

import json

from django.db import transaction
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from accounts.models import Store
from recommendations.models import TrainingSchedule

TASK = "recommendations.train_store"


@transaction.atomic
def schedule_update(
    *,
    store: Store,
    every_hours: int,
    is_enabled: bool,
    learned_reranker: str | None = None,
) -> TrainingSchedule:
    """When and how the store is trained again: our row and beat's, in step. `learned_reranker` None leaves that as it is.

    Raises ValueError for less than an hour or more than 30 days, and for a word that `learned_reranker` does not know.
    """
    if learned_reranker is not None and learned_reranker not in TrainingSchedule.Reranker.values:
        known = ", ".join(TrainingSchedule.Reranker.values)
        raise ValueError(f"learned_reranker must be one of {known}, not {learned_reranker!r}.")
    if not 1 <= every_hours <= 24 * 30:
        raise ValueError(f"every_hours must be from 1 to {24 * 30}, not {every_hours}.")
    interval, _ = IntervalSchedule.objects.get_or_create(every=every_hours, period=IntervalSchedule.HOURS)
    task, _ = PeriodicTask.objects.update_or_create(
        name=f"train {store.slug}",
        defaults={
            "task": TASK,
            "interval": interval,
            "crontab": None,
            "enabled": is_enabled,
            "kwargs": json.dumps({"store_id": store.pk, "trigger": "schedule"}),
            "description": f"Trains the models of {store.name}. Edited under Models → Schedule.",
        },
    )
    schedule, _ = TrainingSchedule.all_stores.update_or_create(
        store=store,
        defaults={
            "every_hours": every_hours,
            "is_enabled": is_enabled,
            "periodic_task": task,
            **({"learned_reranker": learned_reranker} if learned_reranker is not None else {}),
        },
    )
    return schedule
