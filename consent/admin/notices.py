"""Versions of the consent notice: drafted from the newest one, edited, published for all languages at once."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from unfold.admin import StackedInline
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from accounts.admin.confirmation import Confirmation, OptionalReasonForm, confirm_page
from accounts.admin.filters import value_filter
from accounts.admin.scoped import ScopedAdmin
from accounts.current_store import current_store, may, require, staff_user
from accounts.display.columns import when
from accounts.keys import public_write_key
from accounts.permissions import Ability
from consent.models import Notice, PurposeText
from consent.services.notices import notice_draft, notice_publish


class PurposeInline(StackedInline):
    """The purposes of a notice: fixed in number, since each must be explained; their words are edited in a draft."""

    model = PurposeText
    extra = 0
    exclude = ("store", "position")
    readonly_fields = ("purpose",)
    verbose_name_plural = "purposes"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, Ability.READ_PRIVACY)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, Ability.PUBLISH_NOTICES) and (obj is None or obj.published_at is None)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class StateFilter(DropdownFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("draft", "Draft"), ("published", "Published")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Notice]) -> QuerySet[Notice]:
        return queryset.filter(published_at__isnull=self.value() == "draft") if self.value() else queryset


@admin.register(Notice)
class NoticeAdmin(ScopedAdmin):
    view_ability = Ability.READ_PRIVACY
    change_ability = Ability.PUBLISH_NOTICES
    intro = (
        "What visitors are asked, and what they are told. A published version is frozen: "
        "a change is a new version, and asks again whoever read the old words."
    )
    empty_title = "No notice yet"
    empty_text = "The default texts are published with the first visit of the shop."
    list_display = ("name", "title", "state", "published", "fingerprint")
    list_filter = (StateFilter, value_filter("language", "language"))
    search_fields = ("title__icontains", "body__icontains", "content_hash__startswith")
    search_help_text = "Words of the notice, or its hash"
    ordering = ("-version", "language")
    list_select_related = ()
    inlines = (PurposeInline,)
    readonly_fields = ("version", "language", "content_hash", "published")
    fieldsets = (
        (None, {"fields": (("version", "language", "published"), "title", "body", "policy")}),
        (
            "Proof",
            {
                "fields": ("content_hash",),
                "description": "Stands in every consent record: it proves which words were shown.",
            },
        ),
    )
    change_form_template = "admin/consent/notice_form.html"
    change_list_template = "admin/consent/notice_list.html"
    list_before_template = "admin/consent/notice_tag.html"
    export_columns = {
        "version": "version",
        "language": "language",
        "title": "title",
        "body": "body",
        "content_hash": "content_hash",
        "published_at": "published_at",
    }

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_frozen = isinstance(obj, Notice) and obj.published_at is not None
        return not is_frozen and super().has_change_permission(request, obj)

    def get_urls(self) -> list[URLPattern]:
        return [
            path("draft/", self.admin_site.admin_view(self.draft_view), name="consent_notice_draft"),
            path(
                "<path:object_id>/publish/",
                self.admin_site.admin_view(self.publish_view),
                name="consent_notice_publish",
            ),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        may_publish = may(request, Ability.PUBLISH_NOTICES)
        shown = {"may_publish": may_publish, "tag": _tag(request)}
        return super().changelist_view(request, {**shown, **(extra_context or {})})

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        may_publish = may(request, Ability.PUBLISH_NOTICES)
        return super().changeform_view(
            request, object_id, form_url, {"may_publish": may_publish, **(extra_context or {})}
        )

    def draft_view(self, request: HttpRequest) -> HttpResponse:
        """POST: make a draft of the next version, or open the one that there is."""
        store = require(request, Ability.PUBLISH_NOTICES)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        drafts = notice_draft(store=store)
        messages.success(
            request,
            f"Version {drafts[0].version} is a draft in {len(drafts)} languages. Nobody sees it until it is published.",
        )
        return HttpResponseRedirect(reverse("admin:consent_notice_change", args=[drafts[0].pk]))

    def publish_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        notice = self.object_for(request, object_id, Ability.PUBLISH_NOTICES)
        back = reverse("admin:consent_notice_changelist")
        form = OptionalReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                published = notice_publish(
                    store=notice.store,
                    version=notice.version,
                    actor=staff_user(request),
                    reason=form.cleaned_data["reason"],
                )
            except ValidationError as error:
                messages.error(request, " ".join(error.messages))
            else:
                messages.success(
                    request, f"Version {notice.version} is published in {len(published)} languages."
                )
            return HttpResponseRedirect(back)
        languages = (
            Notice.objects.for_store(notice.store_id)
            .filter(version=notice.version)
            .values_list("language", flat=True)
        )
        return confirm_page(
            request,
            self,
            Confirmation(
                title=f"Publish version {notice.version} of the notice?",
                consequences=[
                    f"The texts in {', '.join(sorted(languages))} are frozen and shown from now on.",
                    "Visitors who read a language whose words changed are asked again at their next visit; the others are not.",
                    "Consents given so far stay valid until then.",
                ],
                undo="A published version stays published. Publish another one with the old words to go back.",
                button="Publish",
                back_url=reverse("admin:consent_notice_change", args=[notice.pk]),
                is_dangerous=True,
            ),
            form,
        )

    @display(description="Version", ordering="version")
    def name(self, notice: Notice) -> str:
        return f"{notice.version} ({notice.language})"

    @display(description="State", label={"Draft": "warning", "Published": "success"})
    def state(self, notice: Notice) -> str:
        return "Published" if notice.published_at else "Draft"

    @display(description="Published", ordering="published_at")
    def published(self, notice: Notice) -> str:
        return when(notice.published_at)

    @display(description="Hash", ordering="content_hash")
    def fingerprint(self, notice: Notice) -> str:
        return f"{notice.content_hash[:12]}…" if notice.content_hash else "–"


def _tag(request: HttpRequest) -> str:
    """The lines for pages of a shop elsewhere; "" without a store, or without a key for browsers."""
    store = current_store(request)
    key = public_write_key(store) if store is not None else None
    if store is None or not key:
        return ""
    source = request.build_absolute_uri(reverse("consent:script_file", args=["etalage-consent.js"]))
    choices = request.build_absolute_uri(f"{reverse('consent:preferences')}?store={store.slug}")
    return format_html(
        '<script src="{}" data-key="{}"></script>\n<noscript><a href="{}">Your privacy choices</a></noscript>',
        source,
        key,
        choices,
    )
