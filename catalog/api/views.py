from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from django.db.models import Count, Q, QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView, RetrieveAPIView

from accounts.api.pagination import LimitedCursorPagination
from accounts.api.schema import ERRORS, NOT_FOUND
from accounts.authentication import HasScope, store_of
from accounts.models import Scope, Store
from catalog.api.serializers import PRODUCT_EXAMPLE, CategorySerializer, ProductQuery, ProductSerializer
from catalog.models import Category, Product
from catalog.money import to_minor_units
from catalog.selectors import active_products, categories_below, search_products

_CURSOR_ORDERINGS: Final = {
    "relevance": ("-relevance", "name", "pk"),
    "name": ("name", "pk"),
    "price": ("price_minor_units", "pk"),
    "-price": ("-price_minor_units", "-pk"),
    "newest": ("-created_at", "-pk"),
}
_NO_STOCK: Final = Q(stock__isnull=False, stock__lte=0)


class ProductList(ListAPIView[Product]):
    """Active products of the key's store, with filters."""

    permission_classes = [HasScope(Scope.RECOMMENDATIONS_READ)]
    serializer_class = ProductSerializer
    pagination_class = LimitedCursorPagination
    filter_backends: list[Any] = []
    cursor_ordering: tuple[str, ...] = ("name", "pk")

    @extend_schema(
        summary="List products",
        operation_id="products_list",
        parameters=[ProductQuery],
        responses={200: ProductSerializer(many=True), **ERRORS},
        examples=[OpenApiExample("A product", PRODUCT_EXAMPLE, response_only=True)],
        tags=["catalogue"],
    )
    def get(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[Product]:
        query = ProductQuery(data=self.request.query_params)
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        ordering = asked.get("ordering") or ("relevance" if asked.get("search") else "name")
        self.cursor_ordering = _CURSOR_ORDERINGS[ordering]
        store = store_of(self.request)
        products = _filtered(store, asked)
        if search := asked.get("search"):
            products = search_products(store, search, within=products)
        return products.select_related("category", "brand")


def _filtered(store: Store, asked: dict[str, Any]) -> QuerySet[Product]:
    products = active_products(store)
    if category := asked.get("category"):
        products = products.filter(category__in=categories_below(store, category.strip("/")))
    if brand := asked.get("brand"):
        products = products.filter(brand__slug=brand)
    if tag := asked.get("tag"):
        products = products.filter(tags__contains=[tag.lower()])
    if (low := asked.get("min_price")) is not None:
        products = products.filter(price_minor_units__gte=_minor_units("min_price", low, store))
    if (high := asked.get("max_price")) is not None:
        products = products.filter(price_minor_units__lte=_minor_units("max_price", high, store))
    if (in_stock := asked.get("in_stock")) is not None:
        products = products.exclude(_NO_STOCK) if in_stock else products.filter(_NO_STOCK)
    if since := asked.get("updated_since"):
        products = products.filter(updated_at__gte=since)
    return products


def _minor_units(field: str, amount: Decimal, store: Store) -> int:
    try:
        return to_minor_units(amount.normalize(), store.currency)
    except ValueError as error:
        raise ValidationError({field: [str(error)]}) from error


class ProductDetail(RetrieveAPIView[Product]):
    """One active product, by the shop's own id."""

    permission_classes = [HasScope(Scope.RECOMMENDATIONS_READ)]
    serializer_class = ProductSerializer
    lookup_field = "external_id"

    @extend_schema(
        summary="Get a product",
        operation_id="products_retrieve",
        responses={200: ProductSerializer, **ERRORS, 404: NOT_FOUND},
        examples=[OpenApiExample("A product", PRODUCT_EXAMPLE, response_only=True)],
        tags=["catalogue"],
    )
    def get(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[Product]:
        return active_products(store_of(self.request)).select_related("category", "brand")


class CategoryList(ListAPIView[Category]):
    """The category tree, parents before children."""

    permission_classes = [HasScope(Scope.RECOMMENDATIONS_READ)]
    serializer_class = CategorySerializer
    pagination_class = LimitedCursorPagination
    filter_backends: list[Any] = []
    cursor_ordering = ("path",)

    @extend_schema(
        summary="List categories",
        operation_id="categories_list",
        responses={200: CategorySerializer(many=True), **ERRORS},
        examples=[
            OpenApiExample(
                "A category",
                {
                    "path": "camping/tents",
                    "slug": "tents",
                    "name": "Tents",
                    "parent_path": "camping",
                    "position": 2,
                    "product_count": 51,
                },
                response_only=True,
            )
        ],
        tags=["catalogue"],
    )
    def get(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[Category]:
        store = store_of(self.request)
        active = Count("products", filter=Q(products__in=active_products(store)))
        return Category.objects.for_store(store).select_related("parent").annotate(product_count=active)
