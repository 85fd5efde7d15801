"""Identifiers of erased people, as keyed hashes: nobody can read who they are, events of them are refused."""

from __future__ import annotations

from django.contrib import admin
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from accounts.admin.filters import MomentRangeFilter
from accounts.admin.scoped import ReadOnlyAdmin
from accounts.display.columns import when
from accounts.permissions import Ability
from consent.models import Suppression


@admin.register(Suppression)
class SuppressionAdmin(ReadOnlyAdmin):
    view_ability = Ability.READ_PRIVACY
    intro = "What keeps erased people erased: whatever carries one of these identifiers and happened before its date is refused."
    empty_title = "Nobody is suppressed"
    empty_text = (
        "A carried out erasure puts the person's identifiers here, as hashes that nobody can read back."
    )
    list_display = ("kind", "fingerprint", "until", "readmitted", "since")
    list_display_links = None
    list_filter = (("kind", ChoicesDropdownFilter), ("created_at", MomentRangeFilter))
    search_fields = ("digest__startswith",)
    search_help_text = "Beginning of a digest"
    ordering = ("-created_at",)
    list_select_related = ()
    export_columns = {
        "kind": "kind",
        "digest": "digest",
        "suppressed_until": "suppressed_until",
        "readmitted_at": "readmitted_at",
        "created_at": "created_at",
    }

    @display(description="Digest", ordering="digest")
    def fingerprint(self, suppression: Suppression) -> str:
        return f"{suppression.digest[:16]}…"

    @display(description="Refuses events before", ordering="suppressed_until")
    def until(self, suppression: Suppression) -> str:
        return when(suppression.suppressed_until)

    @display(description="Came back with a fresh consent", ordering="readmitted_at")
    def readmitted(self, suppression: Suppression) -> str:
        return when(suppression.readmitted_at)

    @display(description="Since", ordering="created_at")
    def since(self, suppression: Suppression) -> str:
        return when(suppression.created_at)
