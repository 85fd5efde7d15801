from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from catalog.models import Category, Product
from catalog.money import from_minor_units

ORDERINGS: Final = ("relevance", "name", "price", "-price", "newest")


class ProductQuery(serializers.Serializer[Any]):
    """What may be asked of the list of products."""

    search = serializers.CharField(required=False, max_length=200, help_text="Words; each must be found.")
    category = serializers.CharField(
        required=False, max_length=400, help_text="Path of a category, all below it included: camping/tents."
    )
    brand = serializers.CharField(required=False, max_length=80, help_text="Slug of a brand.")
    tag = serializers.CharField(required=False, max_length=60)
    min_price = serializers.DecimalField(
        required=False, max_digits=12, decimal_places=3, min_value=Decimal(0)
    )
    max_price = serializers.DecimalField(
        required=False, max_digits=12, decimal_places=3, min_value=Decimal(0)
    )
    in_stock = serializers.BooleanField(
        required=False, allow_null=True, default=None, help_text="true: only what can be ordered now."
    )
    updated_since = serializers.DateTimeField(
        required=False, help_text="Changed at or after this moment (ISO 8601)."
    )
    ordering = serializers.ChoiceField(
        choices=ORDERINGS, required=False, help_text="Default: relevance with a search, else name."
    )

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        low, high = values.get("min_price"), values.get("max_price")
        if low is not None and high is not None and low > high:
            raise serializers.ValidationError({"min_price": ["Is above max_price."]})
        if values.get("ordering") == "relevance" and not values.get("search"):
            raise serializers.ValidationError({"ordering": ["Relevance needs a search."]})
        return values


class ProductSerializer(serializers.ModelSerializer[Product]):
    """A product as anybody may see it: what it costs the shop is not in here."""

    product_id = serializers.CharField(
        source="external_id", help_text="The shop's own id, the `product_id` of events."
    )
    category = serializers.CharField(source="category.path", default=None, help_text="Path of its category.")
    brand = serializers.CharField(source="brand.name", default=None)
    price = serializers.SerializerMethodField(help_text="In the currency's main unit.")
    list_price = serializers.SerializerMethodField(help_text="Before a reduction; null: not reduced.")
    is_in_stock = serializers.SerializerMethodField()

    class Meta:
        model = Product
        fields = [
            "product_id",
            "sku",
            "name",
            "description",
            "category",
            "brand",
            "price",
            "price_minor_units",
            "list_price",
            "currency",
            "is_in_stock",
            "stock",
            "attributes",
            "tags",
            "variant_group",
            "image_url",
            "url",
            "published_at",
            "updated_at",
        ]

    @extend_schema_field(OpenApiTypes.DECIMAL)
    def get_price(self, product: Product) -> str:
        return str(from_minor_units(product.price_minor_units, product.currency))

    @extend_schema_field({"type": "string", "format": "decimal", "nullable": True})
    def get_list_price(self, product: Product) -> str | None:
        if product.list_price_minor_units is None:
            return None
        return str(from_minor_units(product.list_price_minor_units, product.currency))

    @extend_schema_field(OpenApiTypes.BOOL)
    def get_is_in_stock(self, product: Product) -> bool:
        return product.stock is None or product.stock > 0


class CategorySerializer(serializers.ModelSerializer[Category]):
    parent_path = serializers.CharField(
        source="parent.path", default=None, help_text="Path of the parent; null: a root."
    )
    product_count = serializers.IntegerField(
        help_text="Active products in it, those further below not counted."
    )

    class Meta:
        model = Category
        fields = ["path", "slug", "name", "parent_path", "position", "product_count"]


PRODUCT_EXAMPLE: Final = {
    "product_id": "TENT-2P",
    "sku": "TENT-2P-GRN",
    "name": "Ridge 2 Tent",
    "description": "Two people, two kilograms, two minutes.",
    "category": "camping/tents",
    "brand": "Northfold",
    "price": "189.00",
    "price_minor_units": 18900,
    "list_price": "229.00",
    "currency": "EUR",
    "is_in_stock": True,
    "stock": 14,
    "attributes": {"colour": "green"},
    "tags": ["ultralight"],
    "variant_group": "TENT-2P",
    "image_url": "/media/products/tent-2p.svg",
    "url": "/products/tent-2p/",
    "published_at": "2026-02-01T08:00:00Z",
    "updated_at": "2026-03-01T12:00:00Z",
}
