"""Products, categories and brands. Serving processes read the catalogue again after each change here."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Count, F, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.contrib.filters.admin import BooleanRadioFilter, DropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from accounts.admin.filters import InStoreFilter
from accounts.admin.scoped import ScopedAdmin, ScopedModelForm
from accounts.current_store import current_store, require_store
from accounts.display.columns import thumbnail
from accounts.display.money import money
from accounts.permissions import Ability
from catalog import version
from catalog.models import Brand, Category, Product
from catalog.money import from_minor_units, to_minor_units
from catalog.services.categories import categories_ensure, slug_of

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


class CatalogAdmin(ScopedAdmin):
    view_ability = Ability.READ_CATALOG
    add_ability = Ability.EDIT_CATALOG
    change_ability = Ability.EDIT_CATALOG
    delete_ability = Ability.EDIT_CATALOG

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        version.bump_on_commit(obj.store_id)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        super().delete_model(request, obj)
        version.bump_on_commit(obj.store_id)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        super().delete_queryset(request, queryset)
        version.bump_on_commit(require_store(request).pk)


@admin.register(Product)
class ProductAdmin(CatalogAdmin):
    form = ProductForm
    intro = "What shelves are made of. A product that is inactive or sold out is on no shelf from the next request on."
    empty_title = "The catalogue is empty"
    empty_text = "Load it with `manage.py import_catalog`, send it by the products API, or add the first product by hand."
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


class CategoryForm(ScopedModelForm):
    class Meta:
        model = Category
        fields = ("name", "parent", "position")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.instance.pk is None and data.get("name"):
            parent = data.get("parent")
            self.instance.slug = slug_of(data["name"])
            self.instance.path = f"{parent.path}/{self.instance.slug}" if parent else self.instance.slug
        return data


@admin.register(Category)
class CategoryAdmin(CatalogAdmin):
    form = CategoryForm
    intro = "The tree that shoppers browse. Its paths stand in addresses and in rules, so that a category keeps its place."
    empty_title = "No categories yet"
    empty_text = "They are made with the products that are in them; or add the first one here."
    list_display = ("name", "path", "products", "active_products", "position")
    search_fields = ("name__icontains", "path__icontains")
    ordering = ("path",)
    list_select_related = ()
    autocomplete_fields = ("parent",)
    export_columns = {"path": "path", "name": "name", "position": "position"}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Category]:
        return (
            super()
            .get_queryset(request)
            .annotate(
                product_count=Count("products"),
                active_count=Count("products", filter=Q(products__is_active=True)),
            )
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("parent",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Category, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        store = require_store(request)
        names: list[str] = []
        node: Category | None = obj.parent
        while node:
            names.insert(0, node.name)
            node = node.parent
        obj.pk = categories_ensure(store=store, paths=[(*names, obj.name)])[(*names, obj.name)].pk
        version.bump_on_commit(store.pk)

    @display(description="Products", ordering="product_count")
    def products(self, category: Any) -> int:
        return int(category.product_count)

    @display(description="On sale", ordering="active_count")
    def active_products(self, category: Any) -> int:
        return int(category.active_count)


class BrandForm(ScopedModelForm):
    class Meta:
        model = Brand
        fields = ("name",)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.instance.pk is None and data.get("name"):
            self.instance.slug = slug_of(data["name"])
        return data


@admin.register(Brand)
class BrandAdmin(CatalogAdmin):
    form = BrandForm
    empty_title = "No brands yet"
    empty_text = "They are made with the products that carry them; or add the first one here."
    list_display = ("name", "slug", "products")
    search_fields = ("name__icontains",)
    ordering = ("name",)
    list_select_related = ()
    export_columns = {"slug": "slug", "name": "name"}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Brand]:
        return super().get_queryset(request).annotate(product_count=Count("products"))

    @display(description="Products", ordering="product_count")
    def products(self, brand: Any) -> int:
        return int(brand.product_count)
