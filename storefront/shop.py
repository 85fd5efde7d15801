"""Which shop this is, and who stands in it."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpRequest

from accounts.models import Customer, Store
from storefront.models import ShopAccount

ANONYMOUS_ID_COOKIE = "etalage_anonymous_id"


def store_of(request: HttpRequest) -> Store:
    """The store that the shop sells for, read once a request. Raises Http404 where nobody has set the shop up."""
    store: Store | None = getattr(request, "_shop_store", None)
    if store is None:
        store = Store.objects.filter(slug=settings.ETALAGE_STOREFRONT_STORE).first()
        if store is None:
            raise Http404(
                f"There is no store {settings.ETALAGE_STOREFRONT_STORE!r}: run `manage.py seed_demo`, "
                "or name another one in ETALAGE_STOREFRONT_STORE."
            )
        request._shop_store = store  # type: ignore[attr-defined]
    return store


def account_of(request: HttpRequest) -> ShopAccount | None:
    """The shopper's account, or None for guests and for staff, who log in but have no account in the shop."""
    if not request.user.is_authenticated:
        return None
    if not hasattr(request, "_shop_account"):
        accounts = ShopAccount.objects.for_store(store_of(request)).select_related("customer", "store")
        request._shop_account = accounts.filter(user=request.user).first()  # type: ignore[attr-defined]
    account: ShopAccount | None = request._shop_account  # type: ignore[attr-defined]
    return account


def customer_of(request: HttpRequest, store: Store) -> Customer | None:
    """The customer who is logged in to the shop of this store, for the apps below (`accounts.current_customer`)."""
    if store.slug != settings.ETALAGE_STOREFRONT_STORE:
        return None
    account = account_of(request)
    return account.customer if account is not None else None


def anonymous_id_of(request: HttpRequest) -> str | None:
    """The tracking id of a browser that agreed to one. The shop itself never sets it."""
    return request.COOKIES.get(ANONYMOUS_ID_COOKIE) or None
