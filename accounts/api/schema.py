"""What the OpenAPI schema says about keys and errors."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework import serializers


class ApiKeyScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.authentication.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key: `Authorization: Bearer …`, `X-Api-Key: …`, or Basic with the key as user name and no password.",
        }


class ErrorSerializer(serializers.Serializer[Any]):
    """Every error of the API."""

    code = serializers.CharField(help_text="For programs; does not change.")
    message = serializers.CharField(help_text="For people.")
    details = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="Field → what is wrong with it.",
    )


def _error(
    description: str, code: str, message: str, details: dict[str, list[str]] | None = None
) -> OpenApiResponse:
    value: dict[str, Any] = {"code": code, "message": message} | ({"details": details} if details else {})
    return OpenApiResponse(
        ErrorSerializer, description, [OpenApiExample(description, value, response_only=True)]
    )


INVALID = _error("Invalid input", "invalid", "limit: Must be at least 1.", {"limit": ["Must be at least 1."]})
UNAUTHORIZED = _error("No key, or an unknown one", "unauthorized", "This API key is unknown or revoked.")
FORBIDDEN = _error(
    "The key may not do this", "forbidden", "This API key may not do that: it lacks the scope manage."
)
NOT_FOUND = _error("Not found", "not_found", "No product with this id.")
THROTTLED = _error("Too many requests; see Retry-After", "too_many_requests", "Request was throttled.")

# For `@extend_schema(responses={200: …, **ERRORS})`.
ERRORS = {400: INVALID, 401: UNAUTHORIZED, 403: FORBIDDEN, 429: THROTTLED}
