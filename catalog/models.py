from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models

from accounts.scoping import StoreScoped


class Category(StoreScoped):
    """A node of the category tree. `path` joins the slugs from the root: `camping/tents`."""

    slug = models.SlugField(max_length=80)
    name = models.CharField(max_length=120)
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="children"
    )
    path = models.CharField(max_length=400)
    position = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "categories"
        ordering = ["path"]
        constraints = [models.UniqueConstraint(fields=["store", "path"], name="category_path_per_store")]

    def __str__(self) -> str:
        return self.name


class Brand(StoreScoped):
    slug = models.SlugField(max_length=80)
    name = models.CharField(max_length=120)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["store", "slug"], name="brand_slug_per_store")]

    def __str__(self) -> str:
        return self.name


class Product(StoreScoped):
    """Something the shop sells. `external_id` is the `product_id` of events. Prices are in minor units (cents)."""

    external_id = models.CharField(max_length=120)
    sku = models.CharField(max_length=120, blank=True)
    name = models.CharField(max_length=250)
    description = models.TextField(blank=True)
    category = models.ForeignKey(
        Category, null=True, blank=True, on_delete=models.SET_NULL, related_name="products"
    )
    brand = models.ForeignKey(
        Brand, null=True, blank=True, on_delete=models.SET_NULL, related_name="products"
    )
    price_minor_units = models.PositiveIntegerField()
    list_price_minor_units = models.PositiveIntegerField(
        null=True, blank=True, help_text="Price before a reduction."
    )
    cost_minor_units = models.PositiveIntegerField(
        null=True, blank=True, help_text="What it costs the shop: for margin."
    )
    currency = models.CharField(max_length=3)
    stock = models.IntegerField(
        null=True, blank=True, help_text="Empty: stock is not tracked, always available."
    )
    attributes = models.JSONField(default=dict, blank=True, help_text='{"colour": "red", "size": ["M", "L"]}')
    tags = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    variant_group = models.CharField(
        max_length=120, blank=True, help_text="Products of one family share it: one of them a page."
    )
    image_url = models.CharField(max_length=500, blank=True)
    url = models.CharField(max_length=500, blank=True)
    is_active = models.BooleanField(default=True)
    published_at = models.DateTimeField(
        null=True, blank=True, help_text="When it came into the shop: for new arrivals."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store", "external_id"], name="product_external_id_per_store")
        ]
        indexes = [
            models.Index(fields=["store", "category"]),
            models.Index(fields=["store", "brand"]),
            # The expression that catalog.selectors.search asks with.
            GinIndex(SearchVector("name", "description", config="english"), name="product_text"),
        ]

    def __str__(self) -> str:
        return self.name
