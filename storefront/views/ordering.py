from __future__ import annotations

from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

from catalog.models import Product
from recommendations.templatetags.etalage import personal_order
from storefront.selectors.listing import PAGE_SIZE

MAX_ORDERED = 2000


def page_in_personal_order(
    request: HttpRequest, products: QuerySet[Product], number: str | None
) -> Page[Any]:
    """A page of what the shopper may like most, of the whole listing; what can be had stands before what is sold out.

    Only the ids of the listing are read to order it, then the products of one page.
    """
    rows = list(products.values_list("external_id", "stock")[:MAX_ORDERED])
    order = personal_order(request, [external_id for external_id, _ in rows])
    sold_out = {external_id for external_id, stock in rows if stock is not None and stock <= 0}
    ordered = sorted(order, key=sold_out.__contains__)
    page = Paginator(ordered, PAGE_SIZE).get_page(number)
    found = {
        product.external_id: product for product in products.filter(external_id__in=list(page.object_list))
    }
    shown = [found[external_id] for external_id in page.object_list if external_id in found]
    return Page(shown, page.number, page.paginator)
