"""Products."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from unfold.contrib.filters.admin import BooleanRadioFilter, DropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from accounts.admin.filters import InStoreFilter
from accounts.admin.scoped import ScopedModelForm
from accounts.current_store import current_store, may, require_store
from accounts.display.columns import thumbnail
from accounts.display.money import money
from accounts.permissions import Ability
from catalog import version
from catalog.admin.base import CatalogAdmin
from catalog.admin.imports import import_view
from catalog.models import Product
from catalog.money import from_minor_units, to_minor_units

LOW_STOCK = 5


class StockFilter(DropdownFilter):
    title = "stock"
    parameter_name = "stock_state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("out", "Sold out"),
            ("low", f"1 to {LOW_STOCK}"),
            ("in", "In stock"),
            ("untracked", "Not tracked"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Product]) -> QuerySet[Product]:
        states = {
            "out": Q(stock__lte=0),
            "low": Q(stock__gt=0, stock__lte=LOW_STOCK),
            "in": Q(stock__gt=0) | Q(stock=None),
            "untracked": Q(stock=None),
        }
        return queryset.filter(states[self.value()]) if self.value() in states else queryset


class PriceField(forms.DecimalField):
    """An amount in the store's currency; the model holds minor units."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=Decimal(0), widget=UnfoldAdminDecimalFieldWidget, **kwargs)


class ProductForm(ScopedModelForm):
    price = PriceField()
    list_price = PriceField(required=False, help_text="Price before a reduction.")
    cost = PriceField(
        required=False, help_text="What it costs the shop: for margin. Never shown to shoppers."
    )

    class Meta:
        model = Product
        fields = "__all__"

    _AMOUNTS = ("price", "list_price", "cost")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("description", "attributes", "tags"):
            if name in self.fields:
                self.fields[name].widget.attrs["rows"] = 4
        currency = self.instance.currency or self.store.currency
        for name in self._AMOUNTS:
            amount = getattr(self.instance, f"{name}_minor_units")
            if amount is not None and name in self.fields:
                self.initial[name] = from_minor_units(amount, currency)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        currency = data.get("currency") or self.instance.currency or self.store.currency
        for name in self._AMOUNTS:
            amount = data.get(name)
            try:
                setattr(
                    self.instance,
                    f"{name}_minor_units",
                    None if amount is None else to_minor_units(amount, currency),
                )
            except ValueError as error:
                self.add_error(name, ValidationError(str(error)))
        return data


@admin.register(Product)
class ProductAdmin(CatalogAdmin):
    form = ProductForm
    intro = "What shelves are made of. A product that is inactive or sold out is on no shelf from the next request on."
    empty_title = "The catalogue is empty"
    empty_text = "Import a file, send the products by the API, or add the first one by hand."
    list_display = ("picture", "title", "category", "brand", "price", "availability", "is_active")
    list_display_links = ("title",)
    list_filter = (
        ("category", InStoreFilter),
        ("brand", InStoreFilter),
        StockFilter,
        ("is_active", BooleanRadioFilter),
    )
    search_fields = ("name__icontains", "external_id__istartswith", "sku__istartswith")
    search_help_text = "Name, product id or SKU"
    ordering = ("name",)
    list_select_related = ("category", "brand")
    autocomplete_fields = ("category", "brand")
    actions = ("activate", "deactivate")
    fieldsets = (
        (None, {"fields": ("name", ("external_id", "sku"), ("category", "brand"), "description")}),
        ("Price", {"fields": (("price", "list_price", "cost"), "currency")}),
        ("Availability", {"fields": (("stock", "is_active"), ("published_at", "variant_group"))}),
        ("Details", {"fields": ("attributes", "tags", ("image_url", "url"))}),
    )
    export_columns = {
        "product_id": "external_id",
        "sku": "sku",
        "name": "name",
        "category": "category__path",
        "brand": "brand__name",
        "price_minor_units": "price_minor_units",
        "list_price_minor_units": "list_price_minor_units",
        "currency": "currency",
        "stock": "stock",
        "is_active": "is_active",
        "variant_group": "variant_group",
        "url": "url",
        "image_url": "image_url",
    }

    def get_urls(self) -> list[URLPattern]:
        upload = self.admin_site.admin_view(partial(import_view, self))
        return [path("import/", upload, name="catalog_product_import"), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        links = []
        if may(request, Ability.EDIT_CATALOG):
            links = [{"url": reverse("admin:catalog_product_import"), "label": "Import a file…"}]
        return super().changelist_view(request, {"list_links": links, **(extra_context or {})})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        # The id is what events carry: another one would orphan the product's history.
        return ("external_id",) if obj else ()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        store = current_store(request)
        return {"currency": store.currency if store else ""}

    @admin.action(description="Sell again", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[Product]) -> None:
        self._set_active(request, queryset, True)

    @admin.action(description="Take out of sale (can be undone)", permissions=["change"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet[Product]) -> None:
        self._set_active(request, queryset, False)

    def _set_active(self, request: HttpRequest, queryset: QuerySet[Product], is_active: bool) -> None:
        changed = list(queryset.exclude(is_active=is_active))
        for product in changed:
            product.is_active = is_active
            product.save(update_fields=["is_active", "updated_at"])
            self._record(request, product, "changed", {"fields": ["is_active"]})
        version.bump_on_commit(require_store(request).pk)
        state = "on sale" if is_active else "out of sale"
        self.message_user(
            request, f"{len(changed)} of the products chosen are now {state}; the others were already."
        )

    @display(description="")
    def picture(self, product: Product) -> str:
        return thumbnail(product.image_url)

    @display(description="Product", header=True, ordering="name")
    def title(self, product: Product) -> tuple[str, str]:
        return product.name, product.external_id

    @display(description="Price", ordering="price_minor_units")
    def price(self, product: Product) -> str:
        return money(product.price_minor_units, product.currency)

    @display(description="Stock", ordering=F("stock").asc(nulls_last=True))
    def availability(self, product: Product) -> str:
        if product.stock is None:
            return "not tracked"
        if product.stock <= 0:
            return format_html('<span class="pill pill--bad">{}</span>', "sold out")
        if product.stock <= LOW_STOCK:
            return format_html('<span class="pill pill--warn">{}</span>', f"{product.stock} left")
        return f"{product.stock:,}"
