"""Middleware of the whole installation."""

import re
import time
import uuid
from collections.abc import Callable

import structlog
from corsheaders.middleware import CorsMiddleware
from django.http import HttpRequest, HttpResponse
from django.middleware.security import SecurityMiddleware

from recommendations.api import direct
from tracking import views
from tracking.ingestion import metrics

_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


class RequestId:
    """Gives each request an id (the proxy's `X-Request-ID`, if it sends one) that stands in every log line
    and in the answer.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = given if _ACCEPTABLE_ID.fullmatch(given) else uuid.uuid4().hex
        # Cleared at the start of the next request, not at the end of this one: Django logs failures after us.
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(http_request_id=request_id)
        request.META["HTTP_X_REQUEST_ID"] = request_id  # for who comes here a second time, within
        response = self.get_response(request)
        response["X-Request-ID"] = request_id
        return response


class CollectDirectly:
    """First of all: answers the collecting endpoints itself, and hands everything else on.

    Sessions, logins, languages, CSRF tokens and headers for pages took longer than reading an event. What
    collecting needs of it is kept: the request's id, CORS for the shop's origins, figures for Prometheus. Nor
    is anything redirected to HTTPS: clients lose the body on a redirect, or take it for success.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self._answer = RequestId(_collect)
        self._answer_to_page = RequestId(CorsMiddleware(_collect))  # type: ignore[arg-type]

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if views.COLLECTING.fullmatch(request.path_info) is None:
            return self.get_response(request)
        started = time.perf_counter()
        # A server sends no Origin, and needs none of the headers that speak of it.
        is_page = "HTTP_ORIGIN" in request.META or request.method == "OPTIONS"
        response = (self._answer_to_page if is_page else self._answer)(request)
        response.headers["X-Content-Type-Options"] = "nosniff"
        # Without it the answer would be sent in chunks.
        response.headers["Content-Length"] = str(len(response.content))
        metrics.observe_request(response.status_code, time.perf_counter() - started)
        return response


class ShelvesDirectly:
    """After `CollectDirectly`: answers requests for shelves itself where it can (see `recommendations.api.direct`), and hands
    everything else on. What else there was to do for an API's answer is kept: the request's id, HTTPS, CORS."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self._answer = RequestId(SecurityMiddleware(self._shelf))  # type: ignore[arg-type]
        self._answer_to_page = RequestId(SecurityMiddleware(CorsMiddleware(self._shelf)))  # type: ignore[arg-type]

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method != "GET" or direct.ADDRESS.fullmatch(request.path_info) is None:
            return self.get_response(request)
        return (self._answer_to_page if "HTTP_ORIGIN" in request.META else self._answer)(request)

    def _shelf(self, request: HttpRequest) -> HttpResponse:
        path = direct.ADDRESS.fullmatch(request.path_info)
        assert path is not None, "asked before"
        return direct.shelf_directly(request, path["placement"], self.get_response)


def _collect(request: HttpRequest) -> HttpResponse:
    path = views.COLLECTING.fullmatch(request.path_info)
    assert path is not None, "asked before"
    return views.collect(request, path["kind"] or views.POSTHOG)
