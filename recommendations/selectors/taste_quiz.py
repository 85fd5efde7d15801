"""What the taste quiz asks: pictures, categories and brands that tell tastes apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from accounts.models import Store
from catalog.models import Brand, Category
from recommendations.pipeline import open_context
from recommendations.selectors.shoppers import read_known_shopper
from recommendations.serving.assortment import Assortment
from recommendations.shelf import RecommendationRequest, ShelfProduct, Shopper

T = TypeVar("T", Category, Brand)

PICTURES = 9
CATEGORIES = 12
BRANDS = 12


@dataclass(frozen=True)
class Quiz:
    """`stated`: (kind, value) pairs that the shopper has said already. `pictures` are the most wanted product of each of the
    most wanted categories, no brand twice while others are left, so that each answer says something that the others do not."""

    is_permitted: bool
    pictures: tuple[ShelfProduct, ...] = ()
    categories: tuple[Category, ...] = ()
    brands: tuple[Brand, ...] = ()
    stated: frozenset[tuple[str, str]] = frozenset()


def taste_quiz(store: Store, shopper: Shopper) -> Quiz:
    """Raises what `open_context` raises where the store has no home shelf to be asked for."""
    known = read_known_shopper(store, shopper)
    if shopper.has_paused or not known.may_personalise:
        return Quiz(is_permitted=False)
    context, _deadline = open_context(RecommendationRequest(store=store, placement="home", shopper=shopper))
    assortment = context.snapshot.assortment
    categories = _wanted(assortment, "category_id")
    brands = _wanted(assortment, "brand_id")
    named = {
        category.pk: category for category in Category.objects.for_store(store).filter(pk__in=categories)
    }
    makers = {brand.pk: brand for brand in Brand.objects.for_store(store).filter(pk__in=brands)}
    stated = frozenset(known.interests)
    # What was said stays to be seen, and to be taken back, however little it is wanted by others.
    return Quiz(
        is_permitted=True,
        pictures=_pictures(assortment),
        categories=_with_stated([named[pk] for pk in categories if pk in named], "category", "path", stated),
        brands=_with_stated([makers[pk] for pk in brands if pk in makers], "brand", "slug", stated),
        stated=stated,
    )


def _with_stated(wanted: list[T], kind: str, field: str, stated: frozenset[tuple[str, str]]) -> tuple[T, ...]:
    most = CATEGORIES if kind == "category" else BRANDS
    return tuple(
        entry for rank, entry in enumerate(wanted) if rank < most or (kind, getattr(entry, field)) in stated
    )


def _in_order(assortment: Assortment) -> list[ShelfProduct]:
    """What can be had, the most wanted first."""
    places = [place for place in assortment.standing.order.tolist() if assortment.available[place]]
    return [product for product in map(assortment.products.__getitem__, places) if product is not None]


def _wanted(assortment: Assortment, field: str) -> list[int]:
    """Primary keys of categories or brands in the order of their most wanted product."""
    found = dict.fromkeys(getattr(product, field) for product in _in_order(assortment))
    return [pk for pk in found if pk is not None]


def _pictures(assortment: Assortment) -> tuple[ShelfProduct, ...]:
    candidates = [
        product for product in _in_order(assortment) if product.image_url and product.category_id is not None
    ]
    chosen: list[ShelfProduct] = []
    for may_repeat_brand in (False, True):
        for product in candidates:
            if len(chosen) == PICTURES:
                break
            categories = {other.category_id for other in chosen}
            brands = {other.brand_id for other in chosen} - {None}
            if product.category_id not in categories and (may_repeat_brand or product.brand_id not in brands):
                chosen.append(product)
    return tuple(chosen)


def interests_of(store: Store, product_ids: list[str], quiz: Quiz) -> list[tuple[str, str]]:
    """What liking these pictures says: their categories and brands."""
    liked = [product for product in quiz.pictures if product.external_id in product_ids]
    paths = dict(
        Category.objects.for_store(store)
        .filter(pk__in=[p.category_id for p in liked])
        .values_list("pk", "path")
    )
    slugs = dict(
        Brand.objects.for_store(store).filter(pk__in=[p.brand_id for p in liked]).values_list("pk", "slug")
    )
    said = [("category", paths[p.category_id]) for p in liked if p.category_id in paths]
    return said + [("brand", slugs[p.brand_id]) for p in liked if p.brand_id in slugs]
