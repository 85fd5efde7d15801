"""The Celery application: `celery -A config worker` and `celery -A config beat`."""

import os
from typing import Any

import redis
from celery import Celery
from celery.signals import setup_logging, worker_init, worker_ready

# One task already fills its core; linear algebra with threads of its own would only fight for it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

ALIVE_SECONDS = 30
REPORT_SECONDS = 10

app = Celery("etalage")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def _keep_the_logging_of_the_settings(**_: Any) -> None:
    """Having a receiver is what makes Celery leave logging alone."""
    from logging.config import dictConfig

    from django.conf import settings

    dictConfig(settings.LOGGING)


@worker_init.connect
def _refuse_without_keys(**_: Any) -> None:
    from config.checks import require_keys

    require_keys()


@worker_ready.connect
def _report_for_duty(sender: Any, **_: Any) -> None:
    """Tell `/readyz` that a worker is there, again and again while it is."""
    sender.timer.call_repeatedly(REPORT_SECONDS, _report)
    _report()


def _report() -> None:
    from accounts import valkey
    from config.health import WORKER_KEY

    try:
        valkey.client().set(WORKER_KEY, 1, ex=ALIVE_SECONDS)
    except (redis.RedisError, valkey.ValkeyUnavailable):
        pass  # the broker's own connection already complains
