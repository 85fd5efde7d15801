from __future__ import annotations

from django.http import HttpResponse
from django.utils import translation
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.exceptions import APIException, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.schema import ERRORS, NOT_FOUND
from accounts.authentication import HasScope
from accounts.models import ApiKey, Scope
from recommendations.api.answers import shelf_json
from recommendations.api.asking import check_origin, language_of, read_request, shopper_named
from recommendations.api.direct import AREA
from recommendations.api.serializers import (
    SHELF_EXAMPLE,
    ForgetInput,
    ForgottenSerializer,
    RecommendationsQuery,
    ShelfSerializer,
)
from recommendations.pipeline import recommend
from recommendations.rendering import render_shelf
from recommendations.services.product_forget import product_forget
from recommendations.shelf import RequestError


class Recommendations(APIView):
    """A shelf: products for a placement and, where they permit it, for the shopper who is named.

    Without a shopper, or without their consent, the shelf is good and not personal. It never holds what is sold out, is never empty while
    there is something to show, and answers within the placement's deadline: `fallback` says where that cost it something.
    """

    permission_classes = [HasScope(Scope.RECOMMENDATIONS_READ)]
    throttle_area = AREA

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
        check_origin(key, request._request)
        explain = _wants_explanation(request, key)
        try:
            asked = read_request(request._request, key, placement)
            translation.activate(language_of(request._request, key))
            shelf = recommend(asked, may_repeat=not explain)
        except RequestError as error:
            raise _refusal(error) from error
        if request.query_params.get("view") == "html":
            takes_answers = key.allows(Scope.WRITE_PUBLIC)
            response = HttpResponse(render_shelf(shelf, asked, request=None, takes_answers=takes_answers))
        else:
            body = shelf_json(key.store_id, shelf, explain=explain)
            response = HttpResponse(body, content_type="application/json")
        response["Cache-Control"] = "private, no-store"
        return response


class ForgottenProducts(APIView):
    """ "Not this": keeps a product off the shelves of one shopper and out of their taste."""

    permission_classes = [HasScope(Scope.WRITE_PUBLIC) | HasScope(Scope.MANAGE)]
    throttle_area = AREA

    @extend_schema(
        summary="Forget a product",
        operation_id="forgotten_products_create",
        description="Effective on the next shelf; harmless to repeat. Without permission for personalisation nothing is kept.",
        request=ForgetInput,
        responses={200: ForgottenSerializer, **ERRORS},
        examples=[
            OpenApiExample(
                "A visitor", {"product_id": "tent-042", "visitor_id": "a-1001"}, request_only=True
            ),
            OpenApiExample("Kept off", {"forgotten": True}, response_only=True),
        ],
        tags=["recommendations"],
    )
    def post(self, request: Request) -> Response:
        key = request.auth
        assert isinstance(key, ApiKey)  # HasScope has seen to it
        check_origin(key, request._request)
        given = ForgetInput(data=request.data)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        shopper = shopper_named(
            request._request,
            key,
            visitor_id=values.get("visitor_id"),
            customer_id=values.get("customer_id"),
            signature=values.get("signature"),
        )
        forgotten = product_forget(store=key.store, shopper=shopper, product_id=values["product_id"])
        return Response({"forgotten": forgotten})


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
