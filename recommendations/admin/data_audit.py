"""What the data can carry, on one page: how much, how it is spread, and which strategies it is enough for."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_safe

from accounts.current_store import require
from accounts.display.charts import Bar, BarChart
from accounts.permissions import Ability
from algorithms.data_facts import QUANTILES, DataFacts
from algorithms.needs import Readiness
from recommendations.admin.strategies import text_of
from recommendations.selectors.data_audit import DataAudit, StrategyVerdict, data_audit

# An audit reads the whole log. It changes slowly, and whoever wants it new says so.
KEPT_SECONDS: Final = 900
_LABELS: Final = {
    Readiness.READY: ("Enough", "good"),
    Readiness.THIN: ("Thin", "warn"),
    Readiness.IMPOSSIBLE: ("Not yet", "bad"),
}


def urls(site: admin.AdminSite) -> list[URLPattern]:
    return [
        path("recommendations/data/", site.admin_view(data_audit_view), name="recommendations_data_audit")
    ]


@require_safe
def data_audit_view(request: HttpRequest) -> HttpResponse:
    """`?fresh=1` counts anew."""
    store = require(request, Ability.READ_MODELS)
    key = f"data_audit:{store.pk}"
    audit: DataAudit | None = None if "fresh" in request.GET else cache.get(key)
    if audit is None:
        audit = data_audit(store)
        cache.set(key, audit, KEPT_SECONDS)
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": "What the data can carry",
        "audit": audit,
        "facts": audit.facts,
        "strategies": [_row(verdict) for verdict in audit.strategies],
        "ready": sum(1 for verdict in audit.strategies if verdict.readiness is Readiness.READY),
        "spreads": spread_rows(audit.facts),
        "quantiles": [_quantile_name(share) for share in QUANTILES],
        "unknown": _unknown_chart(audit),
    }
    return TemplateResponse(request, "admin/recommendations/data_audit.html", context)


def _row(verdict: StrategyVerdict) -> dict[str, Any]:
    label, tone = _LABELS[verdict.readiness]
    return {"text": text_of(verdict.name), "label": label, "tone": tone, "lacks": verdict.lacks}


def spread_rows(facts: DataFacts) -> list[tuple[str, str, list[str], str]]:
    """Of what, mean, quantiles, Gini: interactions of a person, a product, a visit."""
    rows = (("A person", facts.per_person), ("A product", facts.per_item), ("A visit", facts.per_session))
    return [
        (name, f"{spread.mean:.1f}", [f"{value:,.0f}" for value in spread.quantiles], f"{spread.gini:.2f}")
        for name, spread in rows
    ]


def _quantile_name(share: float) -> str:
    return {0.0: "Least", 0.5: "Median", 1.0: "Most"}.get(share, f"{100 * share:.0f} %")


def _unknown_chart(audit: DataAudit) -> BarChart | None:
    if not audit.unknown_products:
        return None
    bars = [Bar(product, float(count), f"{count:,}") for product, count in audit.unknown_products[:10]]
    return BarChart("Products of events that the catalogue does not know", bars, "Product", "Interactions")
