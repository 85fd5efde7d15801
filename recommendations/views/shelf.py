"""The shopper's own shelf for a page that everybody shares: HTML, private, for the shop's own pages."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET

from recommendations.parameters import read_ids, read_limit, read_text
from recommendations.pipeline import recommend
from recommendations.rendering import render_shelf
from recommendations.serving.browser import NoStorefront, shopper_of, storefront_store
from recommendations.shelf import RecommendationRequest, RequestError


@require_GET
def shelf(request: HttpRequest, placement: str) -> HttpResponse:
    """The same parameters as the API's. 204 where the placement has nothing of its own for this shopper and would rather stay empty."""
    try:
        asked = RecommendationRequest(
            store=storefront_store(),
            placement=placement,
            shopper=shopper_of(request),
            limit=read_limit(request.GET),
            category=read_text(request.GET, "category", 400),
            product_id=read_text(request.GET, "product_id"),
            cart=read_ids(request.GET, "cart"),
            exclude=read_ids(request.GET, "exclude"),
        )
        made = recommend(asked)
    except NoStorefront as error:
        return _refusal(404, "no_store", str(error))
    except RequestError as error:
        return _refusal(error.status, error.code, str(error))
    if made.is_optional and made.stands_in:
        response = HttpResponse(status=204)
    else:
        response = HttpResponse(render_shelf(made, asked, request=request))
    response["Cache-Control"] = "private, no-store"
    return response


def _refusal(status: int, code: str, message: str) -> JsonResponse:
    response = JsonResponse({"code": code, "message": message}, status=status)
    response["Cache-Control"] = "private, no-store"
    return response
