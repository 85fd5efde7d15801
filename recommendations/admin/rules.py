"""Merchandising rules: pin, boost, bury or hide what matches."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display

from accounts.admin.filters import InStoreFilter
from accounts.admin.scoped import ScopedAdmin, ScopedModelForm
from accounts.display.columns import moment_text
from accounts.permissions import Ability
from recommendations.models import MerchandisingRule
from recommendations.serving import versions
from recommendations.serving.versions import Part

Action = MerchandisingRule.Action


class RuleForm(ScopedModelForm):
    class Meta:
        model = MerchandisingRule
        fields = "__all__"

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not any(data.get(name) for name in ("product", "category", "brand")):
            self.add_error(
                None,
                "Say what the rule is about: a product, a category or a brand. What fits all of them is matched.",
            )
        if data.get("action") == Action.PIN and not data.get("rank"):
            self.add_error("rank", "A pin needs the rank that it pins to: 1 is first.")
        if data.get("action") in (Action.BOOST, Action.BURY) and (data.get("factor") or 0) <= 1:
            self.add_error(
                "factor", "More than 1: scores are multiplied by it (boost) or divided by it (bury)."
            )
        starts, ends = data.get("starts_at"), data.get("ends_at")
        if starts and ends and ends <= starts:
            self.add_error("ends_at", "After the start.")
        return data


class NowFilter(DropdownFilter):
    title = "in force"
    parameter_name = "now"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("now", "In force now"), ("later", "Still to come"), ("over", "Over")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now = timezone.now()
        match self.value():
            case "now":
                started = Q(starts_at=None) | Q(starts_at__lte=now)
                return queryset.filter(started, Q(ends_at=None) | Q(ends_at__gt=now), is_active=True)
            case "later":
                return queryset.filter(starts_at__gt=now)
            case "over":
                return queryset.filter(ends_at__lte=now)
        return queryset


@admin.register(MerchandisingRule)
class MerchandisingRuleAdmin(ScopedAdmin):
    view_ability = Ability.READ_SHELVES
    add_ability = Ability.EDIT_SHELVES
    change_ability = Ability.EDIT_SHELVES
    delete_ability = Ability.EDIT_SHELVES
    form = RuleForm
    intro = "What you know and the log does not: pin a product to a rank, boost or bury a brand, hide a category. Shelves follow at once."
    empty_title = "No rules"
    empty_text = "Shelves follow what shoppers do. Add a rule where you know better."
    list_display = ("name", "deed", "what", "where", "in_force", "is_active")
    list_filter = (
        ("action", ChoicesDropdownFilter),
        ("placement", InStoreFilter),
        NowFilter,
        ("is_active", BooleanRadioFilter),
    )
    search_fields = (
        "name__icontains",
        "product__name__icontains",
        "category__name__icontains",
        "brand__name__icontains",
    )
    search_help_text = "Rule, product, category or brand"
    ordering = ("-is_active", "name")
    list_select_related = ("placement", "product", "category", "brand")
    autocomplete_fields = ("product", "category", "brand")
    conditional_fields = {"rank": "action == 'pin'", "factor": "action == 'boost' || action == 'bury'"}
    fieldsets = (
        (None, {"fields": (("name", "placement"), ("action", "rank", "factor"))}),
        (
            "What it is about",
            {
                "fields": (("product", "category", "brand"),),
                "description": "What fits all that you name. A category reaches everything below it.",
            },
        ),
        ("When", {"fields": (("starts_at", "ends_at"), "is_active")}),
    )
    export_columns = {
        "name": "name",
        "action": "action",
        "placement": "placement__slug",
        "product": "product__external_id",
        "category": "category__path",
        "brand": "brand__slug",
        "factor": "factor",
        "rank": "rank",
        "starts_at": "starts_at",
        "ends_at": "ends_at",
        "is_active": "is_active",
    }

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if field is not None and db_field.name == "placement":
            field.empty_label = "Every placement"
        return field

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        versions.bump(obj.store_id, Part.BLEND)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        super().delete_model(request, obj)
        versions.bump(obj.store_id, Part.BLEND)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        stores = set(queryset.values_list("store_id", flat=True))
        super().delete_queryset(request, queryset)
        for store_id in stores:
            versions.bump(store_id, Part.BLEND)

    @display(
        description="Does",
        ordering="action",
        label={"Pin": "info", "Boost": "success", "Bury": "warning", "Hide": "danger"},
    )
    def deed(self, rule: MerchandisingRule) -> tuple[str, str]:
        detail = {
            Action.PIN: f"to rank {rule.rank}",
            Action.BOOST: f"× {rule.factor:g}",
            Action.BURY: f"÷ {rule.factor:g}",
        }.get(Action(rule.action), "")
        return rule.action.capitalize(), f"{rule.action.capitalize()} {detail}".strip()

    @display(description="What")
    def what(self, rule: MerchandisingRule) -> str:
        return (
            " and ".join(str(each) for each in (rule.product, rule.category, rule.brand) if each) or "nothing"
        )

    @display(description="Where", ordering="placement")
    def where(self, rule: MerchandisingRule) -> str:
        return str(rule.placement) if rule.placement else "Every placement"

    @display(description="In force")
    def in_force(self, rule: MerchandisingRule) -> str:
        now = timezone.now()
        if rule.ends_at and rule.ends_at <= now:
            return f"over since {moment_text(rule.ends_at)}"
        if rule.starts_at and rule.starts_at > now:
            return f"from {moment_text(rule.starts_at)}"
        return f"until {moment_text(rule.ends_at)}" if rule.ends_at else "always"
