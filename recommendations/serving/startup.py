"""A shelf for the seconds in which a process has not read the store yet: straight from the database, the newest in stock."""

from __future__ import annotations

from uuid import uuid4

from django.db.models import Q
from django.utils.translation import gettext as _

from catalog.models import Product
from recommendations.models import Placement
from recommendations.selectors.catalogue import shelf_products_of
from recommendations.shelf import Reason, RecommendationRequest, Shelf, ShelfItem, UnknownPlacement


def shelf_while_starting(request: RecommendationRequest) -> Shelf:
    """Raises UnknownPlacement. Two queries; knows no rules, no variants and nobody."""
    placement = (
        Placement.objects.for_store(request.store).filter(slug=request.placement, is_active=True).first()
    )
    if placement is None:
        raise UnknownPlacement(
            f"There is no placement {request.placement!r}.", field="placement", code="unknown_placement"
        )
    shown = {*request.exclude, *request.cart, request.product_id}
    products = Product.objects.for_store(request.store).filter(Q(stock=None) | Q(stock__gt=0), is_active=True)
    if request.category is not None:
        below = Q(category__path=request.category) | Q(category__path__startswith=f"{request.category}/")
        products = products.filter(below)
    newest = products.exclude(external_id__in=[i for i in shown if i]).order_by("-pk")[
        : request.limit or placement.size
    ]
    items = tuple(
        ShelfItem(product, rank, 0.0, {}, Reason("assortment", _("From our shop")))
        for rank, product in enumerate(shelf_products_of(newest), start=1)
    )
    return Shelf(
        request_id=uuid4(),
        placement=placement.slug,
        heading=_(placement.fallback_heading) if placement.fallback_heading else "",
        items=items,
        model_version=None,
        variant="non_personal",
        fallback="starting",
        personalised=False,
    )
