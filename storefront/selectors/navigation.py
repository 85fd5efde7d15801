from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q

from accounts.models import Store
from catalog.models import Category, Product

COVER_TAG = "cover"


@dataclass(frozen=True)
class CategoryTile:
    category: Category
    image_url: str


@dataclass(frozen=True)
class CountedCategory:
    category: Category
    count: int


def main_categories_of(store: Store) -> list[Category]:
    return list(Category.objects.for_store(store).filter(parent=None).order_by("position", "name"))


def ancestors_of(category: Category) -> list[Category]:
    """From the root down to the category itself."""
    trail = [category]
    while trail[0].parent is not None:
        trail.insert(0, trail[0].parent)
    return trail


def children_with_counts(store: Store, category: Category) -> list[CountedCategory]:
    """Subcategories with the number of products that are for sale in each; empty ones are left out."""
    children = (
        Category.objects.for_store(store)
        .filter(parent=category)
        .annotate(count=Count("products", filter=Q(products__is_active=True)))
        .filter(count__gt=0)
        .order_by("position", "name")
    )
    return [CountedCategory(child, child.count) for child in children]


def category_tiles(store: Store) -> list[CategoryTile]:
    """Each main category with the picture of its cover product, else of its dearest one."""
    pictures: dict[str, str] = {}
    products = (
        Product.objects.for_store(store).filter(is_active=True).exclude(image_url="").exclude(category=None)
    )
    covers_last = products.annotate(is_cover=Q(tags__contains=[COVER_TAG])).order_by(
        "is_cover", "price_minor_units"
    )
    for path, image_url in covers_last.values_list("category__path", "image_url"):
        pictures[path.split("/")[0]] = image_url
    return [CategoryTile(category, pictures.get(category.path, "")) for category in main_categories_of(store)]
