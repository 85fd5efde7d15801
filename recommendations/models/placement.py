from __future__ import annotations

from django.conf import settings
from django.db import models

from accounts.scoping import StoreScoped


class Placement(StoreScoped):
    """A place for a shelf: home, product, cart, category, e-mail, or one of the shop's own."""

    class Kind(models.TextChoices):
        HOME = "home", "Home page"
        PRODUCT = "product", "Product page"
        CART = "cart", "Cart"
        CATEGORY = "category", "Category page"
        EMAIL = "email", "E-mail"

    slug = models.SlugField(max_length=60)
    name = models.CharField(max_length=120)
    heading = models.CharField(max_length=120, help_text="What shoppers read above the shelf.")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    size = models.PositiveSmallIntegerField(default=12, help_text="Products on the shelf.")
    deadline_ms = models.PositiveIntegerField(default=150, help_text="Past it the shelf falls back to popular products.")
    excludes_purchased = models.BooleanField(default=True)
    excludes_viewed = models.BooleanField(default=False, help_text="For shelves of discovery.")
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["kind", "slug"]
        constraints = [models.UniqueConstraint(fields=["store", "slug"], name="placement_slug_per_store")]

    def __str__(self) -> str:
        return self.name


class BlendVersion(StoreScoped):
    """A version of a placement's weights. One is published; drafts are previewed; retired ones can come back."""

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        PUBLISHED = "published", "Published"
        RETIRED = "retired", "Retired"

    placement = models.ForeignKey(Placement, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    normalisation = models.CharField(max_length=8, default="max", help_text="max, zscore or rrf")
    max_per_brand = models.PositiveSmallIntegerField(null=True, blank=True)
    max_per_category = models.PositiveSmallIntegerField(null=True, blank=True)
    diversity = models.FloatField(default=0.0, help_text="0 (as scored) to 1 (as different as possible).")
    note = models.CharField(max_length=300, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    published_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["placement", "number"], name="blend_number_per_placement"),
            models.UniqueConstraint(
                fields=["placement"], condition=models.Q(state="published"), name="one_published_blend_per_placement"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.placement} v{self.number}"


class BlendWeights(StoreScoped):
    """Weights of a version for everybody (segment empty) or for one segment: `{"session_knn": 1.0, …}`, each ≥ 0."""

    version = models.ForeignKey(BlendVersion, on_delete=models.CASCADE, related_name="weights")
    segment = models.ForeignKey("segments.Segment", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    weights = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["version", "segment"], nulls_distinct=False, name="one_weights_row_per_segment")
        ]


class MerchandisingRule(StoreScoped):
    """Pin, boost, bury or hide what matches, on one placement or on all."""

    class Action(models.TextChoices):
        PIN = "pin", "Pin to a rank"
        BOOST = "boost", "Boost"
        BURY = "bury", "Bury"
        HIDE = "hide", "Hide"

    placement = models.ForeignKey(Placement, null=True, blank=True, on_delete=models.CASCADE, related_name="rules")
    name = models.CharField(max_length=120)
    action = models.CharField(max_length=8, choices=Action.choices)
    product = models.ForeignKey("catalog.Product", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    category = models.ForeignKey("catalog.Category", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    brand = models.ForeignKey("catalog.Brand", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    factor = models.FloatField(default=1.5, help_text="Scores are multiplied by it (boost) or divided by it (bury).")
    rank = models.PositiveSmallIntegerField(null=True, blank=True, help_text="For pins: 1 is first.")
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.name
