"""The event explorer: the log, read only, newest first."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.contrib.filters.admin import (
    BooleanRadioFilter,
    ChoicesDropdownFilter,
    DropdownFilter,
)
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from accounts.admin.filters import InStoreFilter, MomentRangeFilter, value_filter
from accounts.admin.scoped import ReadOnlyAdmin
from accounts.current_store import require_store
from accounts.display.columns import DASH, pretty, when
from accounts.permissions import Ability
from consent.purposes import ALL, Purpose, slugs
from tracking.models import Event, EventType
from tracking.selectors.permitted import exportable_events
from tracking.vocabulary import KNOWN_EVENTS


class PurposeFilter(DropdownFilter):
    title = "purpose"
    parameter_name = "purpose"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(purpose.slug, purpose.slug.capitalize()) for purpose in ALL]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Event]) -> QuerySet[Event]:
        try:
            purpose = Purpose.from_slug(self.value() or "")
        except ValueError:
            return queryset
        return queryset.annotate(of_purpose=F("purposes").bitand(int(purpose))).filter(of_purpose__gt=0)


def shopper_link(row: Any) -> str:
    """The customer, else the visitor, with a link to their page."""
    if row.customer_id and row.customer:
        return format_html(
            '<a href="{}">{}</a>',
            reverse("admin:accounts_customer_change", args=[row.customer_id]),
            row.customer,
        )
    if row.visitor_id and row.visitor:
        name = row.visitor.anonymous_id
        shown = f"{name[:12]}…" if len(name) > 14 else name
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:accounts_visitor_change", args=[row.visitor_id]), shown
        )
    return DASH


def timeline_link(row: Any) -> str:
    """To everything that the row's customer, else its visitor, did; a dash for rows of nobody."""
    kind, pk = ("customer", row.customer_id) if row.customer_id else ("visitor", row.visitor_id)
    if not pk:
        return DASH
    return format_html(
        '<a href="{}">What else they did</a>', reverse("admin:tracking_timeline", args=[kind, pk])
    )


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    view_ability = Ability.READ_SHOPPERS
    look_action = "event.read"
    exports_people = True
    intro = "What shoppers did, as it was told and permitted. The log is never changed: rows leave it by erasure and retention."
    empty_title = "No events yet"
    empty_text = (
        "Put the tracker on a page of the shop, or send the first event with a key: it appears here at once. "
        "The debugger shows how, and what became of it."
    )
    empty_link = ("Open the debugger", "admin:tracking_debugger")
    # At 100 million rows a count takes minutes and says nothing: the paginator walks.
    paginator = InfinitePaginator
    list_display = ("happened", "event", "product_id", "shopper", "permitted_for", "source", "bot")
    list_display_links = ("event",)
    list_filter = (
        value_filter("name", "event", [(name, name) for name in sorted(KNOWN_EVENTS)]),
        ("type", ChoicesDropdownFilter),
        ("occurred_at", MomentRangeFilter),
        PurposeFilter,
        ("api_key", InStoreFilter),
        ("is_bot", BooleanRadioFilter),
    )
    search_fields = (
        "message_id__exact",
        "product_id__exact",
        "visitor__anonymous_id__exact",
        "customer__external_id__exact",
    )
    search_help_text = "Message id, product id, anonymous id or customer id, in full"
    ordering = ("-id",)
    sortable_by = ()
    list_select_related = ("visitor", "customer", "api_key")
    change_form_template = "admin/etalage/facts.html"
    export_columns = {
        "message_id": "message_id",
        "type": "type",
        "event": "name",
        "occurred_at": "occurred_at",
        "received_at": "received_at",
        "anonymous_id": "visitor__anonymous_id",
        "customer_id": "customer__external_id",
        "product_id": "product_id",
        "purposes": "purposes",
        "properties": "properties",
    }

    def export_rows(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        return exportable_events(require_store(request), rows)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        links = [{"label": "Live tail", "url": reverse("admin:tracking_tail")}]
        return super().changelist_view(request, {"list_links": links, **(extra_context or {})})

    def facts(self, request: HttpRequest, obj: Event) -> list[tuple[str, Any]]:
        return [
            ("Event", self.event(obj)),
            ("Happened", when(obj.occurred_at)),
            ("Received", when(obj.received_at)),
            ("Shopper", shopper_link(obj)),
            ("Timeline", timeline_link(obj)),
            ("Product", obj.product_id or DASH),
            ("May be used for", self.permitted_for(obj)),
            ("Sent with", self.source(obj)),
            ("Told by", "the shop's server" if obj.is_trusted else "a browser"),
            ("Bot", "yes" if obj.is_bot else "no"),
            ("Message id", obj.message_id),
        ]

    def details(self, request: HttpRequest, obj: Event) -> dict[str, Any]:
        return {"documents": [("Properties", pretty(obj.properties)), ("Context", pretty(obj.context))]}

    @display(description="When")
    def happened(self, event: Event) -> str:
        return when(event.occurred_at)

    @display(description="Event")
    def event(self, event: Event) -> str:
        return event.name or EventType(event.type).label

    @display(description="Shopper")
    def shopper(self, event: Event) -> str:
        return shopper_link(event)

    @display(description="May be used for")
    def permitted_for(self, event: Event) -> str:
        return ", ".join(slugs(event.purposes))

    @display(description="Sent with")
    def source(self, event: Event) -> str:
        return event.api_key.name if event.api_key else DASH

    @display(description="Bot", boolean=True)
    def bot(self, event: Event) -> bool:
        return event.is_bot
