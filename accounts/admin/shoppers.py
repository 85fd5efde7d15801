"""Customers, visitors and how they belong together. Names and addresses stay in the vault until somebody says why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.dateparse import parse_datetime
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.decorators import display

from accounts import auditing, vault
from accounts.admin import panels
from accounts.admin.confirmation import Confirmation, ReasonForm, confirm_page
from accounts.admin.filters import MomentRangeFilter, value_filter
from accounts.admin.scoped import ReadOnlyAdmin
from accounts.current_store import may, require_store, staff_user
from accounts.display.columns import ago, when
from accounts.models import Customer, IdentityLink, Visitor
from accounts.models.customer import PROFILE_FIELDS
from accounts.permissions import Ability
from accounts.selectors.origins import Word, field_origins
from accounts.selectors.persons import merges_of, records_of


@admin.register(Customer)
class CustomerAdmin(ReadOnlyAdmin):
    view_ability = Ability.READ_SHOPPERS
    look_action = "customer.read"
    exports_people = True
    intro = "People whom the shop knows by an id of its own. Names and addresses stand in the vault."
    empty_title = "No customers yet"
    empty_text = "A customer appears with the first identify call, order or import that carries the shop's customer id."
    list_display = ("external_id", "place", "device", "loyalty_status", "devices", "standing", "created")
    list_filter = (
        value_filter("country", "country"),
        value_filter("device", "device"),
        value_filter("loyalty_status", "loyalty status"),
        ("is_processing_restricted", BooleanRadioFilter),
        ("has_objected_to_profiling", BooleanRadioFilter),
        ("created_at", MomentRangeFilter),
    )
    search_fields = ("external_id__istartswith", "city__istartswith")
    search_help_text = "Customer id or city"
    ordering = ("-id",)
    list_select_related = ()
    change_form_template = "admin/accounts/shopper.html"
    # Pseudonymous on purpose: what is in the vault leaves by access requests only.
    export_columns = {
        "customer_id": "external_id",
        "country": "country",
        "region": "region",
        "device": "device",
        "language": "language",
        "loyalty_status": "loyalty_status",
        "birth_year": "birth_year",
        "processing_restricted": "is_processing_restricted",
        "objected_to_profiling": "has_objected_to_profiling",
        "created_at": "created_at",
    }

    def person_of(self, obj: Customer) -> Customer:
        return obj

    def get_queryset(self, request: HttpRequest) -> QuerySet[Customer]:
        live = Q(links__valid_until=None, links__undone_at=None)
        return (
            super()
            .get_queryset(request)
            .annotate(device_count=Count("links__visitor", filter=live, distinct=True))
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """An e-mail address is looked up in the vault, by those who may read it; the look-up is recorded."""
        if "@" not in search_term or not may(request, Ability.READ_IDENTIFIERS):
            return super().get_search_results(request, queryset, search_term)
        store = require_store(request)
        found = [customer.pk for customer in vault.find_by_email(store, search_term)]
        with transaction.atomic():
            details = {"found": len(found)}
            auditing.record(
                store=store,
                actor=staff_user(request),
                action="vault.searched",
                target="email",
                details=details,
            )
        return queryset.filter(pk__in=found), False

    def get_urls(self) -> list[URLPattern]:
        reveal = self.admin_site.admin_view(self.reveal_view)
        return [
            path("<path:object_id>/reveal/", reveal, name="accounts_customer_reveal"),
            *super().get_urls(),
        ]

    def reveal_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask why, record it, then show the vault's values in this answer alone: no address, log or session holds them."""
        customer = self.object_for(request, object_id, Ability.READ_IDENTIFIERS)
        form = ReasonForm(request.POST or None)
        if form.is_valid():
            with transaction.atomic():
                auditing.record(
                    store=customer.store,
                    actor=staff_user(request),
                    action="vault.read",
                    target=f"customer:{customer.public_id}",
                    reason=form.cleaned_data["reason"],
                )
            extra = {"identifiers": sorted(vault.get_all(customer).items()), "is_revealed": True}
            request.method = "GET"
            response = self.changeform_view(request, object_id, extra_context=extra)
            response["Cache-Control"] = "private, no-store"
            return response
        return confirm_page(
            request,
            self,
            Confirmation(
                title=f"Show name and addresses of {customer}?",
                consequences=[
                    "What the vault holds about this customer is decrypted and shown once, on the next page.",
                    "The audit log keeps that you looked, when, and the reason below.",
                ],
                undo="Nothing is changed. The entry in the audit log stays.",
                button="Show",
                back_url=reverse("admin:accounts_customer_change", args=[customer.pk]),
            ),
            form,
        )

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        customer = self.object_for(request, object_id or "", Ability.READ_SHOPPERS)
        records = records_of(customer)
        context = {
            "profile": _profile(records),
            "records": records if len(records) > 1 else [],
            "merges": merges_of(customer.store_id, [record.pk for record in records]),
            "links": IdentityLink.objects.for_store(customer.store_id)
            .filter(customer__in=records)
            .select_related("visitor")
            .order_by("-valid_from"),
            "panels": panels.rendered(request, customer),
            "may_reveal": may(request, Ability.READ_IDENTIFIERS),
            "may_edit": may(request, Ability.EDIT_SHOPPERS),
            "subtitle": str(customer),
            **(extra_context or {}),
        }
        return super().changeform_view(request, object_id, form_url, context)

    @display(description="Place")
    def place(self, customer: Customer) -> str:
        return ", ".join(part for part in (customer.city, customer.country) if part) or "–"

    @display(description="Devices", ordering="device_count")
    def devices(self, customer: Any) -> int:
        return int(customer.device_count)

    @display(description="Standing", label={"Restricted": "danger", "Objected": "warning", "Paused": "info"})
    def standing(self, customer: Customer) -> str | None:
        if customer.is_processing_restricted:
            return "Restricted"
        if customer.has_objected_to_profiling:
            return "Objected"
        return "Paused" if customer.is_personalisation_paused else None

    @display(description="Known since", ordering="created_at")
    def created(self, customer: Customer) -> str:
        return when(customer.created_at)


def _profile(records: Sequence[Customer]) -> list[dict[str, Any]]:
    """Each field with the value that counts, where it came from, and what other sources said."""
    return [
        {
            "label": origin.label,
            "value": _shown(origin.field, origin.word),
            "word": origin.word,
            # Who says the same is not outranked.
            "others": [
                (_shown(origin.field, word), word)
                for word in origin.others
                if origin.is_identifier or word.value != origin.word.value
            ],
            "is_identifier": origin.is_identifier,
        }
        for origin in field_origins(records)
    ]


def _shown(field: str, word: Word) -> str:
    """A value as people read it. Direct identifiers are not shown here."""
    value = word.value
    if field not in PROFILE_FIELDS:
        return "in the vault"
    if value in (None, "", []):
        return "left empty"
    if field == "interests":
        return ", ".join(str(entry.get("value", "")) for entry in value if isinstance(entry, dict))
    if field == "account_created_at":
        moment = parse_datetime(value) if isinstance(value, str) else value
        return when(moment) if moment else str(value)
    return str(value)


@admin.register(Visitor)
class VisitorAdmin(ReadOnlyAdmin):
    view_ability = Ability.READ_SHOPPERS
    look_action = "visitor.read"
    exports_people = True
    intro = "Browsers and apps that agreed to be recognised. Who refused is not here."
    empty_title = "No visitors yet"
    empty_text = "Put the tracker on a page of the shop. Whoever then agrees to analytics or personalisation appears here."
    list_display = ("anonymous_id", "country", "device", "bot", "first_seen", "last_seen")
    list_filter = (
        value_filter("country", "country"),
        value_filter("device", "device"),
        ("is_bot", BooleanRadioFilter),
        ("last_seen_at", MomentRangeFilter),
    )
    search_fields = ("anonymous_id__startswith",)
    search_help_text = "Anonymous id"
    ordering = ("-last_seen_at",)
    list_select_related = ()
    change_form_template = "admin/accounts/shopper.html"
    export_columns = {
        "anonymous_id": "anonymous_id",
        "country": "country",
        "device": "device",
        "is_bot": "is_bot",
        "first_seen_at": "first_seen_at",
        "last_seen_at": "last_seen_at",
    }

    def person_of(self, obj: Visitor) -> Visitor:
        return obj

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        visitor = self.object_for(request, object_id or "", Ability.READ_SHOPPERS)
        profile = [("First seen", when(visitor.first_seen_at)), ("Last seen", when(visitor.last_seen_at))]
        profile += [
            ("Country", visitor.country),
            ("Device", visitor.device),
            ("Bot", "yes" if visitor.is_bot else "no"),
        ]
        links = IdentityLink.objects.for_store(visitor.store_id).filter(visitor=visitor)
        context = {
            "profile": [{"label": label, "value": value} for label, value in profile if value],
            "links": links.select_related("customer").order_by("-valid_from"),
            "panels": panels.rendered(request, visitor),
            "may_edit": may(request, Ability.EDIT_SHOPPERS),
            "subtitle": str(visitor),
            **(extra_context or {}),
        }
        return super().changeform_view(request, object_id, form_url, context)

    @display(description="Bot", boolean=True, ordering="is_bot")
    def bot(self, visitor: Visitor) -> bool:
        return visitor.is_bot

    @display(description="First seen", ordering="first_seen_at")
    def first_seen(self, visitor: Visitor) -> str:
        return when(visitor.first_seen_at)

    @display(description="Last seen", ordering="last_seen_at")
    def last_seen(self, visitor: Visitor) -> str:
        return ago(visitor.last_seen_at)
