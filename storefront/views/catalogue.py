"""Home, categories, search and products: pages that anybody may see and a cache may keep."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.views.decorators.http import require_safe

from accounts.models import Store
from catalog.models import Category, Product
from storefront.selectors.listing import (
    PAGE_SIZE,
    SORTS,
    Listing,
    ListingQuery,
    for_sale,
    in_category,
    listing,
    matching,
)
from storefront.selectors.navigation import ancestors_of, category_tiles, children_with_counts
from storefront.selectors.suggestions import did_you_mean
from storefront.services.cart import available_quantity
from storefront.services.events import viewed_properties
from storefront.shop import store_of
from storefront.views.caching import shareable
from storefront.views.ordering import page_in_personal_order

LOW_STOCK = 5


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    store = store_of(request)
    return shareable(
        request,
        render(request, "storefront/home.html", {"tiles": category_tiles(store), "facts": {"name": "Home"}}),
    )


@require_safe
def category(request: HttpRequest, path: str) -> HttpResponse:
    store = store_of(request)
    found = get_object_or_404(Category.objects.for_store(store).select_related("parent__parent"), path=path)
    query = ListingQuery.of(request.GET)
    listed = listing(in_category(for_sale(store), found), query)
    trail = ancestors_of(found)
    context = {
        "category": found,
        "trail": trail[:-1],
        "main_category_path": trail[0].path,
        "facts": {"name": "Category", "list": {"list_id": found.path, "category": found.path}},
        "subcategories": children_with_counts(store, found) or children_with_counts(store, trail[0]),
        **_listing_context(
            request, store, listed, sorts=("selection", "for-you", "new", "price", "price-down")
        ),
    }
    return shareable(request, render(request, "storefront/category.html", context))


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    store = store_of(request)
    query = ListingQuery.of(request.GET)
    base = matching(for_sale(store), query.text) if query.text else for_sale(store).none()
    listed = listing(base, query)
    context = {
        "query": query.text,
        "facts": {"name": "Search", **({"search": {"query": query.text}} if query.text else {})},
        **_listing_context(
            request, store, listed, sorts=("relevance", "for-you", "new", "price", "price-down")
        ),
    }
    if query.text and not query.is_filtered and not context["result_count"]:
        context["suggestion"] = did_you_mean(store, query.text)
    return shareable(request, render(request, "storefront/search.html", context))


def _listing_context(
    request: HttpRequest, store: Store, listed: Listing, *, sorts: tuple[str, ...]
) -> dict[str, Any]:
    number = request.GET.get("page")
    page: Page[Any]
    if listed.query.sort == "for-you":
        page = page_in_personal_order(request, listed.products, number)
    else:
        page = Paginator(listed.products, PAGE_SIZE).get_page(number)
    return {
        "listing": listed,
        "page": page,
        "pages": page.paginator.get_elided_page_range(page.number, on_each_side=1, on_ends=1),
        "result_count": page.paginator.count,
        "sorts": [(name, SORTS[name]) for name in sorts],
        "chosen_sort": listed.query.sort if listed.query.sort in sorts else sorts[0],
    }


@require_safe
def product(request: HttpRequest, external_id: str) -> HttpResponse:
    """A product that is no longer sold keeps its page, so that an old link still leads to something like it."""
    store = store_of(request)
    found = get_object_or_404(
        Product.objects.for_store(store).select_related("brand", "category__parent__parent"),
        external_id=external_id,
    )
    available = available_quantity(found)
    trail = ancestors_of(found.category) if found.category else []
    context = {
        "product": found,
        "trail": trail,
        "main_category_path": trail[0].path if trail else "",
        "variants": _variants(store, found),
        "available": available,
        "is_low": 0 < available <= LOW_STOCK and found.stock is not None,
        "quantities": range(1, min(available, 10) + 1),
        "details": _details(found),
        "facts": {"name": "Product", "product": viewed_properties(found)},
    }
    response = render(request, "storefront/product.html", context)
    # The form carries a token of this browser's own.
    patch_cache_control(response, private=True, no_cache=True)
    patch_vary_headers(response, ["Cookie"])
    return response


def _variants(store: Store, found: Product) -> QuerySet[Product]:
    if not found.variant_group:
        return Product.objects.for_store(store).none()
    family = for_sale(store).filter(variant_group=found.variant_group)
    return family.order_by("external_id")


def _details(found: Product) -> list[tuple[str, str]]:
    """Attributes as people read them: `{"packed_weight": "1.9 kg"}` as ("Packed weight", "1.9 kg")."""
    details = []
    for name, value in found.attributes.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        details.append((name.replace("_", " ").capitalize(), text))
    return details
