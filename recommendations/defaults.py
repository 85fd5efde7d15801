"""What a new store starts with: event weights, placements and their first weights. `docs/algorithms.md` says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from django.utils.translation import gettext_noop as _

from recommendations.models import Density, Placement

EVENT_WEIGHTS: Final[Mapping[str, float]] = MappingProxyType(
    {
        "Product Viewed": 1.0,
        "Product Added to Wishlist": 3.0,
        "Product Added": 4.0,
        "Wishlist Product Added to Cart": 4.0,
        "Product Shared": 2.0,
        "Product Reviewed": 3.0,
        "Order Completed": 8.0,
    }
)
"""A purchase is not a view. Events that are not listed say nothing: a Product Clicked is followed by the Product Viewed that counts."""

Weights = Mapping[str, float]


@dataclass(frozen=True)
class PlacementDefaults:
    """`weights` are for everybody, `by_density` for shoppers of whom that much is known."""

    slug: str
    name: str
    heading: str
    kind: Placement.Kind
    weights: Weights
    by_density: Mapping[Density, Weights] = field(default_factory=dict)
    fallback_heading: str = _("Popular right now")
    excludes_purchased: bool = True
    excludes_viewed: bool = False
    tops_up: bool = True
    is_about_page: bool = False
    max_per_brand: int | None = None
    max_per_category: int | None = None
    diversity: float = 0.0
    size: int = 12


PLACEMENTS: Final = (
    PlacementDefaults(
        "home", "Home page", _("For you"), Placement.Kind.HOME,
        weights={
            "session_knn": 1.0, "item_vectors": 0.6, "user_knn": 0.4, "als": 0.4, "item_knn": 0.3, "content": 0.2, "lightfm": 0.1,
            "popular_in_category": 0.2, "interests": 0.3, "trending": 0.1,
        },
        by_density={
            Density.NOTHING: {"trending": 1.0, "popular": 0.6, "interests": 1.0, "lightfm": 0.3, "new": 0.2},
            Density.LITTLE: {
                "session_knn": 1.0, "viewed_next": 0.4, "content": 0.6, "popular_in_category": 0.5, "interests": 0.5, "trending": 0.2,
            },
        },
        diversity=0.15, max_per_brand=4, max_per_category=6, excludes_viewed=True,
    ),
    PlacementDefaults(
        "product", "Product page", _("You may also like"), Placement.Kind.PRODUCT,
        weights={"viewed_next": 1.0, "item_knn": 0.6, "content": 0.5, "item_vectors": 0.4, "session_knn": 0.4, "trending": 0.05},
        excludes_purchased=False,
    ),
    PlacementDefaults(
        "cart", "Cart", _("Goes well with your cart"), Placement.Kind.CART,
        weights={"bought_together": 1.0, "ease": 0.5, "item_knn": 0.4, "viewed_next": 0.2, "trending": 0.05},
        size=8,
    ),
    PlacementDefaults(
        "category", "Category page", _("Picked for you here"), Placement.Kind.CATEGORY,
        weights={"session_knn": 1.0, "als": 0.4, "content": 0.4, "item_knn": 0.3, "trending": 0.4, "popular": 0.2},
        fallback_heading=_("Popular in this category"), max_per_brand=4,
    ),
    PlacementDefaults(
        "email", "E-mail", _("Picked for you"), Placement.Kind.EMAIL,
        weights={
            "als": 1.0, "user_knn": 0.8, "ease": 0.6, "session_knn": 0.6, "content": 0.4, "lightfm": 0.2, "interests": 0.4,
            "new_items": 0.3, "new": 0.2, "trending": 0.2,
        },
        excludes_viewed=False, diversity=0.2, max_per_category=3, size=6,
    ),
    PlacementDefaults(
        "similar", "Similar products", _("Similar products"), Placement.Kind.PRODUCT,
        weights={"content": 1.0, "item_knn": 0.5, "item_vectors": 0.5}, excludes_purchased=False, is_about_page=True,
    ),
    PlacementDefaults(
        "bought-together", "Bought together", _("Often bought together"), Placement.Kind.PRODUCT,
        weights={"bought_together": 1.0}, tops_up=False, excludes_purchased=False, size=4, is_about_page=True,
    ),
    PlacementDefaults(
        "viewed-next", "Viewed next", _("Others went on to"), Placement.Kind.PRODUCT,
        weights={"viewed_next": 1.0}, tops_up=False, excludes_purchased=False, is_about_page=True,
    ),
    PlacementDefaults(
        "trending", "Trending", _("Trending now"), Placement.Kind.HOME,
        weights={"trending": 1.0}, fallback_heading=_("Trending now"), excludes_purchased=False, max_per_category=4,
    ),
    PlacementDefaults(
        "new", "New arrivals", _("New in"), Placement.Kind.HOME,
        weights={"new_items": 1.0, "new": 0.6}, fallback_heading=_("New in"), tops_up=False, max_per_category=4,
    ),
    PlacementDefaults(
        "recently-viewed", "Recently viewed", _("Recently viewed"), Placement.Kind.HOME,
        weights={"recently_viewed": 1.0}, tops_up=False, excludes_purchased=False,
    ),
)  # fmt: skip
