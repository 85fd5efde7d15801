"""What was done to many quarantined events at once: how far it is, and what became of them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from accounts.admin.scoped import ReadOnlyAdmin
from accounts.current_store import may, staff_user
from accounts.display.columns import DASH, when
from accounts.permissions import Ability
from tracking.admin.mend_form import CHOICES
from tracking.models import QuarantineJob
from tracking.models.quarantine_job import OUTCOMES
from tracking.services.quarantine_jobs import PIECE_EVENTS, quarantine_job_run, quarantine_job_stop


@admin.register(QuarantineJob)
class QuarantineJobAdmin(ReadOnlyAdmin):
    view_ability = Ability.READ_DATA_QUALITY
    intro = "What was done to many events of the quarantine at once. One that stopped goes on where it was."
    empty_title = "Nothing was done to many events yet"
    empty_text = "Choose events in the quarantine, all that a filter finds if you like, and replay, mend or discard them together."
    empty_link = ("Quarantine", "admin:tracking_quarantinedevent_changelist")
    list_display = ("started", "what", "progress", "status", "who")
    list_display_links = ("what",)
    list_filter = (("deed", ChoicesDropdownFilter),)
    search_fields = ("reason__icontains",)
    search_help_text = "Part of the reason"
    ordering = ("-created_at",)
    list_select_related = ("actor",)
    change_form_template = "admin/tracking/quarantine_job.html"
    export_columns = {
        "started_at": "created_at",
        "finished_at": "finished_at",
        "deed": "deed",
        "total": "total",
        **{name: name for name in OUTCOMES},
    }

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<path:object_id>/go-on/", wrap(self.go_on_view), name="tracking_quarantinejob_go_on"),
            path("<path:object_id>/stop/", wrap(self.stop_view), name="tracking_quarantinejob_stop"),
            *super().get_urls(),
        ]

    def go_on_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """POST: do the next piece here and now."""
        job = self.object_for(request, object_id, Ability.MEND_DATA)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        quarantine_job_run(job=job)
        return HttpResponseRedirect(reverse("admin:tracking_quarantinejob_change", args=[job.pk]))

    def stop_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        job = self.object_for(request, object_id, Ability.MEND_DATA)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        left = quarantine_job_stop(job=job, actor=staff_user(request))
        messages.success(request, f"Stopped: {left:,} events stay in quarantine as they are.")
        return HttpResponseRedirect(reverse("admin:tracking_quarantinejob_change", args=[job.pk]))

    def facts(self, request: HttpRequest, obj: QuarantineJob) -> list[tuple[str, Any]]:
        facts = [
            ("Started", when(obj.created_at)),
            ("Finished", when(obj.finished_at)),
            ("By", obj.actor or DASH),
            ("Reason", obj.reason or DASH),
        ]
        if obj.mend:
            names = {str(operation): label for operation, label in CHOICES}
            facts.append(("Change", names.get(obj.mend.get("operation", ""), DASH)))
            if obj.mend.get("path"):
                facts += [("Field", obj.mend["path"]), ("Value", str(obj.mend.get("value") or DASH))]
        return facts

    def details(self, request: HttpRequest, obj: QuarantineJob) -> dict[str, Any]:
        return {
            "job": obj,
            "outcomes": [(getattr(obj, name), text) for name, text in OUTCOMES.items() if getattr(obj, name)],
            "left": max(0, obj.total - obj.done),
            "piece": min(PIECE_EVENTS, max(0, obj.total - obj.done)),
            "may_mend": may(request, Ability.MEND_DATA),
        }

    @display(description="Started", ordering="created_at")
    def started(self, job: QuarantineJob) -> str:
        return when(job.created_at)

    @display(description="What", ordering="deed")
    def what(self, job: QuarantineJob) -> str:
        return str(job)

    @display(description="Done", ordering="total")
    def progress(self, job: QuarantineJob) -> str:
        return f"{job.done:,} of {job.total:,}"

    @display(description="State", label={"Over": "success", "Under way": "warning"})
    def status(self, job: QuarantineJob) -> str:
        return "Over" if job.finished_at else "Under way"

    @display(description="By")
    def who(self, job: QuarantineJob) -> str:
        return str(job.actor or DASH)
