"""Personal data in the tables of installed packages: what they hold and how it goes."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Final

from axes.models import AccessAttempt, AccessAttemptExpiration, AccessFailureLog, AccessLog
from django.contrib.sessions.models import Session
from django.db.models import Model

from accounts.personal_data import Classification, classify
from accounts.privacy import PROCESSOR

SESSION_DAYS: Final = 14
LOGIN_ATTEMPT_DAYS: Final = 30


def expire_sessions(now: datetime) -> int:
    return Session.objects.filter(expire_date__lt=now).delete()[0]


def expire_lockouts(now: datetime) -> int:
    return AccessAttemptExpiration.objects.filter(expires_at__lt=now).delete()[0]


def _expire_attempts(model: type[Model], now: datetime) -> int:
    return model._default_manager.filter(attempt_time__lt=now - timedelta(days=LOGIN_ATTEMPT_DAYS)).delete()[
        0
    ]


def classify_all() -> None:
    """Called when the apps are ready."""
    classify(
        "sessions.Session",
        Classification.PROCESSED_BY(PROCESSOR, expires_days=SESSION_DAYS),
        "Who is logged in, and the cart of the demo shop; closed when the login is erased.",
        expire=expire_sessions,
    )
    for model in (AccessAttempt, AccessFailureLog, AccessLog):
        classify(
            model._meta.label,
            Classification.PROCESSED_BY(PROCESSOR, expires_days=LOGIN_ATTEMPT_DAYS),
            "Address and e-mail of somebody who tried to log in, against guessing of passwords.",
            expire=partial(_expire_attempts, model),
        )
    classify(
        "axes.AccessAttemptExpiration",
        Classification.PROCESSED_BY(PROCESSOR, expires_days=1),
        "When a lock-out ends; goes with its attempt.",
        expire=expire_lockouts,
    )
    classify(
        "admin.LogEntry",
        Classification.PROCESSED_BY(PROCESSOR),
        "What staff did to which row; the row's name is taken out when its person is erased.",
    )
    classify("auth.Group", Classification.STAFF, "Groups of staff.")
    classify("auth.Group_permissions", Classification.STAFF, "What groups of staff may do.")
    for label in (
        "auth.Permission",
        "contenttypes.ContentType",
    ):
        classify(label, Classification.NO_PERSONAL_DATA, "Names of models, written by the framework.")
    for name in (
        "ClockedSchedule",
        "CrontabSchedule",
        "IntervalSchedule",
        "PeriodicTask",
        "PeriodicTasks",
        "SolarSchedule",
    ):
        classify(
            f"django_celery_beat.{name}",
            Classification.NO_PERSONAL_DATA,
            "When which task runs; tasks take ids of stores only.",
        )
