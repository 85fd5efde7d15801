"""The one shape of every error that the API gives: `{"code", "message", "details"}`.

`code` is for programs and does not change, `message` is for people, `details` (only of invalid input) maps each field
to what is wrong with it; a field within a list is written `items.2.price`.
"""

from __future__ import annotations

import math
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404, JsonResponse
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import set_rollback

_CODES = {
    status.HTTP_400_BAD_REQUEST: "bad_request",
    status.HTTP_401_UNAUTHORIZED: "unauthorized",
    status.HTTP_403_FORBIDDEN: "forbidden",
    status.HTTP_404_NOT_FOUND: "not_found",
    status.HTTP_405_METHOD_NOT_ALLOWED: "method_not_allowed",
    status.HTTP_406_NOT_ACCEPTABLE: "not_acceptable",
    status.HTTP_409_CONFLICT: "conflict",
    status.HTTP_413_REQUEST_ENTITY_TOO_LARGE: "too_large",
    status.HTTP_415_UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type",
    status.HTTP_429_TOO_MANY_REQUESTS: "too_many_requests",
    status.HTTP_503_SERVICE_UNAVAILABLE: "unavailable",
}
INVALID = "invalid"


def error_body(code: str, message: str, details: dict[str, list[str]] | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {"code": code, "message": message}
    if details:
        body["details"] = details
    return body


def error_response(
    http_status: int,
    message: str,
    *,
    code: str = "",
    details: dict[str, list[str]] | None = None,
    retry_after_seconds: float | None = None,
) -> JsonResponse:
    """The same for a plain Django view. `Retry-After` is a whole number of seconds, at least 1."""
    response = JsonResponse(
        error_body(code or _CODES.get(http_status, "error"), message, details), status=http_status
    )
    if retry_after_seconds is not None:
        response["Retry-After"] = str(max(1, math.ceil(retry_after_seconds)))
    return response


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's `EXCEPTION_HANDLER`. What it does not know is a fault of ours and becomes the server error page."""
    known = _as_api_exception(error)
    if known is None:
        return None
    set_rollback()
    if isinstance(known, exceptions.ValidationError):
        body = _invalid(known)
    else:
        body = error_body(_code_of(known), _message_of(known))
    return Response(body, status=known.status_code, headers=_headers(known))


def _as_api_exception(error: Exception) -> exceptions.APIException | None:
    match error:
        case exceptions.APIException():
            return error
        case Http404():
            return exceptions.NotFound(str(error) or None)
        case PermissionDenied():
            return exceptions.PermissionDenied(str(error) or None)
        case RequestDataTooBig():
            return _TooLarge()
        case DjangoValidationError():
            return exceptions.ValidationError(
                getattr(error, "message_dict", None) or {api_settings.NON_FIELD_ERRORS_KEY: error.messages}
            )
    return None


class _TooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The request body is too large."
    default_code = "too_large"


def _code_of(error: exceptions.APIException) -> str:
    generic = _CODES.get(error.status_code, "error")
    code = error.get_codes()
    # DRF's own words ("not_authenticated", "throttled", "parse_error") give way to ours; a view's own code stays.
    return code if isinstance(code, str) and code != type(error).default_code else generic


def _message_of(error: exceptions.APIException) -> str:
    return str(error.detail) if not isinstance(error.detail, dict | list) else str(error.default_detail)


def _invalid(error: exceptions.ValidationError) -> dict[str, Any]:
    details: dict[str, list[str]] = {}
    _flatten(error.detail, "", details)
    general = details.pop(api_settings.NON_FIELD_ERRORS_KEY, []) + details.pop("", [])
    if details:
        field, problems = next(iter(details.items()))
        message = " ".join(general) or f"{field}: {problems[0]}"
    else:
        message = " ".join(general) or "The input is not valid."
    return error_body(INVALID, message, details)


def _flatten(detail: Any, path: str, into: dict[str, list[str]]) -> None:
    if isinstance(detail, dict):
        for field, inner in detail.items():
            _flatten(inner, f"{path}.{field}" if path else str(field), into)
    elif isinstance(detail, list):
        for position, inner in enumerate(detail):
            if isinstance(inner, dict | list):
                _flatten(inner, f"{path}.{position}" if path else str(position), into)
            else:
                into.setdefault(path, []).append(str(inner))
    else:
        into.setdefault(path, []).append(str(detail))


def _headers(error: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if auth_header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = auth_header
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(max(1, math.ceil(wait)))
    return headers
