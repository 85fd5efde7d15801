"""Training runs: what runs, what failed and why, and when the next one comes."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldBooleanSwitchWidget,
)

from accounts import auditing
from accounts.admin.filters import MomentRangeFilter, value_filter
from accounts.admin.scoped import ReadOnlyAdmin
from accounts.current_store import may, require, staff_user
from accounts.display.charts import Bar, BarChart, LineChart, Series
from accounts.display.columns import duration, when
from accounts.models import Store
from accounts.permissions import Ability
from recommendations.models import TrainingRun, TrainingSchedule
from recommendations.selectors.training_outlook import training_outlook
from recommendations.services.schedule_update import schedule_update
from recommendations.services.training_request import run_acknowledge, training_request
from recommendations.training.watch import find_killed_runs


def _list_url() -> str:
    return reverse("admin:recommendations_trainingrun_changelist")


class ScheduleForm(forms.Form):
    every_hours = forms.IntegerField(
        label="Hours between trainings", min_value=1, max_value=720, widget=UnfoldAdminIntegerFieldWidget
    )
    is_enabled = forms.BooleanField(
        label="Train by schedule", required=False, widget=UnfoldBooleanSwitchWidget
    )
    learned_reranker = forms.ChoiceField(
        label="Learned reranker",
        choices=TrainingSchedule.Reranker.choices,
        required=False,
        help_text="A small learned correction of the blend. It becomes part of a version only where it did better than the blend "
        "alone. Needs LightGBM where models are trained (requirements-reranker.txt).",
        widget=UnfoldAdminSelectWidget,
    )

    def clean_learned_reranker(self) -> str | None:
        return self.cleaned_data["learned_reranker"] or None


def _duration_chart(store: Store) -> LineChart | None:
    """Seconds of the last runs that went well, oldest first; None with fewer than two."""
    done = TrainingRun.objects.for_store(store).filter(
        state=TrainingRun.State.DONE, finished_at__isnull=False
    )
    runs = list(done.order_by("-started_at")[:30])[::-1]
    if len(runs) < 2:
        return None
    labels = [date_format(timezone.localtime(run.started_at), "j M, H:i") for run in runs]
    return LineChart(
        "How long a training takes",
        labels,
        [Series("Seconds", [seconds_of(run) for run in runs])],
        unit="s",
        decimals=1,
    )


def seconds_of(run: TrainingRun) -> float:
    """How long the run took, or has taken so far."""
    return ((run.finished_at or timezone.now()) - run.started_at).total_seconds()


@admin.register(TrainingRun)
class TrainingRunAdmin(ReadOnlyAdmin):
    view_ability = Ability.READ_MODELS
    empty_title = "Nothing was trained yet"
    empty_text = "Press “Train now”, or wait for the schedule. Until then shelves show popular products."
    list_display = ("started", "status", "length", "now_at", "result", "trigger", "problem")
    list_filter = (
        ("state", ChoicesDropdownFilter),
        value_filter("trigger", "trigger", [(name, name) for name in ("schedule", "admin", "command")]),
        ("started_at", MomentRangeFilter),
    )
    search_fields = ("error__icontains",)
    search_help_text = "Words of the error"
    ordering = ("-started_at",)
    list_select_related = ("version",)
    change_form_template = "admin/recommendations/training_run.html"
    change_list_template = "admin/recommendations/training_runs.html"
    export_columns = {
        "started_at": "started_at",
        "finished_at": "finished_at",
        "state": "state",
        "trigger": "trigger",
        "version": "version__number",
        "error": "error",
    }

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("train-now/", wrap(self.train_view), name="recommendations_trainingrun_train_now"),
            path("schedule/", wrap(self.schedule_view), name="recommendations_trainingrun_schedule"),
            path(
                "<path:object_id>/acknowledge/",
                wrap(self.acknowledge_view),
                name="recommendations_trainingrun_acknowledge",
            ),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # Whoever looks at the runs must not see one as running whose process is gone.
        find_killed_runs()
        store = require(request, Ability.READ_MODELS)
        outlook = training_outlook(store)
        context = {
            "outlook": outlook,
            "schedule_form": ScheduleForm(
                initial={
                    "every_hours": outlook.every_hours or 24,
                    "is_enabled": outlook.is_enabled,
                    "learned_reranker": outlook.learned_reranker,
                }
            ),
            "may_manage": may(request, Ability.MANAGE_MODELS),
            "weekly_chart": _duration_chart(store),
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)

    def train_view(self, request: HttpRequest) -> HttpResponse:
        """POST: a worker trains as soon as one is free. Nothing goes live that the publish gate refuses."""
        store = require(request, Ability.MANAGE_MODELS)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        training_request(store=store, user=staff_user(request))
        messages.success(
            request,
            "A worker trains as soon as one is free. The run appears here; the live version serves until then.",
        )
        return HttpResponseRedirect(_list_url())

    def schedule_view(self, request: HttpRequest) -> HttpResponse:
        store = require(request, Ability.MANAGE_MODELS)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        form = ScheduleForm(request.POST)
        if not form.is_valid():
            messages.error(
                request, " ".join(str(error) for errors in form.errors.values() for error in errors)
            )
            return HttpResponseRedirect(_list_url())
        with transaction.atomic():
            schedule_update(store=store, **form.cleaned_data)
            auditing.record(
                store=store,
                actor=staff_user(request),
                action="training_schedule.changed",
                target=f"store:{store.slug}",
                details=dict(form.cleaned_data),
            )
        hours = form.cleaned_data["every_hours"]
        messages.success(
            request,
            f"Trained every {hours} hours."
            if form.cleaned_data["is_enabled"]
            else "Training by schedule is off.",
        )
        return HttpResponseRedirect(_list_url())

    def acknowledge_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        run = self.object_for(request, object_id, Ability.MANAGE_MODELS)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        run_acknowledge(run=run, user=staff_user(request))
        messages.success(request, "The warning is taken away. The run stays in the list.")
        return HttpResponseRedirect(_list_url())

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        run = self.object_for(request, object_id or "", Ability.READ_MODELS)
        steps = [step for step in run.steps if isinstance(step, dict)]
        bars = [
            Bar(str(step.get("name", "")), float(step.get("seconds", 0)), duration(step.get("seconds")))
            for step in steps
        ]
        context = {
            "run": run,
            "length": duration(seconds_of(run)),
            "chart": BarChart("Where the time went", bars, "Step", "Time") if bars else None,
            "may_manage": may(request, Ability.MANAGE_MODELS),
            "acknowledge_url": reverse("admin:recommendations_trainingrun_acknowledge", args=[run.pk]),
            **(extra_context or {}),
        }
        return super().changeform_view(request, object_id, form_url, context)

    @display(description="Started", ordering="started_at")
    def started(self, run: TrainingRun) -> str:
        return when(run.started_at)

    @display(
        description="State",
        ordering="state",
        label={"Done": "success", "Failed": "danger", "Running": "info"},
    )
    def status(self, run: TrainingRun) -> str:
        return run.get_state_display()

    @display(description="Took")
    def length(self, run: TrainingRun) -> str:
        return duration(seconds_of(run))

    @display(description="Step")
    def now_at(self, run: TrainingRun) -> str:
        return run.step or "–"

    @display(description="Gave")
    def result(self, run: TrainingRun) -> str:
        return str(run.version) if run.version else "–"

    @display(description="Error")
    def problem(self, run: TrainingRun) -> str:
        first = run.error.strip().splitlines()[-1] if run.error.strip() else ""
        return f"{first[:80]}…" if len(first) > 80 else first or "–"
