"""The admin's home page: did it pay, what needs somebody, does everything run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.core.cache import cache
from django.db.models import Count
from django.db.models.functions import TruncHour
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from accounts.current_store import current_store, may
from accounts.display.charts import Bar, BarChart, LineChart, Series
from accounts.display.money import money, short_money
from accounts.models import Store
from accounts.permissions import Ability
from config.attention import attention_for, urgent_requests
from config.condition import condition
from recommendations.admin.experiments import comparisons
from recommendations.models import Placement
from recommendations.selectors.engagement import (
    Day,
    Engagement,
    PlacementFigures,
    engagement,
    engagement_by_day,
    engagement_by_placement,
    last_days,
)
from recommendations.selectors.training_outlook import training_outlook, version_waiting
from recommendations.selectors.uplift import Uplift, uplift_of
from recommendations.training.watch import failures_to_show
from tracking.models import Event

PERIODS: Final = {"7": "7 days", "28": "28 days", "90": "90 days"}
DEFAULT_PERIOD: Final = "28"
# The page may be this old, so that everybody looking at it on Monday morning costs one reading of the log.
CACHE_SECONDS: Final = 60
INGEST_HOURS: Final = 24


@dataclass(frozen=True)
class Figure:
    """A number with its unit, its period and what it was before. `is_better`: None where up is neither good nor bad."""

    label: str
    value: str
    change: str
    is_better: bool | None
    note: str
    spark: str = ""


@dataclass(frozen=True)
class Paid:
    """What the log says of a period and the one before it."""

    now: Engagement
    before: Engagement
    days: list[Day]
    placements: list[PlacementFigures]
    uplift: Uplift
    as_of: datetime


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """`?days=7|28|90`. For somebody without a store, or whose role reads no figures, the page says so."""
    store = current_store(request)
    if store is None or not may(request, Ability.READ_FIGURES):
        return {**context, "is_blank": True}
    days = request.GET.get("days", DEFAULT_PERIOD)
    days = days if days in PERIODS else DEFAULT_PERIOD
    paid = _paid(store, int(days))
    names = dict(Placement.objects.for_store(store).values_list("slug", "name"))
    return {
        **context,
        "title": "Did it pay?",
        "periods": [(value, label, value == days) for value, label in PERIODS.items()],
        "period_label": PERIODS[days],
        "paid": paid,
        "figures": _figures(paid, store),
        "uplift": comparisons(paid.uplift),
        "charts": _charts(paid, store),
        "placements": _placement_chart(paid.placements, names, store),
        "placement_rows": [(names.get(row.placement, row.placement), row) for row in paid.placements],
        "store": store,
        "ingest": _ingest_chart(store),
        "attention": attention_for(store),
        "failures": failures_to_show(store.pk)[:3] if may(request, Ability.READ_MODELS) else [],
        "urgent": urgent_requests(store)[:5] if may(request, Ability.READ_PRIVACY) else [],
        "outlook": training_outlook(store),
        "waiting": version_waiting(store) if may(request, Ability.MANAGE_MODELS) else None,
        "condition": condition(store),
        "may_read_models": may(request, Ability.READ_MODELS),
        "may_read_quality": may(request, Ability.READ_DATA_QUALITY),
        "may_read_privacy": may(request, Ability.READ_PRIVACY),
        "experiments_url": reverse("admin:recommendations_experiments"),
    }


def _paid(store: Store, days: int) -> Paid:
    """Whole days in the store's zone and today so far."""

    def read() -> Paid:
        period = last_days(store, days)
        return Paid(
            engagement(store, period),
            engagement(store, period.before),
            engagement_by_day(store, period),
            engagement_by_placement(store, period),
            uplift_of(store, period),
            period.until,
        )

    found = cache.get_or_set(f"etalage:dashboard:{store.pk}:{days}", read, CACHE_SECONDS)
    assert isinstance(found, Paid)
    return found


# Figures


def _change(now: float | None, before: float | None) -> tuple[str, bool | None]:
    """`+12.3 %` against the period before, and whether that is up."""
    if now is None or not before:
        return "nothing to compare with", None
    relative = now / before - 1
    if abs(relative) < 0.0005:
        return "as before", None
    return f"{'+' if relative > 0 else '−'}{abs(100 * relative):.1f} %", relative > 0


def _percent(value: float | None, decimals: int = 2) -> str:
    return "–" if value is None else f"{100 * value:.{decimals}f} %"


def spark(values: Sequence[float]) -> str:
    """A path of 100 × 30 units; empty where there is nothing to draw."""
    highest = max(values, default=0.0)
    if highest <= 0 or len(values) < 2:
        return ""
    step = 100 / (len(values) - 1)
    return " ".join(
        f"{'M' if index == 0 else 'L'}{index * step:.1f} {28 - 26 * value / highest:.1f}"
        for index, value in enumerate(values)
    )


def _figures(paid: Paid, store: Store) -> list[Figure]:
    def figure(
        label: str,
        read: Callable[[Engagement], float | None],
        show: Callable[[float | None], str],
        note: str,
        line: Sequence[float],
    ) -> Figure:
        change, is_better = _change(read(paid.now), read(paid.before))
        return Figure(label, show(read(paid.now)), change, is_better, note, spark(line))

    def amount(value: float | None) -> str:
        return short_money(None if value is None else int(value), store.currency)

    def whole(value: float | None) -> str:
        return "–" if value is None else f"{value:,.0f}"

    now, days = paid.now, paid.days
    return [
        figure(
            "Visitors",
            lambda e: e.visitors,
            whole,
            f"{now.visits:,} visits, bots left out",
            [day.visitors for day in days],
        ),
        figure(
            "Click-through of shelves",
            lambda e: e.click_through,
            _percent,
            f"{now.clicks:,} clicks on {now.impressions:,} products seen",
            [day.clicks / day.impressions if day.impressions else 0 for day in days],
        ),
        figure(
            "Visits that end in an order",
            lambda e: e.conversion,
            _percent,
            f"{now.visits_with_order:,} of {now.visits:,} visits",
            [day.visits_with_order / day.visits if day.visits else 0 for day in days],
        ),
        figure(
            "Revenue through shelves",
            lambda e: e.shelf_revenue,
            amount,
            f"{_percent(now.shelf_share, 1)} of {amount(now.revenue)} measured",
            [day.shelf_revenue for day in days],
        ),
    ]


# Charts


def _charts(paid: Paid, store: Store) -> list[LineChart]:
    labels = [date_format(day.day, "j M") for day in paid.days]
    divisor = 1 if money(1, store.currency) == money(1, "JPY") else 100
    return [
        LineChart(
            "Visitors and visits, by day",
            labels,
            [
                Series("Visits", [day.visits for day in paid.days], 0),
                Series("Visitors", [day.visitors for day in paid.days], 1),
            ],
        ),
        LineChart(
            f"Revenue, by day, in {store.currency}",
            labels,
            [
                Series("Measured", [day.revenue / divisor for day in paid.days], 0),
                Series("Through shelves", [day.shelf_revenue / divisor for day in paid.days], 1),
            ],
            note="A sale counts for a shelf where the same shopper clicked the product there within 7 days before.",
        ),
        LineChart(
            "Click-through of shelves, by day",
            labels,
            [
                Series(
                    "Clicks per product seen",
                    [100 * day.clicks / day.impressions if day.impressions else None for day in paid.days],
                    0,
                )
            ],
            unit="%",
            decimals=2,
        ),
    ]


def _placement_chart(rows: list[PlacementFigures], names: dict[str, str], store: Store) -> BarChart:
    """Best first, by revenue per 1,000 products seen: a busy shelf does not win by being busy."""
    ordered = sorted(rows, key=lambda row: -(row.revenue_per_thousand or 0))
    return BarChart(
        "Placements, best to worst",
        [
            Bar(
                names.get(row.placement, row.placement),
                row.revenue_per_thousand or 0.0,
                short_money(row.revenue_per_thousand, store.currency),
                detail=f"{_percent(row.click_through)} click-through, {row.impressions:,} seen, {row.shelf_orders:,} orders",
                url=reverse("admin:recommendations_placement_changelist") + f"?q={row.placement}",
            )
            for row in ordered
        ],
        "Placement",
        "Revenue per 1,000 seen",
    )


def _ingest_chart(store: Store) -> LineChart:
    """Events received in each of the last 24 hours."""
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    since = now - timedelta(hours=INGEST_HOURS - 1)
    rows = (
        Event.objects.for_store(store).filter(received_at__gte=since).annotate(hour=TruncHour("received_at"))
    )
    found = {row["hour"]: row["n"] for row in rows.values("hour").annotate(n=Count("pk")).order_by()}
    hours = [timezone.localtime(since + timedelta(hours=offset)) for offset in range(INGEST_HOURS)]
    return LineChart(
        "Events stored, by hour of receipt",
        [date_format(hour, "H:i") for hour in hours],
        [Series("Events", [found.get(hour, 0) for hour in hours])],
    )
