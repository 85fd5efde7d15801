from catalog.services.categories import brands_ensure, categories_ensure
from catalog.services.products import (
    ProductInput,
    UpsertResult,
    products_deactivate_others,
    products_set_stock,
    products_upsert,
)

__all__ = [
    "ProductInput",
    "UpsertResult",
    "brands_ensure",
    "categories_ensure",
    "products_deactivate_others",
    "products_set_stock",
    "products_upsert",
]
