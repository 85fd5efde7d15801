from catalog.admin import products, taxonomy

__all__ = ["products", "taxonomy"]
