"""Orders as events told them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter
from unfold.decorators import display

from accounts.admin.filters import MomentRangeFilter, value_filter
from accounts.admin.scoped import ReadOnlyAdmin
from accounts.display.columns import moment_text, when
from accounts.display.money import money
from accounts.permissions import Ability
from consent.purposes import slugs
from tracking.admin.events import shopper_link
from tracking.models import Order, SettledPayment


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    view_ability = Ability.READ_SHOPPERS
    look_action = "order.read"
    exports_people = True
    intro = "Orders, folded from their events. One that only a browser told is unconfirmed until the shop's server sends the same id."
    empty_title = "No orders yet"
    empty_text = "An order appears with its first Order Completed event. Send it from the shop's server, with a secret key."
    list_display = (
        "order_id",
        "placed",
        "shopper",
        "state",
        "total",
        "refunded",
        "payment_method",
        "blocked",
    )
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("placed_at", MomentRangeFilter),
        value_filter("payment_method", "payment method"),
        ("is_blocked", BooleanRadioFilter),
    )
    search_fields = ("order_id__exact", "customer__external_id__exact", "coupon__exact")
    search_help_text = "Order id, customer id or coupon, in full"
    ordering = ("-placed_at",)
    list_select_related = ("customer", "visitor")
    change_form_template = "admin/tracking/order.html"
    export_columns = {
        "order_id": "order_id",
        "placed_at": "placed_at",
        "status": "status",
        "customer_id": "customer__external_id",
        "currency": "currency",
        "total_minor_units": "total_minor_units",
        "discount_minor_units": "discount_minor_units",
        "refunded_minor_units": "refunded_minor_units",
        "payment_method": "payment_method",
        "coupon": "coupon",
    }

    def facts(self, request: HttpRequest, obj: Order) -> list[tuple[str, Any]]:
        def amount(minor_units: int | None) -> str:
            return money(minor_units, obj.currency)

        return [
            ("Status", obj.get_status_display()),
            ("Placed", when(obj.placed_at)),
            ("Shopper", shopper_link(obj)),
            ("Total", amount(obj.total_minor_units)),
            ("Subtotal", amount(obj.subtotal_minor_units)),
            ("Shipping", amount(obj.shipping_minor_units)),
            ("Tax", amount(obj.tax_minor_units)),
            ("Discount", amount(obj.discount_minor_units)),
            ("Refunded", amount(obj.refunded_minor_units)),
            ("Paid by", obj.payment_method or "–"),
            ("Coupon", obj.coupon or "–"),
            ("May be used for", ", ".join(slugs(obj.purposes))),
            ("Kept by law only", f"until {moment_text(obj.blocked_until)}" if obj.is_blocked else "no"),
        ]

    def details(self, request: HttpRequest, obj: Order) -> dict[str, Any]:
        return {
            "order": obj,
            "lines": obj.lines.order_by("position"),
            "payments": obj.payments.order_by("position"),
            "settled": SettledPayment.objects.for_store(obj.store_id)
            .filter(order_id=obj.order_id)
            .order_by("settled_at", "pk"),
        }

    @display(description="Placed", ordering="placed_at")
    def placed(self, order: Order) -> str:
        return when(order.placed_at)

    @display(description="Shopper")
    def shopper(self, order: Order) -> str:
        return shopper_link(order)

    @display(
        description="Status",
        ordering="status",
        label={
            "Completed": "success",
            "Told by a browser only": "warning",
            "Partly refunded": "info",
            "Refunded": "info",
            "Cancelled": "danger",
        },
    )
    def state(self, order: Order) -> str:
        return order.get_status_display()

    @display(description="Total", ordering="total_minor_units")
    def total(self, order: Order) -> str:
        return money(order.total_minor_units, order.currency)

    @display(description="Refunded", ordering="refunded_minor_units")
    def refunded(self, order: Order) -> str:
        return money(order.refunded_minor_units, order.currency) if order.refunded_minor_units else "–"

    @display(description="Kept by law only", boolean=True)
    def blocked(self, order: Order) -> bool:
        return order.is_blocked
