"""From an API client's query to a request for a shelf."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from rest_framework.exceptions import PermissionDenied

from accounts.languages import language_of_visitor, supported
from accounts.models import ApiKey
from accounts.services.signatures import verify_signature
from consent.policy import SourcePolicy
from recommendations.parameters import read_ids, read_limit, read_text
from recommendations.shelf import NOBODY, RecommendationRequest, RequestError, Shopper


def read_request(request: HttpRequest, key: ApiKey, placement: str) -> RecommendationRequest:
    """Raises RequestError, and PermissionDenied for a shopper whom the key may not name."""
    parameters = request.GET
    if parameters.get("view", "json") not in ("json", "html"):
        raise RequestError("view must be json or html.", field="view", code="invalid_view")
    if "language" in parameters and supported(parameters["language"]) is None:
        known = ", ".join(code for code, _name in settings.LANGUAGES)
        raise RequestError(
            f"language must be one of {known}, not {parameters['language'][:20]!r}.",
            field="language",
            code="invalid_language",
        )
    return RecommendationRequest(
        store=key.store,
        placement=placement,
        shopper=shopper_named(
            request,
            key,
            visitor_id=read_text(parameters, "visitor_id", 200),
            customer_id=read_text(parameters, "customer_id", 200),
            signature=parameters.get("signature"),
            has_paused=parameters.get("paused") in ("1", "true"),
        ),
        limit=read_limit(parameters),
        category=read_text(parameters, "category", 400),
        product_id=read_text(parameters, "product_id"),
        cart=read_ids(parameters, "cart"),
        exclude=read_ids(parameters, "exclude"),
    )


def language_of(request: HttpRequest, key: ApiKey) -> str:
    """Of headings and reasons: `language` (a server asks for somebody else's browser), else Accept-Language, else the store's."""
    named = supported(request.GET.get("language", ""))
    return named or language_of_visitor(request, lambda: key.store.language)


def check_origin(key: ApiKey, request: HttpRequest) -> None:
    """Raises PermissionDenied for a page of an origin that the key was not made for."""
    if not key.allows_origin(request.META.get("HTTP_ORIGIN", "")):
        raise PermissionDenied("This key may not be used from this origin.")


def shopper_named(
    request: HttpRequest,
    key: ApiKey,
    *,
    visitor_id: str | None,
    customer_id: str | None,
    signature: str | None,
    has_paused: bool = False,
) -> Shopper:
    """Raises PermissionDenied for a customer whom a public key names without the shop's signature."""
    if visitor_id is None and customer_id is None:
        return NOBODY
    if (
        customer_id is not None
        and not key.is_secret
        and not verify_signature(key.store, customer_id, signature)
    ):
        raise PermissionDenied(
            "A public key may name a customer only with the shop's signature: HMAC-SHA256 of the id with the store's signing secret.",
            code="signature_required",
        )
    return Shopper(
        anonymous_id=visitor_id,
        customer_id=customer_id,
        sends_gpc=request.META.get("HTTP_SEC_GPC") == "1",
        has_paused=has_paused,
        source=SourcePolicy.of(key),
    )
