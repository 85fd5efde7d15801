"""Placements: where shelves stand. The page of one is where its weights are tuned (`tuning`)."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter
from unfold.decorators import display

from accounts.admin.confirmation import Confirmation, OptionalReasonForm, confirm_page
from accounts.admin.scoped import ScopedAdmin
from accounts.current_store import staff_user
from accounts.display.columns import moment_text
from accounts.permissions import Ability
from recommendations.admin.bandit import BanditPages
from recommendations.admin.tracing import TracePage
from recommendations.admin.tuning import TuningPage
from recommendations.models import Bandit, BlendVersion, Placement
from recommendations.services.bandits import running_bandit
from recommendations.services.blends import (
    blend_draft_discard,
    blend_publish,
    blend_undo,
)
from recommendations.serving import versions
from recommendations.serving.versions import Part


@admin.register(Placement)
class PlacementAdmin(BanditPages, TracePage, TuningPage):
    view_ability = Ability.READ_SHELVES
    add_ability = Ability.EDIT_SHELVES
    change_ability = Ability.EDIT_SHELVES
    delete_ability = Ability.EDIT_SHELVES
    intro = "Where shelves stand. Open one to tune what is on it, and see the shelf change before anybody else does."
    empty_title = "No placements yet"
    empty_text = "Add a placement, then put its shelf on a page with the template tag or the web component."
    list_display = (
        "name",
        "slug",
        "kind_label",
        "heading",
        "size",
        "live_version",
        "draft_state",
        "bandit_state",
        "is_active",
    )
    list_filter = (("kind", ChoicesDropdownFilter), ("is_active", BooleanRadioFilter))
    search_fields = ("name__icontains", "slug__icontains", "heading__icontains")
    search_help_text = "Name, slug or heading"
    ordering = ("kind", "slug")
    list_select_related = ()
    fieldsets = (
        (None, {"fields": (("name", "slug"), ("heading", "fallback_heading"), ("kind", "size"))}),
        ("What is left out", {"fields": ("excludes_purchased", "excludes_viewed", "tops_up")}),
        ("Serving", {"fields": ("uses_learned_reranker", "deadline_ms", "is_active")}),
    )
    export_columns = {
        "slug": "slug",
        "name": "name",
        "heading": "heading",
        "kind": "kind",
        "size": "size",
        "is_active": "is_active",
    }

    def get_queryset(self, request: HttpRequest) -> QuerySet[Placement]:
        of_placement = BlendVersion.all_stores.filter(placement=OuterRef("pk"))
        published = of_placement.filter(state=BlendVersion.State.PUBLISHED)
        draft = of_placement.filter(state=BlendVersion.State.DRAFT).order_by("-number")
        running = Bandit.all_stores.filter(placement=OuterRef("pk")).exclude(state=Bandit.State.ENDED)
        return (
            super()
            .get_queryset(request)
            .annotate(
                live_number=Subquery(published.values("number")[:1]),
                live_since=Subquery(published.values("published_at")[:1]),
                draft_number=Subquery(draft.values("number")[:1]),
                running_state=Subquery(running.values("state")[:1]),
            )
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        # Pages of the shop name the slug: another one would empty their shelves.
        return ("slug",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        versions.bump(obj.store_id, Part.BLEND)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        super().delete_model(request, obj)
        versions.bump(obj.store_id, Part.BLEND)

    def get_urls(self) -> list[URLPattern]:
        views = {
            "settings": self.settings_view,
            "preview": self.preview_view,
            "measure": self.measure_view,
            "publish": self.publish_view,
            "undo": self.undo_view,
            "discard": self.discard_view,
            "trace": self.trace_view,
            "bandit": self.bandit_view,
            "bandit_freeze": self.bandit_freeze_view,
            "bandit_resume": self.bandit_resume_view,
            "bandit_reset": self.bandit_reset_view,
            "bandit_end": self.bandit_end_view,
            "bandit_adopt": self.bandit_adopt_view,
        }
        return [
            *(
                path(
                    f"<path:object_id>/{name.replace('_', '/')}/",
                    self.admin_site.admin_view(view),
                    name=f"recommendations_placement_{name}",
                )
                for name, view in views.items()
            ),
            *super().get_urls(),
        ]

    # What changes something

    def publish_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        placement = self.object_for(request, object_id, Ability.EDIT_SHELVES)
        back = reverse("admin:recommendations_placement_change", args=[placement.pk])
        number = request.GET.get("version", "")
        version = placement.versions.filter(number=int(number)).first() if number.isdigit() else None
        if version is None:
            messages.error(request, "There is no such version of this placement.")
            return HttpResponseRedirect(back)
        form = OptionalReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            self._publish(request, version, form.cleaned_data["reason"])
            return HttpResponseRedirect(back)
        live = placement.versions.filter(state=BlendVersion.State.PUBLISHED).first()
        return confirm_page(
            request,
            self,
            Confirmation(
                title=f"Publish version {version.number} on {placement}?",
                consequences=[
                    "From the next request on every shelf of this placement follows it: for all shoppers but the control group.",
                    f"Version {live.number}, live since {moment_text(live.published_at)}, is retired."
                    if live
                    else "Nothing was live here before.",
                    *(
                        ["The bandit that runs here ends: its arms were compared with other weights."]
                        if running_bandit(placement)
                        else []
                    ),
                ],
                undo="Yes: “Undo” on the placement's page brings the version before back at once.",
                button=f"Publish version {version.number}",
                back_url=back,
            ),
            form,
        )

    def _publish(self, request: HttpRequest, version: BlendVersion, reason: str) -> None:
        try:
            blend_publish(version=version, user=staff_user(request), reason=reason)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        else:
            messages.success(
                request, f"Version {version.number} is live. “Undo” brings back what was live before."
            )

    def undo_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """POST: back to what was live before. It can be undone itself, so it asks nothing."""
        placement = self.object_for(request, object_id, Ability.EDIT_SHELVES)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            version = blend_undo(placement=placement, user=staff_user(request))
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        else:
            messages.success(request, f"Undone: version {version.number} is live again.")
        return HttpResponseRedirect(reverse("admin:recommendations_placement_change", args=[placement.pk]))

    def discard_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        placement = self.object_for(request, object_id, Ability.EDIT_SHELVES)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        blend_draft_discard(placement=placement)
        messages.success(request, "The draft is gone; the sliders show what is live.")
        return HttpResponseRedirect(reverse("admin:recommendations_placement_change", args=[placement.pk]))

    def settings_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The placement's own fields, by the usual form."""
        return ScopedAdmin.change_view(self, request, object_id)

    # Columns

    @display(description="Kind", ordering="kind")
    def kind_label(self, placement: Placement) -> str:
        return placement.get_kind_display()

    @display(description="Live", ordering="live_since")
    def live_version(self, placement: Any) -> str:
        return (
            f"v{placement.live_number}, {moment_text(placement.live_since)}" if placement.live_number else "–"
        )

    @display(description="Draft", label={"Open": "warning"})
    def draft_state(self, placement: Any) -> str | None:
        return "Open" if placement.draft_number else None

    @display(description="Shoppers decide", label={"Learning": "success", "Frozen": "info"})
    def bandit_state(self, placement: Any) -> str | None:
        return Bandit.State(placement.running_state).label if placement.running_state else None
