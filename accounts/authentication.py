"""API keys over HTTP: for Django REST framework and for the collecting endpoint."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.keys import key_of
from accounts.models.api_key import ApiKey, Scope
from accounts.models.customer import Customer
from accounts.models.store import Store
from accounts.services.signatures import verify_signature

if TYPE_CHECKING:
    # rest_framework.views reads its settings, which name this module.
    from rest_framework.views import APIView


class InvalidKey(Exception):
    """No key, an unknown or revoked one, or one that may not do this. `status` is 401 or 403."""

    def __init__(self, message: str, status: int = 401) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class ApiClient:
    """`request.user` of a request made with an API key: nobody who could log in."""

    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False
    is_active: ClassVar[bool] = True
    is_staff: ClassVar[bool] = False

    def __init__(self, key: ApiKey) -> None:
        self.key = key
        self.pk = f"key:{key.prefix}"

    def __str__(self) -> str:
        return str(self.pk)


def secret_from_headers(request: HttpRequest | Request) -> str:
    """The secret in `X-Api-Key`, `Authorization: Bearer …` or `Basic` (user name, password empty); "" without one.

    Raises InvalidKey for a Basic header that cannot be read.
    """
    if direct := request.META.get("HTTP_X_API_KEY", ""):
        return direct.strip()
    scheme, _, rest = request.META.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    match scheme.lower():
        case "bearer":
            return rest.strip()
        case "basic":
            try:
                decoded = base64.b64decode(rest.strip(), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError) as error:
                raise InvalidKey(
                    "The Authorization header cannot be read: Basic wants base64 of `key:`."
                ) from error
            return decoded.partition(":")[0]
    return ""


class ApiKeyAuthentication(BaseAuthentication):
    """Sets `request.auth` to the ApiKey and `request.user` to an ApiClient. Without a key the request is anonymous."""

    def authenticate(self, request: Request) -> tuple[ApiClient, ApiKey] | None:
        try:
            secret = secret_from_headers(request)
        except InvalidKey as error:
            raise AuthenticationFailed(error.message) from error
        if not secret:
            return None
        key = key_of(secret)
        if key is None:
            raise AuthenticationFailed("This API key is unknown or revoked.", code="invalid_key")
        return ApiClient(key), key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="etalage"'


def HasScope(scope: str) -> type[BasePermission]:  # noqa: N802 (a class, made to measure)
    """A permission: the request carries a key with this scope. `permission_classes = [HasScope("manage")]`."""

    class KeyHasScope(BasePermission):
        message = f"This API key may not do that: it lacks the scope {scope}."

        def has_permission(self, request: Request, view: APIView) -> bool:
            return isinstance(request.auth, ApiKey) and request.auth.allows(scope)

    KeyHasScope.__name__ = f"HasScope_{scope.replace(':', '_')}"
    return KeyHasScope


class HasKey(BasePermission):
    """The request carries a valid key, whatever its scopes: what the API asks for where a view says nothing."""

    message = "An API key is needed."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, ApiKey)


def store_of(request: Request) -> Store:
    """The store of the request's key. Call it behind a HasScope permission."""
    return key_of_request(request).store


def key_of_request(request: Request) -> ApiKey:
    """The key that the request came with. Raises AuthenticationFailed without one."""
    if not isinstance(request.auth, ApiKey):
        raise AuthenticationFailed("An API key is needed.")
    return request.auth


def named_customer(key: ApiKey, customer_id: str, signature: object = None) -> Customer | None:
    """The customer that a client names, if it may: with a secret key, or with the shop's signature under the id.

    None for an id that no customer has. Raises PermissionDenied for a public key without a valid signature, before
    anything is looked up, so that ids cannot be probed.
    """
    if not key.is_secret and not verify_signature(key.store, customer_id, signature):
        raise PermissionDenied(
            "A public key may name a customer only with the shop's signature: HMAC-SHA256 of the id with the store's signing secret.",
            code="signature_required",
        )
    return Customer.objects.for_store(key.store).filter(external_id=customer_id).first()


def authenticate_write_key(request: HttpRequest, body: Mapping[str, Any] | None = None) -> ApiKey:
    """The key that a collecting client sends: header, else `writeKey` in the body, else `?writeKey=` (beacons).

    Raises InvalidKey with 401 for a key that is missing, unknown or revoked, with 403 for one that may not write or a
    browser's origin that the key does not allow.
    """
    in_body = (body or {}).get("writeKey") or (body or {}).get("api_key")
    secret = (
        secret_from_headers(request)
        or (in_body if isinstance(in_body, str) else "")
        or request.GET.get("writeKey", "")
    )
    if not secret:
        raise InvalidKey(
            "A write key is needed: as Basic user name, as `writeKey` in the body or in the query."
        )
    key = key_of(secret)
    if key is None:
        raise InvalidKey("This write key is unknown or revoked.")
    if not key.allows(Scope.WRITE_PUBLIC):
        raise InvalidKey("This API key may not send events: it lacks a write scope.", status=403)
    if not key.allows_origin(request.META.get("HTTP_ORIGIN", "")):
        raise InvalidKey("This write key may not be used from this origin.", status=403)
    return key
