"""Merges of customer records: the review of two side by side, the record of what was decided, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.decorators import display

from accounts import auditing
from accounts.admin import panels
from accounts.admin.filters import MomentRangeFilter
from accounts.admin.scoped import ReadOnlyAdmin
from accounts.current_store import may, require, require_store, staff_user
from accounts.display.columns import when
from accounts.models import Customer, CustomerMerge, CustomersApart, IdentityLink, Visitor
from accounts.permissions import Ability
from accounts.selectors.origins import LABELS, FieldOrigin, Word, field_origins
from accounts.selectors.persons import records_of
from accounts.services.merges import (
    MergeRefused,
    apart_take_back,
    customers_keep_apart,
    customers_merge,
    merge_undo,
)

COMPARED_PANELS = ("consent", "orders", "segments")


@dataclass(frozen=True)
class Comparison:
    """What speaks for one person and against it, in words without direct identifiers; `score` 0 to 1. `kinds` are kept with a
    merge."""

    score: float = 0.0
    speaks_for: Sequence[str] = ()
    speaks_against: Sequence[str] = ()
    kinds: Sequence[str] = field(default_factory=tuple)


Comparer = Callable[[Customer, Customer], Comparison]
_comparer: Comparer | None = None


def register_comparer(comparer: Comparer) -> None:
    """Whoever knows how to tell whether two records are one person; called once, at start."""
    global _comparer
    _comparer = comparer


@dataclass(frozen=True)
class Side:
    """One of the two in the review."""

    customer: Customer
    records: list[Customer]
    links: list[IdentityLink]
    panels: list[SafeString]


@admin.register(CustomerMerge)
class CustomerMergeAdmin(ReadOnlyAdmin):
    view_ability = Ability.READ_SHOPPERS
    look_action = "merge.read"
    exports_people = True
    intro = (
        "Customer records that staff declared to be one person. Nothing is rewritten: both records are read as one, and one click "
        "gives both back."
    )
    empty_title = "Nothing merged"
    empty_text = (
        "Customers who may be one person are on the review list, found every night (`manage.py find_duplicates`). Compare "
        "them there, or from a customer's page with any other."
    )
    empty_link = ("Open the review list", "admin:tracking_finding_changelist")
    list_display = ("kept", "merged", "why", "who", "day", "state")
    list_filter = (("merged_at", MomentRangeFilter),)
    search_fields = ("kept__external_id__istartswith", "merged__external_id__istartswith")
    search_help_text = "Customer id"
    ordering = ("-merged_at",)
    list_select_related = ("kept", "merged", "merged_by", "undone_by")
    change_form_template = "admin/accounts/merge.html"
    export_columns = {
        "kept": "kept__external_id",
        "merged": "merged__external_id",
        "merged_at": "merged_at",
        "reason": "reason",
        "undone_at": "undone_at",
        "undo_reason": "undo_reason",
    }

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("compare/", wrap(self.compare_view), name="accounts_customermerge_compare"),
            path(
                "review/<int:first>/<int:second>/",
                wrap(self.review_view),
                name="accounts_customermerge_review",
            ),
            path("<path:object_id>/undo/", wrap(self.undo_view), name="accounts_customermerge_undo"),
            *super().get_urls(),
        ]

    def compare_view(self, request: HttpRequest) -> HttpResponse:
        """From a customer's page: `customer` (key) and `with` (the other's id in the shop)."""
        require(request, Ability.READ_SHOPPERS)
        customers = Customer.objects.for_store(require_store(request))
        asked = request.GET.get("customer", "")
        first = customers.filter(pk=int(asked)).first() if asked.isdecimal() else None
        if first is None:
            raise Http404("There is no such customer in this store.")
        wanted = request.GET.get("with", "").strip()
        second = customers.filter(external_id=wanted).exclude(pk=first.pk).first()
        if second is None:
            messages.error(
                request, f"There is no other customer {wanted!r}: type the whole id, as in the list."
            )
            return HttpResponseRedirect(_page_of(first))
        return HttpResponseRedirect(
            reverse("admin:accounts_customermerge_review", args=[first.pk, second.pk])
        )

    def review_view(self, request: HttpRequest, first: int, second: int) -> HttpResponse:
        """Two records side by side; POST `verdict` (`first` or `second`: keep that one; `apart`) and `reason`."""
        require(request, Ability.EDIT_SHOPPERS if request.method == "POST" else Ability.READ_SHOPPERS)
        customers = Customer.objects.for_store(require_store(request)).select_related("store")
        found = customers.in_bulk([first, second])
        if len(found) != 2:
            raise Http404("One of the two is not here, or no longer.")
        one, other = found[first], found[second]
        comparison = _comparer(one, other) if _comparer is not None else Comparison()
        if request.method == "POST":
            return self._judge(request, one, other, comparison)
        with transaction.atomic():
            auditing.record(
                store=one.store,
                actor=staff_user(request),
                action="customers.compared",
                target=f"customer:{one.public_id}",
                details={"other": str(other.public_id)},
            )
        sides = [self._side(request, one), self._side(request, other)]
        context = {
            **self.admin_site.each_context(request),
            "title": f"{one} and {other}: one person?",
            "opts": self.opts,
            "sides": sides,
            "facts": _facts(sides),
            "comparison": comparison,
            "score": round(comparison.score * 100),
            "are_one": other.pk in {record.pk for record in sides[0].records},
            "apart": CustomersApart.objects.for_store(one.store_id)
            .filter(first_id=min(first, second), second_id=max(first, second))
            .select_related("decided_by")
            .first(),
            "may_edit": may(request, Ability.EDIT_SHOPPERS),
            "may_reveal": may(request, Ability.READ_IDENTIFIERS),
        }
        return TemplateResponse(request, "admin/accounts/merge_review.html", context)

    def _side(self, request: HttpRequest, customer: Customer) -> Side:
        links = IdentityLink.objects.for_store(customer.store_id).filter(customer=customer, undone_at=None)
        return Side(
            customer,
            records_of(customer),
            list(links.select_related("visitor").order_by("-valid_from")[:10]),
            panels.rendered(request, customer, only=COMPARED_PANELS),
        )

    def _judge(
        self, request: HttpRequest, one: Customer, other: Customer, comparison: Comparison
    ) -> HttpResponse:
        verdict, reason = request.POST.get("verdict", ""), request.POST.get("reason", "")
        here = reverse("admin:accounts_customermerge_review", args=[one.pk, other.pk])
        try:
            if verdict == "apart":
                customers_keep_apart(one=one, other=other, actor=staff_user(request), reason=reason)
                messages.success(request, f"{one} and {other} are two people. They are not proposed again.")
                return HttpResponseRedirect(here)
            if verdict not in ("first", "second"):
                raise MergeRefused("Choose which record names the person, or that they are two.")
            kept, merged = (one, other) if verdict == "first" else (other, one)
            customers_merge(
                kept=kept,
                merged=merged,
                actor=staff_user(request),
                reason=reason,
                evidence={"score": comparison.score, "evidence": list(comparison.kinds)},
            )
        except MergeRefused as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(here)
        messages.success(request, f"{merged} is read as {kept} from now on. One click below undoes it.")
        return HttpResponseRedirect(_page_of(kept))

    def undo_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """One click: undoing loses nothing, and the merge can be made again."""
        merge = self.object_for(request, object_id, Ability.EDIT_SHOPPERS)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            merge_undo(merge=merge, actor=staff_user(request), reason=request.POST.get("reason", ""))
        except MergeRefused as error:
            messages.error(request, str(error))
        else:
            messages.success(request, f"{merge.kept} and {merge.merged} are two again, each as it was.")
        return HttpResponseRedirect(_page_of(merge.kept))

    def people_of(self, obj: CustomerMerge) -> list[Customer | Visitor]:
        return [obj.kept, obj.merged]

    def facts(self, request: HttpRequest, obj: CustomerMerge) -> list[tuple[str, Any]]:
        told = [
            ("Kept", obj.kept),
            ("Read as it", obj.merged),
            ("Why", obj.reason or "–"),
            ("By", obj.merged_by or "–"),
            ("When", when(obj.merged_at)),
        ]
        if obj.undone_at:
            told += [
                ("Undone", when(obj.undone_at)),
                ("By", obj.undone_by or "–"),
                ("Why", obj.undo_reason or "–"),
            ]
        return told

    def details(self, request: HttpRequest, obj: CustomerMerge) -> dict[str, Any]:
        return {"merge": obj, "may_edit": may(request, Ability.EDIT_SHOPPERS)}

    @display(description="Why")
    def why(self, merge: CustomerMerge) -> str:
        return merge.reason or "–"

    @display(description="By")
    def who(self, merge: CustomerMerge) -> str:
        return str(merge.merged_by or "–")

    @display(description="When", ordering="merged_at")
    def day(self, merge: CustomerMerge) -> str:
        return when(merge.merged_at)

    @display(description="State", label={"Undone": "warning", "In force": "success"})
    def state(self, merge: CustomerMerge) -> str:
        return "Undone" if merge.undone_at else "In force"


@admin.register(CustomersApart)
class CustomersApartAdmin(ReadOnlyAdmin):
    view_ability = Ability.READ_SHOPPERS
    look_action = "apart.read"
    exports_people = True
    intro = "Pairs of customers that somebody compared and found to be two people. They are not proposed again, nor merged."
    empty_title = "No pair kept apart"
    empty_text = "A pair appears here when somebody answers “not the same” in a review."
    list_display = ("first", "second", "why", "who", "day")
    list_display_links = ("first",)
    search_fields = ("first__external_id__istartswith", "second__external_id__istartswith")
    search_help_text = "Customer id"
    ordering = ("-decided_at",)
    list_select_related = ("first", "second", "decided_by")
    change_form_template = "admin/accounts/apart.html"
    export_columns = {
        "first": "first__external_id",
        "second": "second__external_id",
        "decided_at": "decided_at",
        "reason": "reason",
    }

    def get_urls(self) -> list[URLPattern]:
        take_back = self.admin_site.admin_view(self.take_back_view)
        return [
            path("<path:object_id>/take-back/", take_back, name="accounts_customersapart_take_back"),
            *super().get_urls(),
        ]

    def take_back_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        apart = self.object_for(request, object_id, Ability.EDIT_SHOPPERS)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        pair = [apart.first_id, apart.second_id]
        apart_take_back(apart=apart, actor=staff_user(request), reason=request.POST.get("reason", ""))
        messages.success(request, "The pair may be proposed and merged again.")
        return HttpResponseRedirect(reverse("admin:accounts_customermerge_review", args=pair))

    def people_of(self, obj: CustomersApart) -> list[Customer | Visitor]:
        return [obj.first, obj.second]

    def facts(self, request: HttpRequest, obj: CustomersApart) -> list[tuple[str, Any]]:
        return [
            ("First", obj.first),
            ("Second", obj.second),
            ("Why", obj.reason or "–"),
            ("By", obj.decided_by or "–"),
            ("When", when(obj.decided_at)),
        ]

    def details(self, request: HttpRequest, obj: CustomersApart) -> dict[str, Any]:
        return {"apart": obj, "may_edit": may(request, Ability.EDIT_SHOPPERS)}

    @display(description="Why")
    def why(self, apart: CustomersApart) -> str:
        return apart.reason or "–"

    @display(description="By")
    def who(self, apart: CustomersApart) -> str:
        return str(apart.decided_by or "–")

    @display(description="When", ordering="decided_at")
    def day(self, apart: CustomersApart) -> str:
        return when(apart.decided_at)


def _page_of(customer: Customer) -> str:
    return reverse("admin:accounts_customer_change", args=[customer.pk])


def _facts(sides: Sequence[Side]) -> list[dict[str, Any]]:
    """A row for each field that either has: both values, whether they agree, and where each came from."""
    told = [{origin.field: origin for origin in field_origins([side.customer])} for side in sides]
    rows = []
    for name, label in LABELS.items():
        if not any(name in side for side in told):
            continue
        is_identifier = any(name in side and side[name].is_identifier for side in told)
        cells = [_cell(side.get(name)) for side in told]
        are_both = all(name in side for side in told) and not is_identifier
        agree = are_both and cells[0].text == cells[1].text
        differ = are_both and not agree
        rows.append({"label": label, "cells": cells, "agree": agree, "differ": differ})
    return rows


@dataclass(frozen=True)
class Cell:
    text: str
    word: Word | None = None


def _cell(origin: FieldOrigin | None) -> Cell:
    if origin is None:
        return Cell("–")
    value = origin.word.value
    if origin.is_identifier:
        text = "in the vault"
    elif value in (None, "", []):
        text = "left empty"
    elif isinstance(value, list):
        text = ", ".join(str(entry.get("value", "")) for entry in value if isinstance(entry, dict))
    else:
        text = when(value) if isinstance(value, datetime) else str(value)
    return Cell(text, origin.word)
