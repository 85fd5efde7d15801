"""Visits, with what happened in them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.contrib.filters.admin import BooleanRadioFilter, DropdownFilter
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from accounts.admin.filters import MomentRangeFilter, value_filter
from accounts.admin.scoped import ReadOnlyAdmin
from accounts.current_store import current_store, require_store
from accounts.display.columns import duration, when
from accounts.display.money import money
from accounts.permissions import Ability
from consent.purposes import Purpose
from tracking.admin.events import shopper_link, timeline_link
from tracking.models import Event, Session
from tracking.selectors.permitted import rows_of_permitting

# A visit of more events is a robot or a mistake; the first ones show which.
MOST_EVENTS = 500


class OutcomeFilter(DropdownFilter):
    title = "outcome"
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("order", "Ended in an order"),
            ("cart", "Something in the cart, no order"),
            ("none", "Looked only"),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "order":
                return queryset.filter(order_count__gt=0)
            case "cart":
                return queryset.filter(order_count=0, cart_add_count__gt=0)
            case "none":
                return queryset.filter(order_count=0, cart_add_count=0)
        return queryset


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin):
    view_ability = Ability.READ_SHOPPERS
    look_action = "session.read"
    exports_people = True
    intro = "Visits: events of one visitor with gaps of at most 30 minutes. They are folded from the log and can be made again."
    empty_title = "No visits yet"
    empty_text = "Visits appear some minutes after the first events of visitors who agreed to be recognised."
    empty_link = ("Look at the events", "admin:tracking_event_changelist")
    paginator = InfinitePaginator
    list_display = (
        "start",
        "shopper",
        "length",
        "product_view_count",
        "cart_add_count",
        "revenue",
        "device",
        "country",
        "bot",
    )
    list_filter = (
        ("started_at", MomentRangeFilter),
        OutcomeFilter,
        value_filter("device", "device", [(name, name) for name in ("desktop", "mobile", "tablet")]),
        value_filter("country", "country"),
        ("is_bot", BooleanRadioFilter),
    )
    search_fields = ("visitor__anonymous_id__exact", "customer__external_id__exact")
    search_help_text = "Anonymous id or customer id, in full"
    ordering = ("-started_at",)
    list_select_related = ("visitor", "customer", "store")
    change_form_template = "admin/tracking/session.html"
    export_columns = {
        "started_at": "started_at",
        "ended_at": "ended_at",
        "anonymous_id": "visitor__anonymous_id",
        "customer_id": "customer__external_id",
        "events": "event_count",
        "product_views": "product_view_count",
        "searches": "search_count",
        "cart_adds": "cart_add_count",
        "orders": "order_count",
        "revenue_minor_units": "revenue_minor_units",
        "dwell_seconds": "dwell_seconds",
        "device": "device",
        "country": "country",
    }

    def export_rows(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows_of_permitting(rows, require_store(request), Purpose.ANALYTICS)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        session = self.object_for(request, object_id or "", Ability.READ_SHOPPERS)
        events = Event.objects.for_store(session.store_id).filter(
            visitor=session.visitor_id, occurred_at__gte=session.started_at, occurred_at__lte=session.ended_at
        )
        store = current_store(request)
        context = {
            "events": events.order_by("occurred_at", "id")[:MOST_EVENTS],
            "facts": [
                ("Shopper", shopper_link(session)),
                ("Timeline", timeline_link(session)),
                ("Began", when(session.started_at)),
                ("Lasted", duration((session.ended_at - session.started_at).total_seconds())),
                ("Looked at the page for", duration(session.dwell_seconds)),
                ("Products viewed", session.product_view_count),
                ("Searches", session.search_count),
                ("Added to the cart", session.cart_add_count),
                ("Revenue", money(session.revenue_minor_units, store.currency if store else "")),
                ("Device", session.device or "–"),
                ("Country", session.country or "–"),
            ],
            **(extra_context or {}),
        }
        return super().changeform_view(request, object_id, form_url, context)

    @display(description="Began", ordering="started_at")
    def start(self, session: Session) -> str:
        return when(session.started_at)

    @display(description="Shopper")
    def shopper(self, session: Session) -> str:
        return shopper_link(session)

    @display(description="Length")
    def length(self, session: Session) -> str:
        return duration((session.ended_at - session.started_at).total_seconds())

    @display(description="Revenue", ordering="revenue_minor_units")
    def revenue(self, session: Session) -> str:
        return money(session.revenue_minor_units, session.store.currency) if session.order_count else "–"

    @display(description="Bot", boolean=True)
    def bot(self, session: Session) -> bool:
        return session.is_bot
