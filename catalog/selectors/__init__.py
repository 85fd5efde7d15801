from catalog.selectors.products import (
    active_products,
    categories_below,
    orderable_products,
    products_by_external_id,
)
from catalog.selectors.search import search_products

__all__ = [
    "active_products",
    "categories_below",
    "orderable_products",
    "products_by_external_id",
    "search_products",
]
