"""The control group: what personal shelves are worth, per placement, with the uncertainty that the numbers have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from accounts.current_store import may, require
from accounts.display.charts import Interval
from accounts.permissions import Ability
from algorithms.experiments import Interval as Estimate
from recommendations.models import Placement
from recommendations.selectors.engagement import last_days
from recommendations.selectors.uplift import Uplift, uplift_of

PERIODS: Final = {"7": "7 days", "28": "28 days", "90": "90 days"}


@dataclass(frozen=True)
class Row:
    """A placement's comparison; `intervals` in the order of MEASURES."""

    name: str
    slug: str
    uplift: Uplift
    intervals: list[tuple[str, Interval | None, str]]


def interval_of(label: str, found: Estimate | None, scale: float) -> Interval | None:
    """The estimate for a picture: `+12.0 % (−3.0 % to +29.0 %)`."""
    if found is None:
        return None
    text = f"{100 * found.estimate:+.1f} % ({100 * found.low:+.1f} % to {100 * found.high:+.1f} %)".replace(
        "-", "−"
    )
    return Interval(label, found.low, found.estimate, found.high, text, scale)


def verdict(found: Estimate | None) -> str:
    """In words what the interval says, and no more than it says."""
    if found is None:
        return "Not enough shoppers in both groups yet."
    if found.low > 0:
        return "More than the control group: chance hardly explains it."
    if found.high < 0:
        return "Less than the control group: chance hardly explains it."
    return "May be chance: the interval holds zero."


def comparisons(found: Uplift) -> list[tuple[str, Interval | None, str]]:
    """Label, interval on a scale that all three share, and the verdict."""
    estimates = {
        "Shoppers who order": found.conversion,
        "Revenue of a shopper": found.revenue,
        "Shoppers who click a shelf": found.clicks,
    }
    bounds = [abs(bound) for each in estimates.values() if each for bound in (each.low, each.high)]
    scale = min(max(bounds, default=1.0), 3.0)
    return [(label, interval_of(label, each, scale), verdict(each)) for label, each in estimates.items()]


def experiments_view(request: HttpRequest) -> HttpResponse:
    """`?days=7|28|90`."""
    store = require(request, Ability.READ_FIGURES)
    days = request.GET.get("days", "28")
    days = days if days in PERIODS else "28"
    period = last_days(store, int(days))
    placements = Placement.objects.for_store(store).filter(is_active=True)
    together = uplift_of(store, period)
    rows = []
    for placement in placements:
        found = uplift_of(store, period, placement.slug)
        if found.personalised.shoppers or found.control.shoppers:
            rows.append(Row(placement.name, placement.slug, found, comparisons(found)))
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": "Experiments",
        "store": store,
        "periods": [(value, label, value == days) for value, label in PERIODS.items()],
        "together": together,
        "comparisons": comparisons(together),
        "rows": rows,
        "may_manage": may(request, Ability.MANAGE_STORE),
    }
    return TemplateResponse(request, "admin/recommendations/experiments.html", context)
