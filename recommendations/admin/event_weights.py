"""How much each event says about taste."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from unfold.decorators import display

from accounts.admin.scoped import ScopedAdmin, ScopedModelForm
from accounts.permissions import Ability
from profiles.events import INTERACTIONS
from recommendations.models import EventWeight
from recommendations.serving import versions
from recommendations.serving.versions import Part


class EventWeightForm(ScopedModelForm):
    class Meta:
        model = EventWeight
        fields = ("event_name", "weight")

    def clean_event_name(self) -> str:
        name = str(self.cleaned_data["event_name"]).strip()
        if name not in INTERACTIONS:
            self.add_error(
                "event_name", f"{name!r} is about no product. Weights are for: {', '.join(INTERACTIONS)}."
            )
        return name

    def clean_weight(self) -> float:
        weight = float(self.cleaned_data["weight"])
        if not 0 <= weight <= 100:
            self.add_error("weight", "Between 0 (says nothing) and 100.")
        return weight


@admin.register(EventWeight)
class EventWeightAdmin(ScopedAdmin):
    view_ability = Ability.READ_MODELS
    add_ability = Ability.MANAGE_MODELS
    change_ability = Ability.MANAGE_MODELS
    delete_ability = Ability.MANAGE_MODELS
    form = EventWeightForm
    intro = (
        "A purchase is not a view. Shelves use these weights at once, models with their next training. "
        "Events that are not listed say nothing about taste."
    )
    empty_title = "No weights: nothing says anything about taste"
    empty_text = "Add at least Product Viewed and Order Completed."
    list_display = ("event_name", "weight", "in_views")
    list_editable = ("weight",)
    search_fields = ("event_name__icontains",)
    ordering = ("-weight",)
    list_select_related = ()
    export_columns = {"event": "event_name", "weight": "weight"}

    def get_queryset(self, request: HttpRequest) -> QuerySet[EventWeight]:
        of_a_view = EventWeight.all_stores.filter(
            store=OuterRef("store"), event_name="Product Viewed"
        ).values("weight")
        return super().get_queryset(request).annotate(view_weight=Subquery(of_a_view[:1]))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        versions.bump(obj.store_id, Part.BLEND)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        super().delete_model(request, obj)
        versions.bump(obj.store_id, Part.BLEND)

    @display(description="Counts as much as")
    def in_views(self, row: Any) -> str:
        return f"{row.weight / row.view_weight:g} views" if row.view_weight else "–"
