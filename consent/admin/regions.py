"""How visitors of a region are asked."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from accounts.admin.scoped import ScopedAdmin, ScopedModelForm
from accounts.countries import country_code
from accounts.current_store import require_store
from accounts.display.columns import DASH
from accounts.permissions import Ability
from consent.models import ConsentMechanism, RegionMode
from consent.purposes import OPTIONAL, Purpose
from consent.regions import modes_forget


class RegionForm(ScopedModelForm):
    def clean_region(self) -> str:
        country, _, part = str(self.cleaned_data["region"]).strip().upper().partition("-")
        if len(country) != 2 or country_code(country) != country or (part and not part.isalnum()):
            raise ValidationError("Write a country as US, a part of one as US-CA (ISO 3166).")
        return f"{country}-{part}" if part else country

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("mechanism") == ConsentMechanism.OPT_IN and cleaned.get("granted"):
            raise ValidationError({"granted": "With opt-in nothing is on before somebody says yes."})
        return cleaned


@admin.register(RegionMode)
class RegionModeAdmin(ScopedAdmin):
    view_ability = Ability.READ_PRIVACY
    add_ability = change_ability = delete_ability = Ability.PUBLISH_NOTICES
    form = RegionForm
    intro = (
        "Where the law lets a shop begin before somebody says yes. Everywhere else visitors are asked first, and nothing is on "
        "until they answer. Global Privacy Control counts as an opt-out everywhere."
    )
    empty_title = "Everybody is asked first"
    empty_text = "No region has a rule of its own: visitors opt in wherever they are."
    list_display = ("region", "mechanism", "on_at_first")
    list_filter = (("mechanism", ChoicesDropdownFilter),)
    search_fields = ("region__istartswith",)
    search_help_text = "Country or part of one"
    ordering = ("region",)
    export_columns: ClassVar[Any] = {
        "region": "region",
        "mechanism": "mechanism",
        "on_at_first": "granted",
    }
    list_select_related = ()
    fields = ("region", "mechanism", "granted")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "granted":
            return forms.MultipleChoiceField(
                label="On until somebody says no",
                choices=[(purpose.slug, purpose.slug.capitalize()) for purpose in OPTIONAL],
                required=False,
                widget=UnfoldAdminCheckboxSelectMultipleWidget,
                help_text="From the moment that the notice was shown. Ask the shop's lawyers.",
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: RegionMode, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        store = obj.store
        transaction.on_commit(lambda: modes_forget(store))

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        super().delete_queryset(request, queryset)
        modes_forget(require_store(request))

    def delete_model(self, request: HttpRequest, obj: RegionMode) -> None:
        store = obj.store
        super().delete_model(request, obj)
        transaction.on_commit(lambda: modes_forget(store))

    @display(description="On until somebody says no")
    def on_at_first(self, mode: RegionMode) -> str:
        if mode.mechanism == ConsentMechanism.OPT_IN:
            return "Nothing"
        return ", ".join(Purpose.from_slug(slug).slug for slug in mode.granted) or DASH
