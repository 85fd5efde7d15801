"""“Why these shelves?” at the foot of the shop's pages, for staff who may read shelves, and for nobody else.

Added to the finished page: what shoppers get is untouched, byte for byte, and a page with the bar is never kept by a cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse

from accounts.permissions import Ability, may
from recommendations.models import Placement
from recommendations.rendering import PageRegistry
from recommendations.serving.browser import NoStorefront, storefront_store
from recommendations.shelf import RecommendationRequest

_END: Final = b"</body>"


class StaffBar:
    """Middleware. Looks at who is logged in only where the page has shelves and the browser a session."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if _may_have_bar(request, response):
            _add_bar(request, response)
        return response


def _may_have_bar(request: HttpRequest, response: HttpResponse) -> bool:
    return (
        settings.SESSION_COOKIE_NAME in request.COOKIES
        and response.status_code == 200
        and not response.streaming
        and response.get("Content-Type", "").startswith("text/html")
        and bool(PageRegistry.of(request).asked)
        and request.user.is_authenticated
        and request.user.is_staff
    )


def _add_bar(request: HttpRequest, response: HttpResponse) -> None:
    try:
        store = storefront_store()
    except NoStorefront:
        return
    before, end, after = response.content.rpartition(_END)
    if not end or not may(request.user, store, Ability.READ_SHELVES):
        return
    asked = PageRegistry.of(request).asked
    placements = {
        placement.slug: placement
        for placement in Placement.objects.for_store(store).filter(slug__in={one.placement for one in asked})
    }
    shelves = [
        (placements[one.placement], trace_url(placements[one.placement], one))
        for one in asked
        if one.placement in placements
    ]
    bar = render_to_string("recommendations/staff_bar.html", {"shelves": shelves})
    response.content = before + bar.encode() + end + after
    response["Cache-Control"] = "private, no-store"
    if response.has_header("Content-Length"):
        response["Content-Length"] = str(len(response.content))
    del response["ETag"]


def trace_url(placement: Placement, asked: RecommendationRequest) -> str:
    """The trace of a shelf that stands on a page of the shop, as whoever opens the link would see it."""
    parameters = {
        "product_id": asked.product_id,
        "category": asked.category,
        "cart": ",".join(asked.cart),
        "exclude": ",".join(asked.exclude[:200]),
        "limit": asked.limit,
    }
    query = urlencode({name: value for name, value in parameters.items() if value})
    url = reverse("admin:recommendations_placement_trace", args=[placement.pk])
    return f"{url}?{query}" if query else url
