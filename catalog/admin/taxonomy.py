"""Categories and brands."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from accounts.admin.scoped import ScopedModelForm
from accounts.current_store import require_store
from catalog import version
from catalog.admin.base import CatalogAdmin
from catalog.models import Brand, Category
from catalog.services.categories import categories_ensure, slug_of


class CategoryForm(ScopedModelForm):
    made_fields = ("path",)

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
    made_fields = ("slug",)

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
