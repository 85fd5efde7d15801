"""The queue and the schedules."""

import json
from typing import Any

import pytest
from django.conf import settings
from django_celery_beat.models import PeriodicTask
from redis import Redis

from config.celery import ALIVE_SECONDS, REPORT_SECONDS, _report, app
from config.health import WORKER_KEY


@pytest.fixture(scope="module", autouse=True)
def _tasks_are_imported() -> None:
    app.loader.import_default_modules()


@pytest.mark.django_db
def test_every_scheduled_task_exists() -> None:
    """Both kinds: those of the settings and the rows that the admin edits."""
    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    scheduled |= set(PeriodicTask.objects.exclude(task__startswith="celery.").values_list("task", flat=True))
    assert len(scheduled) >= 3
    assert scheduled - set(app.tasks) == set()


def test_a_lost_workers_task_goes_to_another_only_after_the_longest_task() -> None:
    assert app.conf.task_acks_late
    assert app.conf.task_reject_on_worker_lost
    assert app.conf.broker_transport_options["visibility_timeout"] > app.conf.task_time_limit
    assert app.conf.task_soft_time_limit < app.conf.task_time_limit


def test_tasks_wait_under_our_own_prefix(valkey: Redis) -> None:
    app.send_task("config.nothing", queue="etalage")
    (queue,) = valkey.keys("etalage:celery:etalage")
    assert json.loads(valkey.lindex(queue, 0))["headers"]["task"] == "config.nothing"
    assert [key for key in valkey.scan_iter() if not key.startswith(b"etalage:")] == []


def test_worker_reports_more_often_than_it_is_given_up(valkey: Redis) -> None:
    _report()
    assert valkey.ttl(WORKER_KEY) == ALIVE_SECONDS
    assert 2 * REPORT_SECONDS < ALIVE_SECONDS


def test_worker_goes_on_reporting_when_valkey_is_away(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    _report()
