"""Orders as events told them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import display

from accounts.admin.filters import value_filter
from accounts.admin.scoped import ReadOnlyAdmin, ScopedInline
from accounts.display.columns import when
from accounts.display.money import money
from accounts.permissions import Ability
from consent.purposes import slugs
from tracking.admin.events import shopper_link
from tracking.models import Order, OrderLine


class OrderLineInline(ScopedInline):
    model = OrderLine
    verbose_name_plural = "lines"
    fields = ("product_id", "name", "quantity", "refunded_quantity", "unit_price", "discount")
    readonly_fields = fields
    ordering = ("position",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("order")

    @display(description="Unit price")
    def unit_price(self, line: OrderLine) -> str:
        return money(line.unit_price_minor_units, line.order.currency)

    @display(description="Discount")
    def discount(self, line: OrderLine) -> str:
        return money(line.discount_minor_units, line.order.currency)


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    view_ability = Ability.READ_SHOPPERS
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
        ("placed_at", RangeDateTimeFilter),
        value_filter("payment_method", "payment method"),
        ("is_blocked", BooleanRadioFilter),
    )
    search_fields = ("order_id__exact", "customer__external_id__exact", "coupon__exact")
    search_help_text = "Order id, customer id or coupon, in full"
    ordering = ("-placed_at",)
    list_select_related = ("customer", "visitor")
    inlines = (OrderLineInline,)
    fields = (
        ("order_id", "state", "placed"),
        ("shopper", "payment_method", "coupon"),
        ("subtotal", "shipping", "tax"),
        ("discount", "total", "refunded"),
        ("permitted_for", "is_blocked", "blocked_until"),
    )
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

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        shown = [
            "state",
            "placed",
            "shopper",
            "subtotal",
            "shipping",
            "tax",
            "discount",
            "total",
            "refunded",
            "permitted_for",
        ]
        return [*super().get_readonly_fields(request, obj), *shown]

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

    @display(description="Subtotal")
    def subtotal(self, order: Order) -> str:
        return money(order.subtotal_minor_units, order.currency)

    @display(description="Shipping")
    def shipping(self, order: Order) -> str:
        return money(order.shipping_minor_units, order.currency)

    @display(description="Tax")
    def tax(self, order: Order) -> str:
        return money(order.tax_minor_units, order.currency)

    @display(description="Discount")
    def discount(self, order: Order) -> str:
        return money(order.discount_minor_units, order.currency)

    @display(description="May be used for")
    def permitted_for(self, order: Order) -> str:
        return ", ".join(slugs(order.purposes))

    @display(description="Kept by law only", boolean=True)
    def blocked(self, order: Order) -> bool:
        return order.is_blocked
