"""Who sits at a browser that asks for a shelf on the shop's own pages, and which store the shop is."""

from __future__ import annotations

from time import monotonic

from django.conf import settings
from django.http import HttpRequest

from accounts.models import Store
from recommendations.shelf import NOBODY, Shopper

ANONYMOUS_ID_COOKIE = "etalage_anonymous_id"
PAUSE_COOKIE = "etalage_pause"
MAX_ID_LENGTH = 200
STORE_SECONDS = 30.0

_store: tuple[float, str, Store] | None = None


class NoStorefront(LookupError):
    """The store that the shop's pages belong to does not exist."""


def storefront_store() -> Store:
    """The store named by ETALAGE_STOREFRONT_STORE, read at most every 30 s. Raises NoStorefront."""
    global _store
    slug = settings.ETALAGE_STOREFRONT_STORE
    if _store is None or _store[1] != slug or monotonic() - _store[0] > STORE_SECONDS:
        found = Store.objects.filter(slug=slug).first()
        if found is None:
            raise NoStorefront(
                f"There is no store {slug!r}: run `manage.py seed_demo`, or set ETALAGE_STOREFRONT_STORE."
            )
        _store = (monotonic(), slug, found)
    return _store[2]


def forget_store() -> None:
    global _store
    _store = None


def shopper_of(request: HttpRequest) -> Shopper:
    """From first-party cookies and the shop's login. Read once a request."""
    shopper: Shopper | None = getattr(request, "_etalage_shopper", None)
    if shopper is None:
        shopper = _read_shopper(request)
        request._etalage_shopper = shopper  # type: ignore[attr-defined]
    return shopper


def _read_shopper(request: HttpRequest) -> Shopper:
    anonymous_id = request.COOKIES.get(ANONYMOUS_ID_COOKIE, "")[:MAX_ID_LENGTH] or None
    customer_id = _logged_in_customer(request)
    if anonymous_id is None and customer_id is None:
        return NOBODY
    return Shopper(
        anonymous_id=anonymous_id,
        customer_id=customer_id,
        sends_gpc=request.headers.get("Sec-GPC") == "1",
        has_paused=request.COOKIES.get(PAUSE_COOKIE) == "1",
    )


def _logged_in_customer(request: HttpRequest) -> str | None:
    """The shop hangs a `shop_account` with a customer on its logins; staff have none. No session cookie, no query."""
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return None
    user = getattr(request, "user", None)
    account = getattr(user, "shop_account", None) if user is not None and user.is_authenticated else None
    return None if account is None else account.customer.external_id
