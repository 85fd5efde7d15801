"""Trained models: what each is worth, which one is live, and the way back."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from accounts.admin.confirmation import Confirmation, OptionalReasonForm, ReasonForm, confirm_page
from accounts.admin.filters import MomentRangeFilter
from accounts.admin.scoped import ReadOnlyAdmin
from accounts.current_store import may, require, staff_user
from accounts.display.charts import Bar, BarChart
from accounts.display.columns import DASH, moment_text, when
from accounts.permissions import Ability
from recommendations.admin.gate_text import gate_text, publish_label
from recommendations.admin.quality import drift_rows
from recommendations.admin.reranker_report import reranker_report
from recommendations.admin.strategies import text_of
from recommendations.models import ModelVersion
from recommendations.selectors.drift import latest_reading
from recommendations.services.model_publish import CannotPublish, model_publish, model_roll_back

# Figure → (label, what it says, whether it is a share of 1).
FIGURES: Final = {
    "ndcg@10": ("NDCG@10", "Hits among the first 10, early ones counting more. 1 is perfect.", False),
    "recall@10": ("Recall@10", "Share of what was chosen next that is among the first 10.", True),
    "hit_rate@20": ("Hit rate@20", "Cases with at least one hit among the first 20.", True),
    "mrr@20": ("MRR@20", "1 over the rank of the first hit.", False),
    "coverage@10": ("Coverage@10", "Share of the catalogue that is recommended to somebody.", True),
    "novelty@10": ("Novelty@10", "How little known the recommended products are, in bits.", False),
    "gini@10": ("Gini@10", "0: all products are shown alike; 1: one product takes every place.", False),
}


def figure_text(name: str, value: float | None) -> str:
    if value is None:
        return DASH
    return f"{100 * value:.1f} %" if FIGURES.get(name, ("", "", False))[2] else f"{value:.4f}"


def figure_table(metrics: dict[str, Any], section: str) -> dict[str, Any]:
    """Figures per strategy, the blend first, best first by NDCG@10. `section`: `all` or `unseen`."""
    if section == "unseen":
        rows = dict(metrics.get("unseen", {}))
    else:
        rows = {
            **({"blend": metrics["blend"]} if metrics.get("blend") else {}),
            **metrics.get("strategies", {}),
        }
    columns = [name for name in FIGURES if any(name in figures for figures in rows.values())]
    ordered = sorted(rows, key=lambda name: (name != "blend", -rows[name].get("ndcg@10", 0.0)))
    return {
        "columns": [(FIGURES[name][0], FIGURES[name][1]) for name in columns],
        "rows": [
            (
                "The blend" if name == "blend" else text_of(name).label,
                name,
                [figure_text(column, rows[name].get(column)) for column in columns],
            )
            for name in ordered
        ],
    }


def figure_chart(metrics: dict[str, Any]) -> BarChart | None:
    """NDCG@10 of each strategy and the blend, on products that the shopper had not seen."""
    rows = metrics.get("unseen") or {}
    bars = [
        Bar(
            label="The blend" if name == "blend" else text_of(name).label,
            value=figures.get("ndcg@10", 0.0),
            text=figure_text("ndcg@10", figures.get("ndcg@10")),
            colour=0 if name == "blend" else 7,
        )
        for name, figures in sorted(rows.items(), key=lambda row: -row[1].get("ndcg@10", 0.0))
    ]
    if not bars:
        return None
    return BarChart("How well products not seen before are found", bars, "Strategy", "NDCG@10")


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin):
    view_ability = Ability.READ_MODELS
    intro = "What was learned, and how well it finds what shoppers then chose. Nothing goes live that does worse than what is live."
    empty_title = "No model yet"
    empty_text = "Train one: with a few hundred events it takes less than a minute. Until then shelves show popular products."
    empty_link = ("Train now", "admin:recommendations_trainingrun_changelist")
    list_display = (
        "name",
        "status",
        "quality",
        "coverage",
        "against_popular",
        "events",
        "items",
        "trained",
        "published",
    )
    list_filter = (("state", ChoicesDropdownFilter), ("trained_at", MomentRangeFilter))
    search_fields = ("number__exact",)
    search_help_text = "Number of the version"
    ordering = ("-number",)
    list_select_related = ()
    change_form_template = "admin/recommendations/model_version.html"
    export_columns = {
        "number": "number",
        "state": "state",
        "trained_at": "trained_at",
        "published_at": "published_at",
        "events": "event_count",
        "items": "item_count",
        "metrics": "metrics",
        "gate": "gate_reason",
    }

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("roll-back/", wrap(self.roll_back_view), name="recommendations_modelversion_roll_back"),
            path(
                "<path:object_id>/publish/",
                wrap(self.publish_view),
                name="recommendations_modelversion_publish",
            ),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        links = []
        if may(request, Ability.MANAGE_MODELS):
            links = [{"url": reverse("admin:recommendations_modelversion_roll_back"), "label": "Roll back…"}]
        links.append(
            {"url": reverse("admin:recommendations_quality"), "label": "Quality by group and over time"}
        )
        return super().changelist_view(request, {"list_links": links, **(extra_context or {})})

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        version = self.object_for(request, object_id or "", Ability.READ_MODELS)
        metrics = version.metrics if isinstance(version.metrics, dict) else {}
        context = {
            "version": version,
            "chart": figure_chart(metrics),
            "tables": [
                ("Products not seen before", figure_table(metrics, "unseen")),
                ("All products, also ones seen before", figure_table(metrics, "all")),
            ],
            "gate": gate_text(version),
            "publish_label": publish_label(version),
            **_watched(version),
            "reranker": reranker_report(metrics),
            "interval": metrics.get("interval") or {},
            "cases": metrics.get("cases"),
            "may_manage": may(request, Ability.MANAGE_MODELS),
            **(extra_context or {}),
        }
        return super().changeform_view(request, object_id, form_url, context)

    def publish_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        version = self.object_for(request, object_id, Ability.MANAGE_MODELS)
        back = reverse("admin:recommendations_modelversion_change", args=[version.pk])
        form = ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                model_publish(version=version, actor=staff_user(request), reason=form.cleaned_data["reason"])
            except CannotPublish as error:
                messages.error(request, str(error))
            else:
                messages.success(
                    request, f"{version} is live. Web processes swap while they serve; no restart is needed."
                )
            return HttpResponseRedirect(back)
        live = ModelVersion.objects.for_store(version.store_id).filter(state=ModelVersion.State.LIVE).first()
        consequences = [
            "Every web process loads it and swaps while it serves: all personal shelves follow within seconds.",
            f"{live}, live since {moment_text(live.published_at)}, is retired and kept."
            if live
            else "Nothing was live before.",
        ]
        if version.gate_reason:
            consequences.append(f"The publish gate said: {version.gate_reason}")
        return confirm_page(
            request,
            self,
            Confirmation(
                title=f"Publish {version} all the same?" if _is_refused(version) else f"Publish {version}?",
                consequences=consequences,
                undo="Yes: “Roll back” on the list of versions brings back the one before.",
                button=f"Publish {version}",
                back_url=back,
                is_dangerous=_is_refused(version),
            ),
            form,
        )

    def roll_back_view(self, request: HttpRequest) -> HttpResponse:
        store = require(request, Ability.MANAGE_MODELS)
        back = reverse("admin:recommendations_modelversion_changelist")
        form = OptionalReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                version = model_roll_back(
                    store_id=store.pk, actor=staff_user(request), reason=form.cleaned_data["reason"]
                )
            except CannotPublish as error:
                messages.error(request, str(error))
            else:
                messages.success(request, f"{version} is live again.")
            return HttpResponseRedirect(back)
        live = ModelVersion.objects.for_store(store).filter(state=ModelVersion.State.LIVE).first()
        earlier = (
            ModelVersion.objects.for_store(store)
            .filter(state=ModelVersion.State.RETIRED, published_at__isnull=False)
            .order_by("-published_at")
            .first()
        )
        if earlier is None:
            messages.error(request, "There is no earlier version to go back to.")
            return HttpResponseRedirect(back)
        return confirm_page(
            request,
            self,
            Confirmation(
                title=f"Roll back to {earlier}?",
                consequences=[
                    f"{earlier}, trained {moment_text(earlier.trained_at)}, goes live in every web process within seconds.",
                    f"{live} is retired and kept." if live else "Nothing is live now.",
                    "The next scheduled training measures itself against the version that is live then.",
                ],
                undo="Yes: publish the newer version again from its page.",
                button=f"Roll back to {earlier}",
                back_url=back,
            ),
            form,
        )

    @display(description="Version", ordering="number")
    def name(self, version: ModelVersion) -> str:
        return str(version)

    @display(
        description="State",
        ordering="state",
        label={
            "Live": "success",
            "Refused by the publish gate": "danger",
            "Trained, not live": "warning",
            "Retired": "info",
        },
    )
    def status(self, version: ModelVersion) -> str:
        return version.get_state_display()

    @display(description="NDCG@10, unseen")
    def quality(self, version: ModelVersion) -> str:
        return figure_text("ndcg@10", _figure(version, "blend", "ndcg@10"))

    @display(description="Coverage@10")
    def coverage(self, version: ModelVersion) -> str:
        return figure_text("coverage@10", _figure(version, "blend", "coverage@10"))

    @display(description="Against popular")
    def against_popular(self, version: ModelVersion) -> str:
        blend, popular = (_figure(version, name, "ndcg@10") for name in ("blend", "popular"))
        return f"{100 * (blend / popular - 1):+.0f} %" if blend is not None and popular else DASH

    @display(description="Events", ordering="event_count")
    def events(self, version: ModelVersion) -> str:
        return f"{version.event_count:,}"

    @display(description="Products", ordering="item_count")
    def items(self, version: ModelVersion) -> str:
        return f"{version.item_count:,}"

    @display(description="Trained", ordering="trained_at")
    def trained(self, version: ModelVersion) -> str:
        return when(version.trained_at)

    @display(description="Published", ordering="published_at")
    def published(self, version: ModelVersion) -> str:
        return when(version.published_at)


def _is_refused(version: ModelVersion) -> bool:
    return version.state == ModelVersion.State.REFUSED


def _watched(version: ModelVersion) -> dict[str, Any]:
    """For the live version: what the watch over it found last."""
    if version.state != ModelVersion.State.LIVE:
        return {}
    reading = latest_reading(version.store_id)
    return {
        "is_watched": True,
        "reading": reading,
        "drift": drift_rows(reading),
        "training_url": reverse("admin:recommendations_trainingrun_changelist"),
    }


def _figure(version: ModelVersion, strategy: str, figure: str) -> float | None:
    unseen = version.metrics.get("unseen", {}) if isinstance(version.metrics, dict) else {}
    value = unseen.get(strategy, {}).get(figure)
    return float(value) if value is not None else None
