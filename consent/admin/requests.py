"""The queue of data-subject requests: what is due when, by which law, what is blocked and why."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from accounts import auditing
from accounts.admin.confirmation import Confirmation, OptionalReasonForm, ReasonForm, confirm_page
from accounts.admin.filters import MomentRangeFilter
from accounts.admin.scoped import ReadOnlyAdmin, ScopedAdmin
from accounts.current_store import may, require, require_store, staff_user
from accounts.display.columns import DASH, age, when
from accounts.models import Customer, Store
from accounts.permissions import Ability
from accounts.selectors.identity import subject_of
from consent.admin import request_papers
from consent.admin.request_deeds import DEEDS, deeds_for
from consent.deadlines import confirm_by
from consent.models import OPT_OUT_KINDS, AuditEntry, DataSubjectRequest, RequestPart, RequestPolicy
from consent.request_states import FINAL
from consent.services.agent_moves import has_permission
from consent.services.request_moves import policy_of
from consent.services.requests import request_open

State = DataSubjectRequest.State

CLOSED = tuple(FINAL)


class DueFilter(DropdownFilter):
    title = "deadline"
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("open", "Open"),
            ("overdue", "Overdue"),
            ("soon", "Due soon"),
            ("unconfirmed", "Receipt not confirmed"),
            ("review", "Waiting for a human's review"),
            ("closed", "Closed"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now = timezone.now()
        is_open = ~Q(state__in=CLOSED)
        match self.value():
            case "open":
                return queryset.filter(is_open)
            case "overdue":
                return queryset.filter(is_open, due_at__lt=now)
            case "soon":
                soon = now + due_soon(require_store(request))
                return queryset.filter(is_open, due_at__gte=now, due_at__lt=soon)
            case "unconfirmed":
                return queryset.filter(is_open, acknowledged_at=None).exclude(state=State.IDENTITY_UNVERIFIED)
            case "review":
                return queryset.filter(review_asked_at__isnull=False, reviewed_at=None)
            case "closed":
                return queryset.exclude(is_open)
        return queryset


def due_soon(store: Store) -> timedelta:
    """From how long before the deadline on the store wants to be warned."""
    return timedelta(days=policy_of(store).due_soon_days)


def deadline(request: DataSubjectRequest, soon: timedelta) -> tuple[str, str]:
    """What to say about the deadline, and how loud: `bad`, `warn`, or empty."""
    if request.state in CLOSED:
        return "Closed", ""
    left = request.due_at - timezone.now()
    if left < timedelta(0):
        return f"Overdue since {age(request.due_at).removesuffix(' ago')}", "bad"
    return f"Due {age(request.due_at)}", "warn" if left < soon else ""


class NewRequestForm(forms.Form):
    customer = forms.CharField(
        label="Customer id",
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text="Make sure that it is they who ask.",
    )
    kind = forms.ChoiceField(
        label="They ask for",
        choices=[
            choice
            for choice in DataSubjectRequest.Kind.choices
            if choice[0] != DataSubjectRequest.Kind.RECTIFICATION
        ],
        widget=UnfoldAdminSelectWidget,
        help_text="Corrections are made by the customer in their account, or by the shop's own server.",
    )
    message = forms.CharField(
        label="What they said", required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3})
    )


@admin.register(DataSubjectRequest)
class DataSubjectRequestAdmin(ReadOnlyAdmin):
    view_ability = Ability.READ_PRIVACY
    add_ability = Ability.DECIDE_REQUESTS
    intro = "What people asked about their data, the most urgent first. The law gives one month (GDPR) or 45 days (CCPA)."
    empty_title = "No requests"
    empty_text = "When somebody asks for their data or for its erasure in the privacy centre, it appears here with its deadline."
    list_display = ("subject", "kind_label", "law_label", "state_label", "due", "progress", "received")
    list_filter = (
        DueFilter,
        ("kind", ChoicesDropdownFilter),
        ("state", ChoicesDropdownFilter),
        ("law", ChoicesDropdownFilter),
        ("received_at", MomentRangeFilter),
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
            .defer("archive", "sealed")
            .annotate(
                part_count=Count("parts"),
                done_count=done,
                failed_count=failed,
                due_soon_days=Value(policy_of(require_store(request)).due_soon_days),
            )
        )

    def get_urls(self) -> list[URLPattern]:
        act = self.admin_site.admin_view(self.act_view)
        return [
            path("<path:object_id>/do/<slug:verb>/", act, name="consent_datasubjectrequest_do"),
            path(
                "<path:object_id>/folder/<slug:what>/",
                self.admin_site.admin_view(self.folder_view),
                name="consent_datasubjectrequest_folder",
            ),
            path(
                "<path:object_id>/papers/<uuid:public_id>/",
                self.admin_site.admin_view(self.paper_view),
                name="consent_datasubjectrequest_paper",
            ),
            *super().get_urls(),
        ]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A request that came by letter or telephone, of a customer whom somebody has made sure of."""
        store = require(request, Ability.DECIDE_REQUESTS)
        form = NewRequestForm(request.POST or None)
        if form.is_valid():
            customer = (
                Customer.objects.for_store(store)
                .filter(external_id=form.cleaned_data["customer"].strip())
                .first()
            )
            if customer is None:
                form.add_error("customer", "There is no such customer in this store.")
            else:
                asked = request_open(
                    subject=subject_of(customer),
                    kind=form.cleaned_data["kind"],
                    source=DataSubjectRequest.Source.STAFF,
                    message=form.cleaned_data["message"],
                    actor=staff_user(request),
                )
                messages.success(
                    request,
                    f"{asked} is in the queue, due {date_format(timezone.localtime(asked.due_at), 'j M Y')}.",
                )
                return HttpResponseRedirect(
                    reverse("admin:consent_datasubjectrequest_change", args=[asked.pk])
                )
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Enter a request",
            "form": form,
        }
        return TemplateResponse(request, "admin/consent/request_add.html", context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """What the person wrote is opened for those who decide, and that is recorded."""
        asked = self.object_for(request, object_id or "", Ability.READ_PRIVACY)
        may_decide = may(request, Ability.DECIDE_REQUESTS)
        letter: dict[str, Any] = {}
        if may_decide and asked.sealed is not None:
            letter = {"message": asked.message, "corrections": asked.corrections, "contact": asked.contact}
            with transaction.atomic():
                auditing.record(
                    store=asked.store,
                    actor=staff_user(request),
                    action="request.read",
                    target=f"request:{asked.public_id}",
                )
        text, tone = deadline(asked, due_soon(asked.store))
        context = {
            "asked": asked,
            "deadline": text,
            "tone": tone,
            "parts": asked.parts.order_by("stage", "processor"),
            "agent": asked.agent if letter else {},
            "is_agents": asked.source == DataSubjectRequest.Source.AGENT,
            "has_permission": has_permission(asked),
            "confirm_by": confirm_by(asked.received_at, asked.store.time_zone)
            if asked.law == DataSubjectRequest.Law.CCPA
            else None,
            "letter": letter,
            "folder": request_papers.folder(asked) if letter else [],
            "note_form": request_papers.NoteForm(),
            "file_form": request_papers.FileForm(),
            "is_sealed": asked.sealed is not None,
            "deeds": deeds_for(asked) if may_decide else [],
            "may_decide": may_decide,
            "receipt": json.dumps(asked.receipt, indent=2, ensure_ascii=False, default=str)
            if asked.receipt
            else "",
            "history": AuditEntry.objects.for_store(asked.store_id)
            .filter(payload__target=f"request:{asked.public_id}")
            .exclude(action="request.read")
            .select_related("payload")
            .order_by("sequence"),
            **(extra_context or {}),
        }
        return super().changeform_view(request, object_id, form_url, context)

    def folder_view(self, request: HttpRequest, object_id: str, what: str) -> HttpResponse:
        asked = self.object_for(request, object_id, Ability.DECIDE_REQUESTS)
        return request_papers.add_paper(request, asked, what)

    def paper_view(self, request: HttpRequest, object_id: str, public_id: UUID) -> HttpResponse:
        asked = self.object_for(request, object_id, Ability.DECIDE_REQUESTS)
        return request_papers.open_paper(request, asked, str(public_id))

    def act_view(self, request: HttpRequest, object_id: str, verb: str) -> HttpResponse:
        """Confirm a deed of `request_deeds`, then do it."""
        asked = self.object_for(request, object_id, Ability.DECIDE_REQUESTS)
        back = reverse("admin:consent_datasubjectrequest_change", args=[asked.pk])
        deed = DEEDS.get(verb)
        if deed is None or deed not in deeds_for(asked):
            messages.error(
                request, f"That is not possible for a request that is “{asked.get_state_display().lower()}”."
            )
            return HttpResponseRedirect(back)
        form = (ReasonForm if deed.needs_reason else OptionalReasonForm)(request.POST or None)
        if deed.reason_label:
            form.fields["reason"].label = deed.reason_label
            form.fields["reason"].help_text = deed.reason_help
        if request.method == "POST" and form.is_valid():
            try:
                deed.do(asked, staff_user(request), form.cleaned_data["reason"])
            except ValueError as error:
                messages.error(request, str(error))
            else:
                messages.success(request, deed.done)
            return HttpResponseRedirect(back)
        confirmation = Confirmation(
            title=f"{deed.label}: {asked}?",
            consequences=deed.consequences(asked),
            undo=deed.undo,
            button=deed.label,
            back_url=back,
            is_dangerous=deed.is_dangerous,
        )
        return confirm_page(request, self, confirmation, form)

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
    def due(self, asked: Any) -> str:
        text, tone = deadline(asked, timedelta(days=asked.due_soon_days))
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


@admin.register(RequestPolicy)
class RequestPolicyAdmin(ScopedAdmin):
    """One row a store."""

    view_ability = Ability.READ_PRIVACY
    change_ability = Ability.DECIDE_REQUESTS
    list_display = ("__str__",)
    fields = ("automatic_kinds", "archive_days", "due_soon_days")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Straight to the store's row, made with the defaults where there is none yet."""
        require(request, Ability.READ_PRIVACY)
        policy, _ = RequestPolicy.all_stores.get_or_create(store=require_store(request))
        return HttpResponseRedirect(reverse("admin:consent_requestpolicy_change", args=[policy.pk]))

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "automatic_kinds":
            return forms.MultipleChoiceField(
                label="Carried out without a decision",
                choices=[pair for pair in DataSubjectRequest.Kind.choices if pair[0] not in OPT_OUT_KINDS],
                required=False,
                widget=UnfoldAdminCheckboxSelectMultipleWidget,
                help_text="When asked by somebody who is logged in. Corrections always wait for a decision; on opt-outs nobody decides.",
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)
