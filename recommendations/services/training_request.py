"""Train now, because a person says so; and say that a failure has been seen."""

from __future__ import annotations

import json

import structlog
from django.db import transaction
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from accounts import auditing
from accounts.models import Store, User
from recommendations.models import TrainingRun
from recommendations.services.schedule_update import TASK

log = structlog.get_logger(__name__)


@transaction.atomic
def training_request(*, store: Store, user: User | None) -> None:
    """Have a worker train the store as soon as one is free. Where the broker is away, beat hands it over later, from the database."""
    auditing.record(store=store, actor=user, action="training.requested", target=f"store:{store.slug}")
    transaction.on_commit(lambda: _send(store.pk, store.slug))


def _send(store_id: int, slug: str) -> None:
    from recommendations.tasks import train_store

    try:
        train_store.delay(store_id=store_id, trigger="admin")
    except (OperationalError, RedisError, OSError):
        log.warning("training.queued_in_database", store=store_id)
        _queue_in_database(store_id, slug)


def _queue_in_database(store_id: int, slug: str) -> None:
    soon, _ = IntervalSchedule.objects.get_or_create(every=1, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.update_or_create(
        name=f"train {slug} now",
        defaults={
            "task": TASK,
            "interval": soon,
            "one_off": True,
            "enabled": True,
            "start_time": timezone.now(),
            "kwargs": json.dumps({"store_id": store_id, "trigger": "admin"}),
        },
    )
    PeriodicTasks.update_changed()


@transaction.atomic
def run_acknowledge(*, run: TrainingRun, user: User) -> None:
    """Somebody has seen that this run failed: the banner goes."""
    run.is_acknowledged = True
    run.save(update_fields=["is_acknowledged"])
    auditing.record(
        store=run.store, actor=user, action="training.acknowledged", target=f"training_run:{run.pk}"
    )
