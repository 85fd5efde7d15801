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
    fallback_heading = models.CharField(
        max_length=120,
        default="Popular right now",
        help_text="What they read where the shelf had nothing of its own to show and popular products stand in.",
    )
    kind = models.CharField(max_length=10, choices=Kind.choices)
    size = models.PositiveSmallIntegerField(default=12, help_text="Products on the shelf.")
    deadline_ms = models.PositiveIntegerField(
        default=150, help_text="Past it the shelf falls back to popular products."
    )
    excludes_purchased = models.BooleanField(default=True)
    excludes_viewed = models.BooleanField(default=False, help_text="For shelves of discovery.")
    is_about_page = models.BooleanField(
        default=False,
        help_text="Only the page's product or the cart counts, not what the shopper did before: for “similar products”.",
    )
    tops_up = models.BooleanField(
        default=True, help_text="Fill the places that the strategies leave empty with popular products."
    )
    uses_learned_reranker = models.BooleanField(
        "uses the learned reranker",
        default=True,
        help_text="Where a training learned a correction of the blend that did better than the blend alone, it is applied after your "
        "weights and before rules. It does nothing on shelves about the page, on product and cart pages, and for shoppers of whom "
        "nothing is known.",
    )
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["kind", "slug"]
        constraints = [models.UniqueConstraint(fields=["store", "slug"], name="placement_slug_per_store")]

    def __str__(self) -> str:
        return self.name


class BlendVersion(StoreScoped):
    """A version of a placement's weights. One is published; drafts are previewed; retired ones can come back; a bandit tries some."""

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        PUBLISHED = "published", "Published"
        RETIRED = "retired", "Retired"
        TRIAL = "trial", "Tried by a bandit"

    placement = models.ForeignKey(Placement, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    normalisation = models.CharField(max_length=8, default="max", help_text="max, zscore or rrf")
    max_per_brand = models.PositiveSmallIntegerField(null=True, blank=True)
    max_per_category = models.PositiveSmallIntegerField(null=True, blank=True)
    diversity = models.FloatField(default=0.0, help_text="0 (as scored) to 1 (as different as possible).")
    rerank = models.JSONField(
        default=dict, blank=True, help_text="What `recommendations.rerank_settings` reads; empty: all off."
    )
    note = models.CharField(max_length=300, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    published_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["placement", "number"], name="blend_number_per_placement"),
            models.UniqueConstraint(
                fields=["placement"],
                condition=models.Q(state="published"),
                name="one_published_blend_per_placement",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.placement} v{self.number}"


class Density(models.TextChoices):
    """How much is known about the shopper: the number of their recent interactions with products."""

    ANY = "", "Any"
    NOTHING = "nothing", "Nothing known"
    LITTLE = "little", "1 to 4 interactions"
    MUCH = "much", "5 and more interactions"


class BlendWeights(StoreScoped):
    """Weights of a version, `{"session_knn": 1.0, …}`, each ≥ 0, for everybody or for some.

    The row of the shopper's segment (lowest priority number first) and density wins, then the segment's, then the
    density's, then the one for everybody (segment and density empty), which every version has.
    """

    version = models.ForeignKey(BlendVersion, on_delete=models.CASCADE, related_name="weights")
    segment = models.ForeignKey(
        "segments.Segment", null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    density = models.CharField(max_length=8, choices=Density.choices, default=Density.ANY, blank=True)
    weights = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["version", "segment", "density"],
                nulls_distinct=False,
                name="one_weights_row_per_segment",
            )
        ]


class MerchandisingRule(StoreScoped):
    """Pin, boost, bury or hide what matches, on one placement or on all."""

    class Action(models.TextChoices):
        PIN = "pin", "Pin to a rank"
        BOOST = "boost", "Boost"
        BURY = "bury", "Bury"
        HIDE = "hide", "Hide"

    placement = models.ForeignKey(
        Placement, null=True, blank=True, on_delete=models.CASCADE, related_name="rules"
    )
    name = models.CharField(max_length=120)
    action = models.CharField(max_length=8, choices=Action.choices)
    product = models.ForeignKey(
        "catalog.Product", null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    category = models.ForeignKey(
        "catalog.Category", null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    brand = models.ForeignKey(
        "catalog.Brand", null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    factor = models.FloatField(
        default=1.5, help_text="Scores are multiplied by it (boost) or divided by it (bury)."
    )
    rank = models.PositiveSmallIntegerField(null=True, blank=True, help_text="For pins: 1 is first.")
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.name
