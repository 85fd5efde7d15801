from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from accounts import vault
from storefront.forms import CheckoutForm
from storefront.models import ShopAccount, ShopOrder
from storefront.selectors.cart import PricedCart, priced_cart
from storefront.services import payments
from storefront.services.cart import OutOfStock
from storefront.services.checkout import EmptyCart, order_place
from storefront.services.events import lines_properties
from storefront.shop import account_of, anonymous_id_of, store_of
from storefront.views.carrying import carried_cart


@sensitive_post_parameters("card_number", "card_code", "iban", "voucher_code")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def checkout(request: HttpRequest) -> HttpResponse:
    store, account, cart = store_of(request), account_of(request), carried_cart(request)
    priced = priced_cart(cart, store.currency)
    if cart is None or not priced.is_deliverable:
        return redirect("storefront:cart")
    form = CheckoutForm(request.POST or None, initial=_known_of(account))
    if request.method == "POST" and form.is_valid():
        try:
            order = order_place(
                cart=cart,
                account=account,
                delivery=form.delivery,
                payment=form.cleaned_data["payment"],
                anonymous_id=anonymous_id_of(request),
            )
        except OutOfStock as shortage:
            messages.warning(
                request, _("Somebody was quicker: %(name)s is short now.") % {"name": shortage.product.name}
            )
            return redirect("storefront:cart")
        except EmptyCart:
            return redirect("storefront:cart")
        return redirect("storefront:order-done", token=order.access_token)
    examples = {
        "card": payments.EXAMPLE_CARD,
        "declined_card": f"4000 0000 0000 {payments.DECLINED_ENDING}",
        "iban": payments.EXAMPLE_IBAN,
        "voucher": payments.EXAMPLE_VOUCHER,
    }
    context = {
        "form": form,
        "cart": priced,
        "examples": examples,
        "facts": _facts(priced) if not form.is_bound else None,
    }
    return render(request, "storefront/checkout.html", context, status=422 if form.is_bound else 200)


def _facts(cart: PricedCart) -> dict[str, Any]:
    """For the tracker; the order itself is told by the shop's server, which alone is believed."""
    return {
        "name": "Checkout",
        "checkout": {"products": lines_properties(cart.lines), "currency": cart.currency},
    }


def _known_of(account: ShopAccount | None) -> dict[str, str]:
    if account is None:
        return {}
    known = vault.get_all(account.customer)
    street, _, rest = known.get("address", "").partition("\n")
    town, _, country = rest.partition("\n")
    postal_code, _, city = town.partition(" ")
    return {
        "email": known.get("email", account.user.email),
        "name": known.get("name", ""),
        "street": street,
        "postal_code": postal_code,
        "city": city,
        "country": country or account.customer.country or "DE",
    }


@never_cache
@require_safe
def done(request: HttpRequest, token: UUID) -> HttpResponse:
    """The confirmation: whoever holds the order's token may see it, and it names nobody."""
    orders = ShopOrder.objects.for_store(store_of(request)).prefetch_related("lines__product")
    order = get_object_or_404(orders, access_token=token)
    return render(request, "storefront/order_done.html", {"order": order, "facts": {"name": "Order placed"}})
