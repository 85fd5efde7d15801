"""The queue of data-subject requests: what is due when, by which law, what is blocked and why."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, RangeDateTimeFilter
from unfold.decorators import display

from accounts.admin.scoped import ReadOnlyAdmin
from accounts.current_store import may
from accounts.display.columns import DASH, age, when
from accounts.permissions import Ability
from consent.models import DataSubjectRequest, RequestPart

State = DataSubjectRequest.State

# Seven days are what a person needs to find out why a part fails, and to mend it.
DUE_SOON = timedelta(days=7)
CLOSED = (State.COMPLETE, State.DENIED, State.DUPLICATE, State.CANCELLED)


class DueFilter(DropdownFilter):
    title = "deadline"
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("overdue", "Overdue"), ("soon", "Due within 7 days"), ("closed", "Closed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now = timezone.now()
        is_open = ~Q(state__in=CLOSED)
        match self.value():
            case "open":
                return queryset.filter(is_open)
            case "overdue":
                return queryset.filter(is_open, due_at__lt=now)
            case "soon":
                return queryset.filter(is_open, due_at__gte=now, due_at__lt=now + DUE_SOON)
            case "closed":
                return queryset.exclude(is_open)
        return queryset


def deadline(request: DataSubjectRequest) -> tuple[str, str]:
    """What to say about the deadline, and how loud: `bad`, `warn`, or empty."""
    if request.state in CLOSED:
        return "Closed", ""
    left = request.due_at - timezone.now()
    if left < timedelta(0):
        return f"Overdue since {age(request.due_at).removesuffix(' ago')}", "bad"
    return f"Due {age(request.due_at)}", "warn" if left < DUE_SOON else ""


@admin.register(DataSubjectRequest)
class DataSubjectRequestAdmin(ReadOnlyAdmin):
    view_ability = Ability.READ_PRIVACY
    intro = "What people asked about their data, the most urgent first. The law gives one month (GDPR) or 45 days (CCPA)."
    empty_title = "No requests"
    empty_text = "When somebody asks for their data or for its erasure in the privacy centre, it appears here with its deadline."
    list_display = ("subject", "kind_label", "law_label", "state_label", "due", "progress", "received")
    list_filter = (
        DueFilter,
        ("kind", ChoicesDropdownFilter),
        ("state", ChoicesDropdownFilter),
        ("law", ChoicesDropdownFilter),
        ("received_at", RangeDateTimeFilter),
    )
    search_fields = ("customer__external_id__istartswith", "public_id__startswith")
    search_help_text = "Customer id, or the beginning of the request's number"
    list_select_related = ("customer", "decided_by")
    change_form_template = "admin/consent/request.html"
    export_columns = {
        "request": "public_id",
        "kind": "kind",
        "law": "law",
        "state": "state",
        "received_at": "received_at",
        "due_at": "due_at",
        "decided_at": "decided_at",
        "completed_at": "completed_at",
        "reason": "decision_reason",
    }

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        is_closed = Case(When(state__in=CLOSED, then=Value(1)), default=Value(0), output_field=IntegerField())
        return [is_closed, "due_at", "pk"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        done = Count("parts", filter=Q(parts__state=RequestPart.State.DONE))
        failed = Count("parts", filter=Q(parts__state=RequestPart.State.FAILED))
        return (
            super()
            .get_queryset(request)
            .defer("archive")
            .annotate(part_count=Count("parts"), done_count=done, failed_count=failed)
        )

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        asked = self.object_for(request, object_id or "", Ability.READ_PRIVACY)
        text, tone = deadline(asked)
        context = {
            "asked": asked,
            "deadline": text,
            "tone": tone,
            "parts": asked.parts.order_by("processor"),
            "may_decide": may(request, Ability.DECIDE_REQUESTS),
            **(extra_context or {}),
        }
        return super().changeform_view(request, object_id, form_url, context)

    @display(description="Request", ordering="received_at")
    def subject(self, asked: DataSubjectRequest) -> str:
        return f"{str(asked.public_id)[:8]} · {asked.customer or 'a visitor'}"

    @display(description="Asks for", ordering="kind")
    def kind_label(self, asked: DataSubjectRequest) -> str:
        return asked.get_kind_display()

    @display(description="Law", ordering="law")
    def law_label(self, asked: DataSubjectRequest) -> str:
        return asked.get_law_display()

    @display(
        description="State",
        ordering="state",
        label={
            "Complete": "success",
            "Failed": "danger",
            "Denied": "danger",
            "Waiting for a decision": "warning",
            "Needs an answer": "warning",
            "Being carried out": "info",
            "Approved": "info",
        },
    )
    def state_label(self, asked: DataSubjectRequest) -> str:
        return asked.get_state_display()

    @display(description="Deadline", ordering="due_at")
    def due(self, asked: DataSubjectRequest) -> str:
        text, tone = deadline(asked)
        return format_html('<span class="pill {}">{}</span>', f"pill--{tone}" if tone else "", text)

    @display(description="Parts done")
    def progress(self, asked: Any) -> str:
        if not asked.part_count:
            return DASH
        failed = f", {asked.failed_count} failed" if asked.failed_count else ""
        return f"{asked.done_count} of {asked.part_count}{failed}"

    @display(description="Received", ordering="received_at")
    def received(self, asked: DataSubjectRequest) -> str:
        return when(asked.received_at)
