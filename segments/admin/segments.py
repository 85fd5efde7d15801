"""Segments: who is in them, how many, and the rules that say so, with a count that follows the editing."""

from __future__ import annotations

import json
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import slugify
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from accounts.admin.confirmation import Confirmation, OptionalReasonForm, confirm_page
from accounts.admin.scoped import ScopedAdmin
from accounts.current_store import may, require, require_store, staff_user
from accounts.display.columns import ago
from accounts.permissions import Ability
from algorithms.small_cells import published
from segments.admin.rule_rows import Row, RuleRows, read_rows, rows_of, rules_posted
from segments.features import FEATURES, OPERATOR_LABELS, OPERATORS
from segments.models import ClusterModel, Segment, SegmentMembership
from segments.rules import InvalidRules
from segments.selectors import count_members, count_shoppers
from segments.services import segment_delete, segment_recompute, segment_save

# Without scripts this many empty rows wait for conditions.
BLANK_ROWS: Final = 3
MEMBERS_SHOWN: Final = 50


class SegmentForm(forms.ModelForm):
    class Meta:
        model = Segment
        fields = ("name", "description", "priority", "is_active")
        widgets = {
            "name": UnfoldAdminTextInputWidget,
            "description": UnfoldAdminTextareaWidget(attrs={"rows": 2}),
            "priority": UnfoldAdminIntegerFieldWidget,
            "is_active": UnfoldBooleanSwitchWidget,
        }
        help_texts = {
            "priority": "Where a shopper is in several segments and weights differ, the lowest number wins.",
            "is_active": "An inactive segment has no members and no weights of its own.",
        }


@admin.register(Segment)
class SegmentAdmin(ScopedAdmin):
    view_ability = Ability.READ_SEGMENTS
    add_ability = Ability.EDIT_SEGMENTS
    change_ability = Ability.EDIT_SEGMENTS
    delete_ability = Ability.EDIT_SEGMENTS
    intro = (
        "Groups of shoppers: by rules that you write, by where they stand, and by likeness that was found. "
        "Weights can differ by segment."
    )
    empty_title = "No segments yet"
    empty_text = "Write the first rule, for example: at least two orders within 90 days."
    list_display = ("name", "kind_label", "size", "summary", "priority", "computed", "is_active")
    list_filter = (("kind", ChoicesDropdownFilter), ("is_active", BooleanRadioFilter))
    search_fields = ("name__icontains", "slug__icontains", "description__icontains")
    search_help_text = "Name or description"
    ordering = ("priority", "name")
    list_select_related = ()
    export_columns = {
        "slug": "slug",
        "name": "name",
        "kind": "kind",
        "priority": "priority",
        "members": lambda segment: published(segment.member_count),
        "rules": "rules",
        "computed_at": "computed_at",
        "is_active": "is_active",
    }

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("count/", wrap(self.count_view), name="segments_segment_count"),
            path("<path:object_id>/recompute/", wrap(self.recompute_view), name="segments_segment_recompute"),
            *super().get_urls(),
        ]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        store = require(request, Ability.EDIT_SEGMENTS)
        return self._edit(request, Segment(store=store, kind=Segment.Kind.RULE))

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        segment = self.object_for(request, object_id, Ability.READ_SEGMENTS)
        if request.method == "POST":
            require(request, Ability.EDIT_SEGMENTS)
        return self._edit(request, segment)

    def _edit(self, request: HttpRequest, segment: Segment) -> HttpResponse:
        form = SegmentForm(request.POST or None, instance=segment)
        if segment.kind == Segment.Kind.CLUSTER:
            # Its words follow its centre with every computation: what is typed here would not last.
            form.fields["name"].disabled = form.fields["description"].disabled = True
        problems: list[str] = []
        count: int | None = None
        if request.method == "POST":
            problems, count = self._take_rules(request, segment)
            if "save" in request.POST and not problems and form.is_valid():
                saved = self._save(request, form, segment)
                if saved is not None:
                    return saved
        return self._page(request, segment, form, problems, count)

    def _take_rules(self, request: HttpRequest, segment: Segment) -> tuple[list[str], int | None]:
        """Puts the posted rules into the segment; gives what is wrong with them, else how many they match."""
        if segment.kind == Segment.Kind.CLUSTER:
            return [], None
        try:
            segment.rules = rules_posted(request.POST)
            return [], count_members(segment.store, segment.rules)
        except InvalidRules as error:
            return [
                f"{place}: {problem}" if place else problem for place, problem in error.problems.items()
            ], None
        except ValueError as error:
            return [f"The rules cannot be read: {error}"], None

    def _save(self, request: HttpRequest, form: SegmentForm, segment: Segment) -> HttpResponse | None:
        changed = form.save(commit=False)
        changed.rules = segment.rules
        if not changed.slug:
            changed.slug = _free_slug(changed)
        try:
            segment_save(segment=changed, actor=staff_user(request))
        except ValidationError as error:
            form.add_error(None, ValidationError(error.messages))
            return None
        size = changed.member_count
        if changed.kind != Segment.Kind.CLUSTER:
            size = segment_recompute(segment=changed)
        messages.success(request, f"“{changed}” is saved: {size:,} shoppers are in it now.")
        return HttpResponseRedirect(reverse("admin:segments_segment_change", args=[changed.pk]))

    def _page(
        self,
        request: HttpRequest,
        segment: Segment,
        form: SegmentForm,
        problems: list[str],
        count: int | None,
    ) -> TemplateResponse:
        rows = (
            read_rows(request.POST)
            if request.method == "POST" and request.POST.get("mode") != "json"
            else rows_of(segment.rules or {})
        )
        if count is None and not problems and segment.kind != Segment.Kind.CLUSTER and segment.rules:
            problems, count = _count(segment)
        may_edit = may(request, Ability.EDIT_SEGMENTS)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": segment if segment.pk else None,
            "title": segment.name or "New segment",
            "segment": segment,
            "form": form,
            "rows": rows,
            "groups": _grouped(rows) if rows is not None else [],
            "blank_rows": range(BLANK_ROWS) if may_edit else (),
            "features": _feature_choices(),
            "operators": OPERATOR_LABELS.items(),
            "vocabulary": _vocabulary(),
            "rules_json": json.dumps(segment.rules or {}, indent=2, ensure_ascii=False),
            "problems": problems,
            "count": count,
            "shoppers": count_shoppers(require_store(request)),
            "members": _members(segment),
            "members_shown": MEMBERS_SHOWN,
            "centre": _centre(segment),
            "is_cluster": segment.kind == Segment.Kind.CLUSTER,
            "may_edit": may_edit,
            "may_read_shoppers": may(request, Ability.READ_SHOPPERS),
        }
        return TemplateResponse(request, "admin/segments/segment.html", context)

    def count_view(self, request: HttpRequest) -> HttpResponse:
        """POST rules: how many shoppers they match, as `{"count", "shoppers"}` or `{"problems"}`. Saves nothing."""
        store = require(request, Ability.READ_SEGMENTS)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        segment = Segment(store=store)
        problems, count = self._take_rules(request, segment)
        if problems:
            return JsonResponse({"problems": problems}, status=422)
        return JsonResponse({"count": count, "shoppers": count_shoppers(store)})

    def recompute_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        segment = self.object_for(request, object_id, Ability.EDIT_SEGMENTS)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        messages.success(request, f"{segment_recompute(segment=segment):,} shoppers are in “{segment}” now.")
        return HttpResponseRedirect(reverse("admin:segments_segment_change", args=[segment.pk]))

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        segment = self.object_for(request, object_id, Ability.EDIT_SEGMENTS)
        form = OptionalReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            segment_delete(segment=segment, actor=staff_user(request), reason=form.cleaned_data["reason"])
            messages.success(request, f"“{segment}” is deleted.")
            return HttpResponseRedirect(reverse("admin:segments_segment_changelist"))
        return confirm_page(
            request,
            self,
            Confirmation(
                title=f"Delete the segment “{segment}”?",
                consequences=[
                    f"Its {segment.member_count:,} memberships go; the shoppers themselves stay.",
                    "Weights of shelves that were set for it go too: its shoppers then follow everybody's weights.",
                ],
                undo="It cannot be undone. Switching it off instead keeps its rules.",
                button="Delete the segment",
                back_url=reverse("admin:segments_segment_change", args=[segment.pk]),
                is_dangerous=True,
            ),
            form,
        )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # One at a time, by the page above: the list's own bulk deletion would pass the service by.
        return obj is not None and super().has_delete_permission(request, obj)

    @display(
        description="Kind",
        ordering="kind",
        label={"Rules": "info", "Lifecycle": "success", "Cluster": "warning"},
    )
    def kind_label(self, segment: Segment) -> str:
        return segment.get_kind_display()

    @display(description="Shoppers", ordering="member_count")
    def size(self, segment: Segment) -> str:
        return f"{segment.member_count:,}"

    @display(description="What it is")
    def summary(self, segment: Segment) -> str:
        return f"{segment.description[:90]}…" if len(segment.description) > 90 else segment.description or "–"

    @display(description="Computed", ordering="computed_at")
    def computed(self, segment: Segment) -> str:
        return ago(segment.computed_at)


def _free_slug(segment: Segment) -> str:
    base = (slugify(segment.name) or "segment")[:70]
    taken = set(
        Segment.objects.for_store(segment.store_id)
        .filter(slug__startswith=base)
        .values_list("slug", flat=True)
    )
    number = 1
    while (slug := base if number == 1 else f"{base}-{number}") in taken:
        number += 1
    return slug


def _count(segment: Segment) -> tuple[list[str], int | None]:
    try:
        return [], count_members(segment.store, segment.rules)
    except InvalidRules as error:
        return [str(error)], None


def _grouped(rows: RuleRows) -> list[tuple[int, list[tuple[int, Row]]]]:
    """(group, its numbered rows), single conditions as group 0 first."""
    numbered = list(enumerate(rows.rows))
    return [
        (group, [(number, row) for number, row in numbered if row.group == group])
        for group in range(rows.groups + 1)
    ]


def _feature_choices() -> list[tuple[str, list[Any]]]:
    groups: dict[str, list[Any]] = {}
    for feature in FEATURES.values():
        groups.setdefault(feature.group, []).append(feature)
    return list(groups.items())


def _vocabulary() -> dict[str, Any]:
    """What the editor's script needs: each field with its operators, unit and choices."""
    return {
        "fields": {
            feature.name: {
                "kind": feature.kind.value,
                "operators": [operator.value for operator in OPERATORS[feature.kind]],
                "unit": feature.unit,
                "choices": list(feature.choices),
                "help": feature.help,
            }
            for feature in FEATURES.values()
        },
        "operators": {operator.value: label for operator, label in OPERATOR_LABELS.items()},
    }


def _members(segment: Segment) -> QuerySet[SegmentMembership] | list[SegmentMembership]:
    if segment.pk is None:
        return []
    rows = SegmentMembership.objects.for_store(segment.store_id).filter(segment=segment)
    return rows.select_related("customer", "visitor").order_by("-since", "-pk")[:MEMBERS_SHOWN]


def _centre(segment: Segment) -> list[tuple[str, str]]:
    """A cluster's centre in the units of its features."""
    if segment.kind != Segment.Kind.CLUSTER:
        return []
    newest = ClusterModel.objects.for_store(segment.store_id).order_by("-pk").first()
    centre = newest.centres.get(segment.slug, {}) if newest else {}
    return [(_label(name), f"{value:,.2f}") for name, value in centre.items()]


def _label(name: str) -> str:
    feature = FEATURES.get(name)
    return f"{feature.label}{f' ({feature.unit})' if feature.unit else ''}" if feature else name
