"""What was not stored, and why: the quarantine, where events wait for a person, and the counts of what had no permission."""

from __future__ import annotations

import json
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter
from unfold.decorators import display

from accounts import auditing
from accounts.admin.confirmation import Confirmation, OptionalReasonForm, confirm_page
from accounts.admin.filters import InStoreFilter, MomentRangeFilter, value_filter
from accounts.admin.scoped import ReadOnlyAdmin
from accounts.current_store import may, require_store, staff_user
from accounts.display.columns import when
from accounts.permissions import Ability
from accounts.templatetags.etalage_admin import code_marks
from algorithms.small_cells import published
from tracking.admin.mend_form import MendForm
from tracking.debugging.mends import MENDS
from tracking.ingestion.drafts import Reason
from tracking.models import DiscardCount, QuarantinedEvent, QuarantineJob
from tracking.quality.mending import OBVIOUS_MENDS, Mend
from tracking.services.quarantine import CannotReplay, quarantine_discard, quarantine_replay
from tracking.services.quarantine_jobs import (
    MendPreview,
    quarantine_job_run,
    quarantine_job_start,
    quarantine_mend_preview,
)

Deed = QuarantineJob.Deed


def readable(raw: bytes) -> str:
    """The bytes as text: indented where they are JSON, else as they are, with what is no UTF-8 escaped."""
    text = raw.decode("utf-8", "backslashreplace")
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


OUTCOMES: Final = {
    "stored": "It is stored in the log.",
    "duplicate": "An event with its message id is in the log already: nothing to store.",
    "not_permitted": "Its shopper has not permitted it: it was counted, and not stored.",
}


def _reason_label(reason: str) -> str:
    return reason.replace("_", " ").capitalize()


def _page_of(event: QuarantinedEvent) -> str:
    return reverse("admin:tracking_quarantinedevent_change", args=[event.pk])


@admin.register(QuarantinedEvent)
class QuarantinedEventAdmin(ReadOnlyAdmin):
    view_ability = Ability.READ_DATA_QUALITY
    intro = "Events that were taken but could not be stored, byte for byte. Nothing of them is lost: mend and replay them, or discard them."
    empty_title = "Nothing in quarantine"
    empty_text = "Every event that came could be read. Faulty ones would wait here with their reason."
    list_display = ("received", "event", "reason_label", "fault", "status", "source")
    list_display_links = ("event",)
    list_filter = (
        ("state", ChoicesDropdownFilter),
        value_filter(
            "reason",
            "reason",
            [(reason.value, reason.value.replace("_", " ").capitalize()) for reason in Reason],
        ),
        value_filter("event_name", "event"),
        ("api_key", InStoreFilter),
        ("received_at", MomentRangeFilter),
    )
    search_fields = ("message_id__exact", "event_name__icontains", "detail__icontains")
    search_help_text = "Message id, event or part of the fault"
    ordering = ("-received_at",)
    list_select_related = ("api_key",)
    change_form_template = "admin/tracking/quarantined.html"
    actions = ("replay_chosen", "mend_chosen", "discard_chosen")
    export_columns = {
        "received_at": "received_at",
        "message_id": "message_id",
        "event": "event_name",
        "reason": "reason",
        "detail": "detail",
        "state": "state",
        "key": "api_key__name",
    }

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<path:object_id>/replay/", wrap(self.replay_view), name="tracking_quarantinedevent_replay"),
            path(
                "<path:object_id>/discard/", wrap(self.discard_view), name="tracking_quarantinedevent_discard"
            ),
            *super().get_urls(),
        ]

    def has_mend_permission(self, request: HttpRequest) -> bool:
        return may(request, Ability.MEND_DATA)

    def replay_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """POST `raw`: the bytes as mended; what is not changed is sent byte for byte as it came."""
        event = self.object_for(request, object_id, Ability.MEND_DATA)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        mended = request.POST.get("raw", "").replace("\r\n", "\n")
        is_changed = mended.strip() != readable(bytes(event.raw)).strip()
        try:
            result = quarantine_replay(
                event=event, actor=staff_user(request), raw=mended.encode() if is_changed else None
            )
        except CannotReplay as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(_page_of(event))
        if result.outcome == "faulty":
            messages.warning(request, f"It is still faulty: {result.detail}")
            return HttpResponseRedirect(_page_of(event))
        messages.success(request, OUTCOMES[result.outcome])
        return HttpResponseRedirect(
            reverse("admin:tracking_quarantinedevent_changelist") + "?state__exact=open"
        )

    def discard_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        event = self.object_for(request, object_id, Ability.MEND_DATA)
        form = OptionalReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                quarantine_discard(event=event, actor=staff_user(request), reason=form.cleaned_data["reason"])
            except CannotReplay as error:
                messages.error(request, str(error))
            else:
                messages.success(request, "The event is discarded.")
            return HttpResponseRedirect(
                reverse("admin:tracking_quarantinedevent_changelist") + "?state__exact=open"
            )
        confirmation = Confirmation(
            title="Discard this event?",
            consequences=[
                "It is never stored in the log.",
                "Its bytes stay here, marked as discarded, until retention deletes them.",
            ],
            undo="No. Ask the sender to send it again.",
            button="Discard",
            back_url=_page_of(event),
            is_dangerous=True,
        )
        return confirm_page(request, self, confirmation, form)

    @admin.action(description="Replay: send them through validation and consent again", permissions=["mend"])
    def replay_chosen(self, request: HttpRequest, queryset: QuerySet[QuarantinedEvent]) -> HttpResponse:
        return self._start(request, queryset, Deed.REPLAY)

    @admin.action(description="Mend and replay…", permissions=["mend"])
    def mend_chosen(self, request: HttpRequest, queryset: QuerySet[QuarantinedEvent]) -> HttpResponse:
        """One change for all of them: written, looked at on a few, then done."""
        form = MendForm(request.POST if "operation" in request.POST else None)
        mend = form.mend() if form.is_bound and form.is_valid() else None
        if mend is not None and "confirmed" in request.POST:
            return self._start(request, queryset, Deed.MEND, mend=mend)
        chosen = queryset.filter(state=QuarantinedEvent.State.OPEN)
        reasons = list(chosen.order_by("reason").values_list("reason", flat=True).distinct())
        preview = (
            quarantine_mend_preview(store=require_store(request), chosen=chosen, mend=mend) if mend else None
        )
        context = {
            **self.admin_site.each_context(request),
            "title": "Mend and replay",
            "opts": self.opts,
            "form": form,
            "count": chosen.count(),
            "obvious": [(_reason_label(reason), OBVIOUS_MENDS.get(reason, "")) for reason in reasons],
            "preview": preview,
            "trials": [
                (trial, readable(bytes(trial.event.raw)), readable(trial.after))
                for trial in (preview.trials if preview else ())
            ],
            "hidden": self._choice(request, "mend_chosen"),
            "back_url": reverse("admin:tracking_quarantinedevent_changelist"),
        }
        if preview is not None:
            self._record_preview(request, preview)
        return TemplateResponse(request, "admin/tracking/mend.html", context)

    @admin.action(description="Discard (cannot be undone)", permissions=["mend"])
    def discard_chosen(self, request: HttpRequest, queryset: QuerySet[QuarantinedEvent]) -> HttpResponse:
        """The list's own confirmation: how many, and that there is no way back."""
        if "confirmed" in request.POST:
            return self._start(request, queryset, Deed.DISCARD, reason=request.POST.get("reason", ""))
        count = queryset.filter(state=QuarantinedEvent.State.OPEN).count()
        confirmation = Confirmation(
            title=f"Discard {count:,} events?",
            consequences=[
                "They are never stored in the log.",
                "Their bytes stay, marked as discarded, until retention deletes them.",
            ],
            undo="No. Ask the sender to send them again.",
            button=f"Discard {count:,} events",
            back_url=reverse("admin:tracking_quarantinedevent_changelist"),
            is_dangerous=True,
        )
        return confirm_page(
            request,
            self,
            confirmation,
            OptionalReasonForm(),
            hidden=[*self._choice(request, "discard_chosen"), ("confirmed", "1")],
        )

    @staticmethod
    def _choice(request: HttpRequest, action: str) -> list[tuple[str, str]]:
        """What was chosen, for the next page: the rows, or everything that the filter of the address finds."""
        rows = request.POST.getlist(ACTION_CHECKBOX_NAME)
        return [
            ("action", action),
            ("select_across", request.POST.get("select_across", "0")),
            *((ACTION_CHECKBOX_NAME, row) for row in rows),
        ]

    def _start(
        self,
        request: HttpRequest,
        queryset: QuerySet[QuarantinedEvent],
        deed: str,
        *,
        mend: Mend | None = None,
        reason: str = "",
    ) -> HttpResponse:
        """The first piece at once; what is left is gone on with by the worker, or on the job's page."""
        job = quarantine_job_start(
            store=require_store(request),
            chosen=queryset,
            deed=deed,
            actor=staff_user(request),
            mend=mend,
            reason=reason,
        )
        quarantine_job_run(job=job)
        return HttpResponseRedirect(reverse("admin:tracking_quarantinejob_change", args=[job.pk]))

    def _record_preview(self, request: HttpRequest, preview: MendPreview) -> None:
        """Bytes were shown, as on the page of one."""
        with transaction.atomic():
            for trial in preview.trials:
                auditing.record(
                    store=trial.event.store,
                    actor=staff_user(request),
                    action="quarantined_event.read",
                    target=f"quarantined_event:{trial.event.pk}",
                )

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The bytes may hold anything, names too: they are shown to those who may mend them, and that is recorded."""
        event = self.object_for(request, object_id or "", Ability.READ_DATA_QUALITY)
        may_mend = may(request, Ability.MEND_DATA)
        if may_mend:
            with transaction.atomic():
                target = f"quarantined_event:{event.pk}"
                auditing.record(
                    store=event.store,
                    actor=staff_user(request),
                    action="quarantined_event.read",
                    target=target,
                )
        context = {
            "event": event,
            "mend": MENDS.get(event.reason, ""),
            "raw": readable(bytes(event.raw)) if may_mend else "",
            "may_mend": may_mend,
            **(extra_context or {}),
        }
        return super().changeform_view(request, object_id, form_url, context)

    @display(description="Received", ordering="received_at")
    def received(self, event: QuarantinedEvent) -> str:
        return when(event.received_at)

    @display(description="Event", ordering="event_name")
    def event(self, event: QuarantinedEvent) -> str:
        return event.event_name or "(unreadable)"

    @display(description="Reason", ordering="reason")
    def reason_label(self, event: QuarantinedEvent) -> str:
        return event.reason.replace("_", " ").capitalize()

    @display(description="Detail", ordering="detail")
    def fault(self, event: QuarantinedEvent) -> str:
        return code_marks(event.detail)

    @display(
        description="State",
        ordering="state",
        label={"Open": "warning", "Replayed": "success", "Discarded": "info"},
    )
    def status(self, event: QuarantinedEvent) -> str:
        return event.get_state_display()

    @display(description="Sent with")
    def source(self, event: QuarantinedEvent) -> str:
        return event.api_key.name if event.api_key else "–"


@admin.register(DiscardCount)
class DiscardCountAdmin(ReadOnlyAdmin):
    view_ability = Ability.READ_DATA_QUALITY
    intro = (
        "Events that were not stored, because nobody permitted it. Counts only: nothing about whom is kept."
    )
    empty_title = "Nothing was discarded"
    empty_text = "Every event that came was permitted, or none came."
    list_display = ("day", "event_name", "reason_label", "number", "source")
    list_display_links = None
    list_filter = (
        ("day", RangeDateFilter),
        value_filter("event_name", "event"),
        value_filter("reason", "reason"),
        ("api_key", InStoreFilter),
    )
    search_fields = ("event_name__icontains",)
    search_help_text = "Event"
    ordering = ("-day", "event_name")
    list_select_related = ("api_key",)
    export_columns = {
        "day": "day",
        "event": "event_name",
        "reason": "reason",
        # Nobody knows of how many people they were: of no more than there are events.
        "count": lambda row: published(row.count),
        "key": "api_key__name",
    }

    @display(description="Why", ordering="reason")
    def reason_label(self, row: DiscardCount) -> str:
        return row.reason.replace("_", " ").capitalize()

    @display(description="Events", ordering="count")
    def number(self, row: DiscardCount) -> str:
        return f"{row.count:,}"

    @display(description="Sent with")
    def source(self, row: DiscardCount) -> str:
        return row.api_key.name if row.api_key else "–"
