"""The two ledgers, read only: who consented to what, and who did what. Each can be verified from its page."""

from __future__ import annotations

import json
from typing import Any, ClassVar, Final

from django.contrib import admin
from django.db.models import BigIntegerField, Case, CharField, OuterRef, QuerySet, Subquery, Value, When
from django.db.models.functions import Cast, Coalesce, NullIf, Substr
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from accounts.admin.filters import MomentRangeFilter, value_filter
from accounts.admin.looks import record_look
from accounts.admin.scoped import ReadOnlyAdmin
from accounts.current_store import current_store, require
from accounts.display.columns import DASH, when
from accounts.models import User
from accounts.permissions import Ability
from consent.ledger import AUDIT, CONSENT, Ledger
from consent.models import AuditEntry, ConsentChoice, ConsentRecord
from consent.verification import verify

_PLATFORMS: Final = {"tcf": "a platform on the page (TCF)", "gpp": "a platform on the page (GPP)"}


class LedgerAdmin(ReadOnlyAdmin):
    """A chain with a verify button."""

    view_ability = Ability.READ_PRIVACY
    ledger: ClassVar[Ledger]
    list_select_related: Any = ("payload",)

    def get_urls(self) -> list[URLPattern]:
        name = f"consent_{self.opts.model_name}_verify"
        return [path("verify/", self.admin_site.admin_view(self.verify_view), name=name), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        verify_url = reverse(f"admin:consent_{self.opts.model_name}_verify")
        return super().changelist_view(request, {"verify_url": verify_url, **(extra_context or {})})

    def verify_view(self, request: HttpRequest) -> HttpResponse:
        """POST: read the whole chain and say what was found. Changes nothing."""
        store = require(request, Ability.READ_PRIVACY)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Verified: {self.opts.verbose_name_plural}",
            "report": verify(self.ledger, store),
            "back_url": reverse(f"admin:consent_{self.opts.model_name}_changelist"),
        }
        return TemplateResponse(request, "admin/consent/verification.html", context)


class MethodFilter(DropdownFilter):
    title = "choice"
    parameter_name = "method"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, str(label)) for value, label in ConsentChoice.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(payload__method=self.value()) if self.value() else queryset


@admin.register(ConsentRecord)
class ConsentRecordAdmin(LedgerAdmin):
    ledger = CONSENT
    exports_people = True
    intro = "Every decision about consent, as proof: what was shown, what was chosen, when. Never changed, never deleted."
    empty_title = "No decision yet"
    empty_text = "A record is written when a visitor answers the banner, in the privacy centre, or when the shop tells a decision."
    list_display = ("number", "recorded", "choice", "granted", "denied", "notice", "customer", "region")
    list_filter = (MethodFilter, ("recorded_at", MomentRangeFilter))
    search_fields = ("payload__customer__external_id__exact", "digest__exact")
    search_help_text = "Customer id or digest, in full"
    ordering = ("-sequence",)
    list_select_related = ("payload", "payload__customer")
    change_form_template = "admin/consent/link.html"
    export_columns = {
        "sequence": "sequence",
        "recorded_at": "recorded_at",
        "choice": "payload__method",
        "granted": "payload__granted",
        "denied": "payload__denied",
        "notice_version": "payload__notice_version",
        "notice_hash": "payload__notice_hash",
        "language": "payload__language",
        "mechanism": "payload__mechanism",
        "region": "payload__region",
        "digest": "digest",
    }

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        """A receipt id, as the visitor's proof shows it, finds its records."""
        found, has_duplicates = super().get_search_results(request, queryset, search_term)
        if _is_uuid(search_term):
            found = queryset.filter(payload__receipt_id=search_term.strip())
        return found, has_duplicates

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        record = self.object_for(request, object_id or "", Ability.READ_PRIVACY)
        payload = getattr(record, "payload", None)
        if payload and payload.customer:
            record_look(request, payload.customer, "consent.read", only_if_new=True)
        facts = [("Recorded", when(record.recorded_at))]
        if payload:
            facts += [
                ("Choice", payload.get_method_display()),
                ("Granted", ", ".join(payload.granted) or "nothing"),
                ("Denied", ", ".join(payload.denied) or "nothing"),
                ("Mechanism", payload.get_mechanism_display()),
                ("Asked by", _PLATFORMS.get(payload.source, payload.source) or "us"),
                (
                    "Notice",
                    f"version {payload.notice_version} ({payload.language})"
                    if payload.notice_version
                    else DASH,
                ),
                ("Hash of the notice", payload.notice_hash or DASH),
                ("Global Privacy Control", "sent" if payload.gpc else "not sent"),
                ("Page", payload.page_url or DASH),
                ("Region", payload.region or DASH),
                ("Receipt", payload.receipt_id),
                ("Customer", payload.customer or DASH),
                ("Address, shortened", payload.ip_truncated or DASH),
                ("Browser", payload.user_agent or DASH),
            ]
        context = {"link": record, "facts": facts, "is_erased": payload is None, **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, context)

    @display(description="No.", ordering="sequence")
    def number(self, record: ConsentRecord) -> str:
        return f"{record.sequence:,}"

    @display(description="When", ordering="recorded_at")
    def recorded(self, record: ConsentRecord) -> str:
        return when(record.recorded_at)

    @display(
        description="Choice",
        label={
            "Accepted all": "success",
            "Rejected all": "danger",
            "Withdrew": "danger",
            "Chose": "info",
            "Erased": "warning",
        },
    )
    def choice(self, record: ConsentRecord) -> str:
        payload = getattr(record, "payload", None)
        return payload.get_method_display() if payload else "Erased"

    @display(description="Granted")
    def granted(self, record: ConsentRecord) -> str:
        payload = getattr(record, "payload", None)
        return ", ".join(payload.granted) if payload and payload.granted else DASH

    @display(description="Denied")
    def denied(self, record: ConsentRecord) -> str:
        payload = getattr(record, "payload", None)
        return ", ".join(payload.denied) if payload and payload.denied else DASH

    @display(description="Notice")
    def notice(self, record: ConsentRecord) -> str:
        payload = getattr(record, "payload", None)
        return f"v{payload.notice_version} {payload.language}" if payload and payload.notice_version else DASH

    @display(description="Customer")
    def customer(self, record: ConsentRecord) -> str:
        payload = getattr(record, "payload", None)
        return str(payload.customer) if payload and payload.customer else DASH

    @display(description="Region")
    def region(self, record: ConsentRecord) -> str:
        payload = getattr(record, "payload", None)
        return payload.region if payload and payload.region else DASH


def _is_uuid(text: str) -> bool:
    bare = text.strip().replace("-", "")
    return len(bare) == 32 and all(character in "0123456789abcdefABCDEF" for character in bare)


class AreaFilter(DropdownFilter):
    """By the noun of `<noun>.<verb>`."""

    title = "area"
    parameter_name = "area"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        actions = (
            AuditEntry.all_stores.filter(store=current_store(request))
            .order_by()
            .values_list("action", flat=True)
            .distinct()
        )
        nouns = sorted({action.split(".")[0] for action in actions})
        return [(noun, noun.replace("_", " ").capitalize()) for noun in nouns]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(action__startswith=f"{self.value()}.") if self.value() else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(LedgerAdmin):
    ledger = AUDIT
    intro = "Who did what, when and why: each entry holds the hash of the one before it. Never changed, never deleted."
    empty_title = "Nothing on record yet"
    empty_text = (
        "Keys made, requests decided, vault values read, models published: each writes an entry here."
    )
    list_display = ("number", "recorded", "action", "actor", "target", "reason")
    list_filter = (AreaFilter, value_filter("action", "action"), ("recorded_at", MomentRangeFilter))
    search_fields = (
        "action__icontains",
        "payload__target__startswith",
        "payload__actor__exact",
        "payload__reason__icontains",
    )
    search_help_text = "Action, target, actor (user:1) or reason"
    ordering = ("-sequence",)
    change_form_template = "admin/consent/link.html"
    export_columns = {
        "sequence": "sequence",
        "recorded_at": "recorded_at",
        "action": "action",
        "actor": "payload__actor",
        "target": "payload__target",
        "reason": "payload__reason",
        "details": "payload__details",
        "digest": "digest",
    }

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        """With the name behind `user:<id>`, joined and not read once a row."""
        name = User.objects.filter(pk=OuterRef("actor_id")).values_list(
            Coalesce(NullIf("name", Value("")), "email", output_field=CharField())
        )
        actor = Case(
            When(
                payload__actor__regex=r"^user:[0-9]{1,18}$",
                then=Cast(Substr("payload__actor", 6), BigIntegerField()),
            ),
            default=None,
        )
        return super().get_queryset(request).annotate(actor_id=actor).annotate(actor_name=Subquery(name[:1]))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        entry = self.object_for(request, object_id or "", Ability.READ_PRIVACY)
        payload = getattr(entry, "payload", None)
        facts: list[tuple[str, Any]] = [("Recorded", when(entry.recorded_at)), ("Action", entry.action)]
        if payload:
            facts += [
                ("Actor", _actor_name(payload.actor)),
                ("Target", payload.target or DASH),
                ("Reason", payload.reason or DASH),
                (
                    "Details",
                    json.dumps(payload.details, ensure_ascii=False, sort_keys=True)
                    if payload.details
                    else DASH,
                ),
            ]
        context = {"link": entry, "facts": facts, "is_erased": payload is None, **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, context)

    @display(description="No.", ordering="sequence")
    def number(self, entry: AuditEntry) -> str:
        return f"{entry.sequence:,}"

    @display(description="When", ordering="recorded_at")
    def recorded(self, entry: AuditEntry) -> str:
        return when(entry.recorded_at)

    @display(description="Who")
    def actor(self, entry: Any) -> str:
        payload = getattr(entry, "payload", None)
        return str(entry.actor_name or payload.actor) if payload else "erased"

    @display(description="What about")
    def target(self, entry: AuditEntry) -> str:
        payload = getattr(entry, "payload", None)
        return payload.target or DASH if payload else "erased"

    @display(description="Why")
    def reason(self, entry: AuditEntry) -> str:
        payload = getattr(entry, "payload", None)
        return payload.reason or DASH if payload else "erased"


def _actor_name(actor: str) -> str:
    kind, _, key = actor.partition(":")
    if kind == "user" and key.isdigit():
        user = User.objects.filter(pk=int(key)).first()
        return f"{user} ({actor})" if user else f"{actor} (gone)"
    return actor
