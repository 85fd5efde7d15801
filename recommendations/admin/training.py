"""Training runs: what runs, what failed and why, and when the next one comes."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import display

from accounts.admin.filters import value_filter
from accounts.admin.scoped import ReadOnlyAdmin
from accounts.current_store import may
from accounts.display.charts import Bar, BarChart
from accounts.display.columns import duration, when
from accounts.permissions import Ability
from recommendations.models import TrainingRun
from recommendations.training.watch import find_killed_runs


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
        ("started_at", RangeDateTimeFilter),
    )
    search_fields = ("error__icontains",)
    search_help_text = "Words of the error"
    ordering = ("-started_at",)
    list_select_related = ("version",)
    change_form_template = "admin/recommendations/training_run.html"
    export_columns = {
        "started_at": "started_at",
        "finished_at": "finished_at",
        "state": "state",
        "trigger": "trigger",
        "version": "version__number",
        "error": "error",
    }

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # Whoever looks at the runs must not see one as running whose process is gone.
        find_killed_runs()
        return super().changelist_view(request, extra_context)

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
