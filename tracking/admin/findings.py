"""The review list: what checks found odd about the data, where a person resolves it or says that it is no fault."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from accounts import auditing
from accounts.admin.confirmation import Confirmation, OptionalReasonForm, confirm_page
from accounts.admin.filters import MomentRangeFilter
from accounts.admin.scoped import ReadOnlyAdmin
from accounts.current_store import may, require_store, staff_user
from accounts.display.columns import moment_text, when
from accounts.permissions import Ability
from tracking.admin.evidence import MOST_SHOWN, exhibits
from tracking.admin.volume_history import events_link, volume_chart
from tracking.models import Finding, FindingKind
from tracking.quality.remedies import WHAT_TO_DO
from tracking.services.findings import CannotClose, finding_close, finding_reopen, findings_close

State = Finding.State


def _page_of(finding: Finding) -> str:
    return reverse("admin:tracking_finding_change", args=[finding.pk])


@admin.register(Finding)
class FindingAdmin(ReadOnlyAdmin):
    view_ability = Ability.READ_DATA_QUALITY
    exports_people = True
    intro = "What the checks of the data found odd, newest first. What is no longer true resolves itself; the rest waits for you."
    empty_title = "Nothing to review"
    empty_text = (
        "The checks run every hour: event volumes, prices, clocks, payments, duplicate customers, the model. What they find odd "
        "appears here. To run them now: `manage.py detect_anomalies`."
    )
    list_display = ("what", "kind_label", "how_bad", "first_seen", "last_seen", "status")
    list_display_links = ("what",)
    list_filter = (
        ("state", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("severity", ChoicesDropdownFilter),
        ("last_seen_at", MomentRangeFilter),
    )
    search_fields = ("summary__icontains", "key__icontains")
    search_help_text = "Part of the sentence, or an id"
    ordering = ("-last_seen_at", "-pk")
    list_select_related = ()
    change_form_template = "admin/tracking/finding.html"
    actions = ("resolve_chosen", "dismiss_chosen")
    export_columns = {
        "first_seen_at": "first_seen_at",
        "last_seen_at": "last_seen_at",
        "kind": "kind",
        "key": "key",
        "severity": "severity",
        "summary": "summary",
        "details": "details",
        "evidence": "evidence",
        "state": "state",
        "resolved_at": "resolved_at",
        "note": "note",
    }

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<path:object_id>/close/", wrap(self.close_view), name="tracking_finding_close"),
            path("<path:object_id>/reopen/", wrap(self.reopen_view), name="tracking_finding_reopen"),
            *super().get_urls(),
        ]

    def has_mend_permission(self, request: HttpRequest) -> bool:
        return may(request, Ability.MEND_DATA)

    def close_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """POST `state` (resolved, dismissed) and `note`."""
        finding = self.object_for(request, object_id, Ability.MEND_DATA)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            finding_close(
                finding=finding,
                actor=staff_user(request),
                state=request.POST.get("state", ""),
                note=request.POST.get("note", "").strip(),
            )
        except CannotClose as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(_page_of(finding))
        messages.success(request, f"The finding is {finding.get_state_display().lower()}.")
        return HttpResponseRedirect(reverse("admin:tracking_finding_changelist") + "?state__exact=open")

    def reopen_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        finding = self.object_for(request, object_id, Ability.MEND_DATA)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            finding_reopen(finding=finding, actor=staff_user(request))
        except CannotClose as error:
            messages.error(request, str(error))
        else:
            messages.success(request, "The finding is open again.")
        return HttpResponseRedirect(_page_of(finding))

    @admin.action(description="Resolve: it is mended", permissions=["mend"])
    def resolve_chosen(self, request: HttpRequest, queryset: QuerySet[Finding]) -> HttpResponse | None:
        return self._close_chosen(request, queryset, State.RESOLVED)

    @admin.action(description="Dismiss: it is no fault", permissions=["mend"])
    def dismiss_chosen(self, request: HttpRequest, queryset: QuerySet[Finding]) -> HttpResponse | None:
        return self._close_chosen(request, queryset, State.DISMISSED)

    def _close_chosen(
        self, request: HttpRequest, queryset: QuerySet[Finding], state: Finding.State
    ) -> HttpResponse | None:
        """Asks for a note first: one for all of them."""
        chosen = queryset.filter(state=State.OPEN).order_by()
        form = OptionalReasonForm(request.POST if "confirmed" in request.POST else None)
        if not form.is_valid():
            return self._ask_for_note(request, chosen.count(), state, form)
        count = findings_close(
            store=require_store(request),
            findings=chosen.only("pk"),
            actor=staff_user(request),
            state=state,
            note=form.cleaned_data["reason"],
        )
        self.message_user(request, f"{count:,} findings are {state.label.lower()}.")
        return None

    def _ask_for_note(
        self, request: HttpRequest, count: int, state: Finding.State, form: OptionalReasonForm
    ) -> HttpResponse:
        verb = "Resolve" if state == State.RESOLVED else "Dismiss"
        again = (
            "One that is seen again afterwards opens again."
            if state == State.RESOLVED
            else "They stay dismissed when the checks find them again, unless what they tell has changed."
        )
        confirmation = Confirmation(
            title=f"{verb} {count:,} findings?",
            consequences=["They leave the list of what is open, with your name and note.", again],
            undo="Yes, each on its page.",
            button=f"{verb} {count:,} findings",
            back_url=reverse("admin:tracking_finding_changelist") + "?state__exact=open",
        )
        name = "resolve_chosen" if state == State.RESOLVED else "dismiss_chosen"
        hidden = [("action", name), ("confirmed", "1")]
        hidden += [("select_across", request.POST.get("select_across", "0"))]
        hidden += [(ACTION_CHECKBOX_NAME, value) for value in request.POST.getlist(ACTION_CHECKBOX_NAME)]
        return confirm_page(request, self, confirmation, form, hidden=hidden)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        finding = self.get_object(request, object_id or "")
        if finding is not None and any(
            reference.startswith(("customer:", "visitor:")) for reference in finding.evidence
        ):
            self._record_reading(request, finding)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _record_reading(self, request: HttpRequest, finding: Finding) -> None:
        with transaction.atomic():
            auditing.record(
                store=finding.store,
                actor=staff_user(request),
                action="finding.read",
                target=f"finding:{finding.pk}",
            )

    def facts(self, request: HttpRequest, obj: Finding) -> list[tuple[str, Any]]:
        closed = []
        if obj.state != State.OPEN:
            closed = [
                (obj.get_state_display(), when(obj.resolved_at)),
                ("By", obj.resolved_by or "itself: it is no longer true"),
                ("Note", obj.note or "–"),
            ]
        return [
            ("Kind", obj.get_kind_display()),
            ("Severity", obj.get_severity_display()),
            ("First seen", when(obj.first_seen_at)),
            ("Last seen", when(obj.last_seen_at)),
            *closed,
        ]

    def details(self, request: HttpRequest, obj: Finding) -> dict[str, Any]:
        return {
            "finding": obj,
            "what_to_do": WHAT_TO_DO.get(obj.kind, ""),
            "exhibits": exhibits(request, obj.store, obj.evidence),
            "exhibits_left": max(0, len(obj.evidence) - MOST_SHOWN),
            "figures": [(_label(name), _shown(value)) for name, value in obj.details.items()],
            "chart": volume_chart(obj),
            "events_url": events_link(obj) if may(request, Ability.READ_SHOPPERS) else "",
            "may_mend": may(request, Ability.MEND_DATA),
            "compare_url": _compare_url(obj),
            "training_url": _training_url(request, obj),
        }

    @display(description="What", ordering="summary")
    def what(self, finding: Finding) -> str:
        return finding.summary

    @display(description="Kind", ordering="kind")
    def kind_label(self, finding: Finding) -> str:
        return finding.get_kind_display()

    @display(
        description="Severity",
        ordering="severity",
        label={"High": "danger", "Medium": "warning", "Low": "info"},
    )
    def how_bad(self, finding: Finding) -> str:
        return finding.get_severity_display()

    @display(description="Since", ordering="first_seen_at")
    def first_seen(self, finding: Finding) -> str:
        return when(finding.first_seen_at)

    @display(description="Last seen", ordering="last_seen_at")
    def last_seen(self, finding: Finding) -> str:
        return when(finding.last_seen_at)

    @display(
        description="State",
        ordering="state",
        label={"Open": "warning", "Resolved": "success", "Dismissed": "info"},
    )
    def status(self, finding: Finding) -> str:
        return finding.get_state_display()


def _compare_url(finding: Finding) -> str:
    """The review of two customers side by side, where they merge or stay two."""
    if finding.kind != FindingKind.DUPLICATE_CUSTOMERS:
        return ""
    pair = [
        reference.partition(":")[2] for reference in finding.evidence if reference.startswith("customer:")
    ]
    return reverse("admin:accounts_customermerge_review", args=pair) if len(pair) == 2 else ""


def _training_url(request: HttpRequest, finding: Finding) -> str:
    """Where a model that drifts is trained anew."""
    if finding.kind != FindingKind.MODEL_DRIFT or not may(request, Ability.MANAGE_MODELS):
        return ""
    return reverse("admin:recommendations_trainingrun_changelist")


_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$")


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _shown(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case str() if _MOMENT.match(value):
            return moment_text(datetime.fromisoformat(value))
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.4g}"
        case list() | tuple():
            return ", ".join(_shown(item) for item in value) or "–"
        case dict():
            return ", ".join(f"{_label(str(name))}: {_shown(item)}" for name, item in value.items()) or "–"
        case None:
            return "–"
    return str(value)
