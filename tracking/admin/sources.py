"""The inventory of data: every source, what comes from it, how fresh, how complete, and what it may be used for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.formats import date_format
from django.views.decorators.http import require_safe

from accounts.current_store import may, require
from accounts.display.charts import Bar, BarChart, LineChart, Series
from accounts.models import ApiKey
from accounts.permissions import Ability
from tracking.inventory.coverage import IMPORTANT, Coverage
from tracking.inventory.report import CatalogueFacts, SourceFacts, inventory_of
from tracking.inventory.rollup import sources_roll_up

PERIODS: Final = {"7": "7 days", "28": "28 days", "90": "90 days", "all": "All"}
DEFAULT_PERIOD: Final = "28"
# What a page waits for the counting of a log that nobody has counted yet; the worker does the rest.
COUNTING_SECONDS: Final = 2.0
MOST_POINTS: Final = 92


@dataclass(frozen=True)
class Card:
    """A source as the page shows it."""

    facts: SourceFacts
    chart: LineChart
    basis: str
    permission: str
    purposes: list[tuple[str, float]]
    discarded_share: float
    quarantined_share: float
    quarantine_url: str
    imports_url: str


def urls(site: admin.AdminSite) -> list[URLPattern]:
    return [path("tracking/sources/", site.admin_view(sources_view), name="tracking_sources")]


@require_safe
def sources_view(request: HttpRequest) -> HttpResponse:
    """`?days=7|28|90|all`."""
    store = require(request, Ability.READ_DATA_QUALITY)
    days = request.GET.get("days", DEFAULT_PERIOD)
    days = days if days in PERIODS else DEFAULT_PERIOD
    is_counted = sources_roll_up(store, budget_seconds=COUNTING_SECONDS)
    inventory = inventory_of(store, None if days == "all" else int(days))
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": "Data sources",
        "periods": [(value, label, value == days) for value, label in PERIODS.items()],
        "cards": [_card(source, inventory.days) for source in inventory.sources],
        "inventory": inventory,
        "coverage": inventory.coverage,
        "coverage_chart": coverage_chart(inventory.coverage),
        "catalogue_chart": catalogue_chart(inventory.catalogue),
        "important": len(IMPORTANT),
        "is_counted": is_counted,
        "may_manage": may(request, Ability.MANAGE_STORE),
    }
    return TemplateResponse(request, "admin/tracking/sources.html", context)


def _card(facts: SourceFacts, days: Sequence[date]) -> Card:
    basis, permission = _declared(facts.key)
    key_filter = f"?api_key__id__exact={facts.key.pk}" if facts.key else ""
    return Card(
        facts=facts,
        chart=day_chart(f"Events of {facts.name}", days, facts.by_day),
        basis=basis,
        permission=permission,
        purposes=[(purpose.capitalize(), share) for purpose, share in facts.purposes.items()],
        discarded_share=facts.discarded / facts.received if facts.received else 0.0,
        quarantined_share=facts.quarantined / facts.received if facts.received else 0.0,
        quarantine_url=reverse("admin:tracking_quarantinedevent_changelist") + key_filter,
        imports_url=reverse("admin:tracking_importrun_changelist") + key_filter,
    )


def _declared(key: ApiKey | None) -> tuple[str, str]:
    """Legal basis, and where permission stands, in words."""
    if key is None:
        return "–", "–"
    basis = str(ApiKey.LegalBasis(key.legal_basis).label)
    source = ApiKey.ConsentSource(key.consent_source)
    if source == ApiKey.ConsentSource.DECLARED:
        return basis, f"Declared: {', '.join(key.declared_purposes) or 'nothing'}"
    return basis, str(source.label)


def day_chart(title: str, days: Sequence[date], counts: Sequence[int]) -> LineChart:
    """Events a day; over a long period, events of several days together, so that the line stays readable."""
    width = -(-len(days) // MOST_POINTS)
    labels, values = [], []
    # From the end, so that the newest point is whole.
    for end in range(len(days), 0, -width):
        start = max(0, end - width)
        first, last = days[start], days[end - 1]
        labels.append(_day(first) if first == last else f"{_day(first)} – {_day(last)}")
        values.append(float(sum(counts[start:end])))
    note = "" if width == 1 else f"Each point is {width} days, by the day on which it happened (UTC)."
    return LineChart(title, labels[::-1], [Series("Events", values[::-1])], note=note)


def _day(day: date) -> str:
    return date_format(day, "j M Y")


def coverage_chart(coverage: Coverage) -> BarChart:
    bars = [
        Bar(
            name,
            float(count),
            f"{count:,}",
            detail=IMPORTANT.get(name, ""),
            colour=0 if name in IMPORTANT else 7,
        )
        for name, count in coverage.present.items()
    ]
    return BarChart("Events that arrive", bars, "Event", "In this period")


def catalogue_chart(catalogue: CatalogueFacts) -> BarChart:
    bars = [Bar(name.capitalize(), share, f"{100 * share:.0f} %") for name, share in catalogue.fill.items()]
    return BarChart("What products on sale say of themselves", bars, "Attribute", "Products that have it")
