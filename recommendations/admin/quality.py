"""How good are the shelves, for whom, since when; and does the live model still fit. Offline figures and what shoppers really saw."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.contrib import admin
from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.admin.exports import cell
from accounts.current_store import may, require
from accounts.models import Store
from accounts.permissions import Ability
from algorithms.small_cells import hidden_cells
from recommendations.admin import quality_charts as charts
from recommendations.models import DriftReading
from recommendations.selectors.drift import latest_reading, readings_since
from recommendations.selectors.engagement import last_days
from recommendations.selectors.exposure import (
    ClicksOf,
    ExposureDay,
    clicks_by_density,
    clicks_by_segment,
    exposure_by_day,
)
from recommendations.selectors.quality import badly_served, live_quality, quality_history
from recommendations.selectors.training_outlook import training_outlook

PERIODS: Final = {"7": "7 days", "28": "28 days", "90": "90 days"}
DEFAULT_PERIOD: Final = "28"
# Impressions of weeks are counted: several people who look cost one count.
KEPT_SECONDS: Final = 300
DRIFT_LABELS: Final = {
    "unknown_items": "Unknown products",
    "scores": "Scores",
    "accuracy": "Accuracy",
    "unknown_shoppers": "Unknown shoppers",
    "popularity": "Demand",
    "age": "Age",
    "files": "Files",
}
LEVELS: Final = {
    "ok": ("Fits", "good"),
    "warn": ("Drifts", "warn"),
    "bad": ("Drifts far", "bad"),
    "unknown": ("Not yet known", "info"),
}


@dataclass(frozen=True)
class Seen:
    """What shoppers saw on shelves in a period."""

    days: list[ExposureDay]
    by_density: list[ClicksOf]
    by_segment: list[ClicksOf]

    @property
    def impressions(self) -> int:
        return sum(day.impressions for day in self.days)

    @property
    def shown(self) -> str:
        return f"{self.impressions:,}"


def urls(site: admin.AdminSite) -> list[URLPattern]:
    return [
        path("recommendations/quality/", site.admin_view(quality_view), name="recommendations_quality"),
        path(
            "recommendations/quality/<slug:table>.<slug:form>",
            site.admin_view(export_view),
            name="recommendations_quality_export",
        ),
    ]


@require_safe
def quality_view(request: HttpRequest) -> HttpResponse:
    """`?days=7|28|90` for what shoppers saw."""
    store = require(request, Ability.READ_MODELS)
    days = _days(request)
    history = quality_history(store)
    shown = live_quality(history)
    reading = latest_reading(store)
    seen = _seen(store, days)
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": "Quality",
        "store": store,
        "history": history,
        "version": shown,
        "badly_served": badly_served(shown)[:8] if shown else [],
        "has_groups": bool(shown and any(shown.groups.values())),
        "version_charts": charts.version_charts(history),
        "groups": _groups(history) if shown else [],
        "reading": reading,
        "drift": drift_rows(reading),
        "drift_charts": charts.drift_charts(readings_since(store, timezone.now() - timedelta(days=90))),
        "seen": seen,
        "exposure_charts": charts.exposure_charts(seen.days) if seen.impressions else [],
        "clicks_charts": _clicks(seen),
        "periods": [(value, label, value == str(days)) for value, label in PERIODS.items()],
        "period_label": PERIODS[str(days)],
        "exports": _exports(days),
        "outlook": training_outlook(store),
        "may_manage": may(request, Ability.MANAGE_MODELS),
        "training_url": reverse("admin:recommendations_trainingrun_changelist"),
    }
    return TemplateResponse(request, "admin/recommendations/quality.html", context)


def drift_rows(reading: DriftReading | None) -> list[dict[str, str]]:
    """For `drift.html`: each figure with its label, level and sentence."""
    if reading is None:
        return []
    return [
        {
            "label": DRIFT_LABELS.get(figure["name"], figure["name"]),
            "level": LEVELS[figure["level"]][0],
            "tone": LEVELS[figure["level"]][1],
            "text": figure["text"],
        }
        for figure in reading.figures
    ]


def _groups(history: Sequence[Any]) -> list[dict[str, Any]]:
    shown = live_quality(list(history))
    titles = {"density": "By how much is known of the shopper", "segment": "By segment"}
    return [
        {
            "title": title,
            "bars": charts.group_chart(shown.groups.get(kind, ()), f"{title}, model {shown.number}"),
            "lines": charts.group_history(history, kind),
            "rows": shown.groups.get(kind, ()),
        }
        for kind, title in titles.items()
        if shown and shown.groups.get(kind)
    ]


def _clicks(seen: Seen) -> list[Any]:
    found = (
        charts.clicks_chart(seen.by_density, "Clicks, by how much was known of the shopper then"),
        charts.clicks_chart(seen.by_segment, "Clicks, by the segments that shoppers are in now"),
    )
    return [chart for chart in found if chart is not None]


def _days(request: HttpRequest) -> int:
    days = request.GET.get("days", DEFAULT_PERIOD)
    return int(days if days in PERIODS else DEFAULT_PERIOD)


def _seen(store: Store, days: int) -> Seen:
    def read() -> Seen:
        period = last_days(store, days)
        return Seen(
            exposure_by_day(store, period), clicks_by_density(store, period), clicks_by_segment(store, period)
        )

    found = cache.get_or_set(f"etalage:quality:{store.pk}:{days}", read, KEPT_SECONDS)
    assert isinstance(found, Seen)
    return found


# Exports: figures of many, nothing of a person and nothing of fewer than ten (`algorithms.small_cells`).


def _live_rows(store: Store, days: int) -> list[dict[str, Any]]:
    return [day.as_exported() for day in _seen(store, days).days]


def _click_rows(store: Store, days: int) -> list[dict[str, Any]]:
    """What was seen is told in all by the table beside it: a density left out for its few shoppers takes the smallest other one along."""
    seen = _seen(store, days)
    rest = seen.impressions - sum(row.impressions for row in seen.by_density)
    people = [row.shoppers for row in seen.by_density]
    hidden = hidden_cells([*people, *([1] if rest else [])], adds_up=True)[: len(people)]
    by_density = [
        row.as_hidden() if is_hidden else row.as_exported()
        for row, is_hidden in zip(seen.by_density, hidden, strict=True)
    ]
    # Segments overlap: nothing adds up to anything.
    by_segment = [row.as_exported() for row in seen.by_segment]
    kinds = (("density", by_density), ("segment", by_segment))
    return [{"kind": kind, **row} for kind, rows in kinds for row in rows]


TABLES: Final[Mapping[str, tuple[str, Callable[[Store, int], list[dict[str, Any]]]]]] = {
    "versions": ("Versions", lambda store, days: charts.version_rows(quality_history(store, limit=500))),
    "groups": ("Groups", lambda store, days: charts.group_rows(quality_history(store, limit=500))),
    "exposure": ("What was seen", _live_rows),
    "clicks": ("Clicks by group", _click_rows),
    "drift": (
        "Drift",
        lambda store, days: charts.drift_rows(readings_since(store, timezone.now() - timedelta(days=400))),
    ),
}


def _exports(days: int) -> list[dict[str, Any]]:
    def url(table: str, form: str) -> str:
        return f"{reverse('admin:recommendations_quality_export', args=[table, form])}?days={days}"

    return [
        {"label": label, "csv": url(table, "csv"), "json": url(table, "json")}
        for table, (label, _) in TABLES.items()
    ]


@require_safe
def export_view(request: HttpRequest, table: str, form: str) -> HttpResponse:
    """A table of the page as CSV or JSON. Raises Http404 for one that there is not."""
    store = require(request, Ability.READ_MODELS)
    if table not in TABLES or form not in ("csv", "json"):
        raise Http404(f"There is no table {table}.{form}: choose among {', '.join(TABLES)}, as csv or json.")
    rows = TABLES[table][1](store, _days(request))
    name = f"{store.slug}-quality-{table}.{form}"
    response = (
        JsonResponse({"store": store.slug, table: rows})
        if form == "json"
        else HttpResponse(_csv(rows), content_type="text/csv; charset=utf-8")
    )
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(columns)
    writer.writerows([[cell(row.get(name)) for name in columns] for row in rows])
    return written.getvalue()
