from django.urls import path, register_converter

from accounts.api.converters import StorableConverter
from catalog.api import views

register_converter(StorableConverter, "storable")

urlpatterns = [
    path("products/", views.ProductList.as_view(), name="product-list"),
    path("products/<storable:external_id>/", views.ProductDetail.as_view(), name="product-detail"),
    path("categories/", views.CategoryList.as_view(), name="category-list"),
]
