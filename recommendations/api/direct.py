"""Shelves past the middleware of pages: sessions, logins, CSRF tokens and negotiation take longer than a shelf.

`ShelvesDirectly` answers what asks for a shelf as JSON and may have it. Whoever is to be refused, asks wrongly, or wants HTML or an
explanation is left to the view (`recommendations.api.views`), which answers the same address. What the others get is the same to
the byte but for headers that speak of pages: request id, CORS, HTTPS and the throttle are kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.utils import translation
from rest_framework.exceptions import PermissionDenied

from accounts.authentication import InvalidKey, secret_from_headers
from accounts.keys import key_of
from accounts.models import ApiKey, Scope
from accounts.throttling import ALLOWED, TooManyRequests, window_of
from recommendations.api.answers import shelf_json
from recommendations.api.asking import check_origin, language_of, read_request
from recommendations.pipeline import recommend
from recommendations.shelf import RequestError

ADDRESS: Final = re.compile(r"/api/v1/recommendations/(?P<placement>[-a-zA-Z0-9_]+)/")
AREA: Final = "recommendations"


def shelf_directly(
    request: HttpRequest, placement: str, leave: Callable[[HttpRequest], HttpResponse]
) -> HttpResponse:
    """`leave` answers what is not for here. A call is counted once, whoever answers it."""
    parameters = request.GET
    if request.method != "GET" or "explain" in parameters or parameters.get("view", "json") != "json":
        return leave(request)
    key = _key(request)
    if key is None or not key.allows(Scope.RECOMMENDATIONS_READ):
        return leave(request)
    try:
        check_origin(key, request)
        asked = read_request(request, key, placement)
    except (PermissionDenied, RequestError):
        return leave(request)
    translation.activate(language_of(request, key))
    try:
        shelf = recommend(asked, window=window_of(request, key, AREA))
    except TooManyRequests as refused:
        request.throttle_decision = refused.decision  # type: ignore[attr-defined]
        return leave(request)
    except RequestError:
        request.throttle_decision = ALLOWED  # type: ignore[attr-defined]
        return leave(request)
    return _response(shelf_json(key.store_id, shelf))


def _key(request: HttpRequest) -> ApiKey | None:
    try:
        return key_of(secret_from_headers(request))
    except InvalidKey:
        return None


def _response(body: bytes) -> HttpResponse:
    return HttpResponse(
        body,
        content_type="application/json",
        headers={
            "Cache-Control": "private, no-store",
            "Content-Language": translation.get_language() or "",
            "Content-Length": str(len(body)),
            "Vary": "Accept, Accept-Language, origin",
            "X-Frame-Options": "DENY",
        },
    )
