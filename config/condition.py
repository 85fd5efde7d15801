"""Does everything run: the parts behind the shop, each with what to do where it does not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db import connection
from django.utils import timezone
from django.utils.timesince import timesince

from accounts.models import Store
from config import health
from recommendations.selectors.drift import latest_reading
from tracking.models import LogPosition

# Readers follow the log every few seconds: past this something keeps them.
SLOW_READER: Final = timedelta(minutes=10)


@dataclass(frozen=True)
class Part:
    """`state` is ok, warn or bad; `remedy` says what to do where it is not ok."""

    name: str
    state: str
    text: str
    remedy: str = ""


def condition(store: Store) -> list[Part]:
    """Parts in the order in which they matter. A few short questions to database and cache."""
    answers = health.checks()
    services = [_service(name, answers[key], remedy) for key, (name, remedy) in _SERVICES.items()]
    return [*services, *_readers(store), *_model(store), _size()]


_SERVICES: Final = {
    "database": ("Database", "Shelves and events stand still until it is back."),
    "valkey": (
        "Cache and profiles",
        "Profiles are read from the database meanwhile: shelves go on, more slowly. Start it with `manage.py services start`.",
    ),
    "worker": ("Worker", "Nothing is trained, segmented, exported or erased until a Celery worker runs."),
}


def _service(name: str, answer: str, remedy: str) -> Part:
    return Part(name, "ok", "runs") if answer == "ok" else Part(name, "bad", answer, remedy)


def _readers(store: Store) -> list[Part]:
    """How far behind those are that follow the log."""
    oldest = LogPosition.objects.for_store(store).order_by("updated_at").first()
    if oldest is None:
        return []
    late = timezone.now() - oldest.updated_at
    if late < SLOW_READER:
        return [
            Part("Sessions and orders", "ok", f"followed the log {timesince(oldest.updated_at, depth=1)} ago")
        ]
    text = f"{oldest.reader} last followed the log {timesince(oldest.updated_at, depth=1)} ago"
    return [Part("Sessions and orders", "warn", text, "They catch up as soon as a worker runs.")]


def _model(store: Store) -> list[Part]:
    """Whether the live model still fits, as of the last watch."""
    reading = latest_reading(store)
    if reading is None:
        return []
    drifting = [
        figure["name"].replace("_", " ") for figure in reading.figures if figure["level"] in ("warn", "bad")
    ]
    if not drifting:
        return [Part("Model", "ok", f"{reading.version} fits what happens")]
    return [
        Part(
            "Model",
            "warn",
            f"{reading.version} drifts: {', '.join(drifting)}",
            "Train now, under Models → Training.",
        )
    ]


def _size() -> Part:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        size = cursor.fetchone()[0]
    return Part(
        "Disk",
        "ok",
        f"{size / 1e9:.2f} GB in the database" if size > 1e8 else f"{size / 1e6:.0f} MB in the database",
    )
