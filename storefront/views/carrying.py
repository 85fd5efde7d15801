"""The cart that a request carries: read from its cookie or its account, and given back in the answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy

from consent import cookie_list
from consent.cookie_list import Cookie, days_of
from storefront.models import Cart
from storefront.services.cart import cart_adopt, cart_find, cart_find_or_create
from storefront.shop import account_of, store_of

CART_COOKIE: Final = "shop_cart"
CART_COOKIE_AGE: Final = timedelta(days=60)


def register_cookie() -> None:
    what_for = gettext_lazy("Keeps your cart.")
    cookie_list.register(Cookie(CART_COOKIE, what_for, days_of(CART_COOKIE_AGE)))


def _cart_id(request: HttpRequest) -> UUID | None:
    try:
        return UUID(request.COOKIES.get(CART_COOKIE, ""))
    except ValueError:
        return None


def carried_cart(request: HttpRequest) -> Cart | None:
    """The cart, if there is one; read once a request. No query for who has neither cookie nor account."""
    if not hasattr(request, "_shop_cart"):
        account, cart_id = account_of(request), _cart_id(request)
        found = (
            cart_find(store=store_of(request), account=account, cart_id=cart_id)
            if account or cart_id
            else None
        )
        request._shop_cart = found  # type: ignore[attr-defined]
    cart: Cart | None = request._shop_cart  # type: ignore[attr-defined]
    return cart


def carried_cart_or_new(request: HttpRequest) -> Cart:
    cart = cart_find_or_create(
        store=store_of(request), account=account_of(request), cart_id=_cart_id(request)
    )
    request._shop_cart = cart  # type: ignore[attr-defined]
    return cart


def hand_over(request: HttpRequest, response: HttpResponse, cart: Cart) -> HttpResponse:
    """Let a guest's browser keep the cart's id: a necessary cookie, of no use for tracking, out of reach of scripts."""
    if cart.account_id is None:
        response.set_cookie(
            CART_COOKIE,
            str(cart.pk),
            max_age=int(CART_COOKIE_AGE.total_seconds()),
            httponly=True,
            samesite="Lax",
            secure=settings.SESSION_COOKIE_SECURE,
        )
    return response


def adopt_on_log_in(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """After a log-in the browser's cart joins the account's, and its cookie goes."""
    cart_id, account = _cart_id(request), account_of(request)
    if cart_id and account:
        cart = cart_find(store=store_of(request), account=None, cart_id=cart_id)
        if cart is not None:
            cart_adopt(cart=cart, account=account)
        response.delete_cookie(CART_COOKIE, samesite="Lax")
    return response
