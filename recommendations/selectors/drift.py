"""What the watch over the live version has found."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from accounts.models import Store
from recommendations.models import DriftReading, ModelVersion


def latest_reading(store: Store | int) -> DriftReading | None:
    """Of the version that is live now; one of an earlier version says nothing about it."""
    rows = DriftReading.objects.for_store(store).filter(version__state=ModelVersion.State.LIVE)
    return rows.select_related("version").order_by("-measured_at").first()


def latest_readings() -> Iterator[DriftReading]:
    """One of each store's live version, for metrics."""
    rows = DriftReading.all_stores.filter(version__state=ModelVersion.State.LIVE)
    yield from (
        rows.select_related("version", "store").order_by("store_id", "-measured_at").distinct("store_id")
    )


def readings_since(store: Store, since: datetime) -> list[DriftReading]:
    """Oldest first, whichever version was live."""
    rows = DriftReading.objects.for_store(store).filter(measured_at__gte=since)
    return list(rows.select_related("version").order_by("measured_at"))


def figure_of(reading: DriftReading, name: str) -> dict[str, Any] | None:
    return next((figure for figure in reading.figures if figure.get("name") == name), None)
