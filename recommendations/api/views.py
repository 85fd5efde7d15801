from __future__ import annotations

import orjson
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.exceptions import APIException, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.api.schema import ERRORS, NOT_FOUND
from accounts.authentication import HasScope
from accounts.models import ApiKey, Scope
from accounts.services.signatures import verify_signature
from consent.policy import SourcePolicy
from recommendations.api.answers import shelf_answer
from recommendations.api.serializers import SHELF_EXAMPLE, RecommendationsQuery, ShelfSerializer
from recommendations.parameters import read_ids, read_limit, read_text
from recommendations.pipeline import recommend
from recommendations.rendering import render_shelf
from recommendations.shelf import NOBODY, RecommendationRequest, RequestError, Shopper


class Recommendations(APIView):
    """A shelf: products for a placement and, where they permit it, for the shopper who is named.

    Without a shopper, or without their consent, the shelf is good and not personal. It never holds what is sold out, is never empty while
    there is something to show, and answers within the placement's deadline: `fallback` says where that cost it something.
    """

    permission_classes = [HasScope(Scope.RECOMMENDATIONS_READ)]
    throttle_area = "recommendations"

    @extend_schema(
        summary="Get recommendations",
        operation_id="recommendations_retrieve",
        parameters=[RecommendationsQuery],
        responses={200: ShelfSerializer, **ERRORS, 404: NOT_FOUND},
        examples=[OpenApiExample("A shelf for a visitor", SHELF_EXAMPLE, response_only=True)],
        tags=["recommendations"],
    )
    def get(self, request: Request, placement: str) -> HttpResponse:
        key = request.auth
        assert isinstance(key, ApiKey)  # HasScope has seen to it
        _check_origin(key, request)
        explain = _wants_explanation(request, key)
        try:
            asked = _read(request, key, placement)
            shelf = recommend(asked)
        except RequestError as error:
            raise _refusal(error) from error
        if request.query_params.get("view") == "html":
            response = HttpResponse(render_shelf(shelf, asked, request=None))
        else:
            body = shelf_answer(key.store_id, shelf, explain=explain)
            response = HttpResponse(orjson.dumps(body), content_type="application/json")
        response["Cache-Control"] = "private, no-store"
        return response


def _read(request: Request, key: ApiKey, placement: str) -> RecommendationRequest:
    parameters = request.query_params
    if parameters.get("view", "json") not in ("json", "html"):
        raise RequestError("view must be json or html.", field="view", code="invalid_view")
    return RecommendationRequest(
        store=key.store,
        placement=placement,
        shopper=_shopper(request, key),
        limit=read_limit(parameters),
        category=read_text(parameters, "category", 400),
        product_id=read_text(parameters, "product_id"),
        cart=read_ids(parameters, "cart"),
        exclude=read_ids(parameters, "exclude"),
    )


def _shopper(request: Request, key: ApiKey) -> Shopper:
    """Raises PermissionDenied for a customer whom a public key names without the shop's signature."""
    parameters = request.query_params
    visitor_id = read_text(parameters, "visitor_id", 200)
    customer_id = read_text(parameters, "customer_id", 200)
    if visitor_id is None and customer_id is None:
        return NOBODY
    if (
        customer_id is not None
        and not key.is_secret
        and not verify_signature(key.store, customer_id, parameters.get("signature"))
    ):
        raise PermissionDenied(
            "A public key may name a customer only with the shop's signature: HMAC-SHA256 of the id with the store's signing secret.",
            code="signature_required",
        )
    return Shopper(
        anonymous_id=visitor_id,
        customer_id=customer_id,
        sends_gpc=request.headers.get("Sec-GPC") == "1",
        source=SourcePolicy.of(key),
    )


def _check_origin(key: ApiKey, request: Request) -> None:
    origin = request.headers.get("Origin", "")
    if origin and key.allowed_origins and origin.rstrip("/") not in key.allowed_origins:
        raise PermissionDenied("This key may not be used from this origin.")


def _wants_explanation(request: Request, key: ApiKey) -> bool:
    if request.query_params.get("explain", "") not in ("1", "true"):
        return False
    if not key.allows(Scope.MANAGE):
        raise PermissionDenied("Explanations need a key with the scope manage.")
    return True


class _NotFound(APIException):
    status_code = 404


def _refusal(error: RequestError) -> APIException:
    if error.status == 404:
        return _NotFound(str(error), code=error.code)
    return ValidationError({error.field: [str(error)]}, code=error.code)
