"""The cart. Everything that changes it is a form sent by POST and answered with a redirect."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from catalog.models import Product
from storefront.forms import AddToCartForm, CartLineForm
from storefront.selectors.cart import priced_cart
from storefront.services.cart import OutOfStock, cart_add, cart_set_quantity
from storefront.services.events import lines_properties
from storefront.shop import store_of
from storefront.views.carrying import carried_cart, carried_cart_or_new, hand_over


@never_cache
@require_safe
def cart(request: HttpRequest) -> HttpResponse:
    priced = priced_cart(carried_cart(request), store_of(request).currency)
    facts = {
        "name": "Cart",
        "cart": {"products": lines_properties(priced.lines), "currency": priced.currency},
    }
    return render(
        request,
        "storefront/cart.html",
        {"cart": priced, "facts": facts if priced.lines else {"name": "Cart"}},
    )


@never_cache
@require_POST
def add(request: HttpRequest) -> HttpResponse:
    form = AddToCartForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("That could not be put into the cart. Please try again."))
        return redirect("storefront:cart")
    product = get_object_or_404(
        Product.objects.for_store(store_of(request)), external_id=form.cleaned_data["product_id"]
    )
    carried = carried_cart_or_new(request)
    try:
        cart_add(cart=carried, product=product, quantity=form.cleaned_data["quantity"])
    except OutOfStock as refusal:
        messages.warning(request, _not_so_many(refusal))
    else:
        messages.success(request, _("%(name)s is in your cart.") % {"name": product.name}, extra_tags="cart")
    return hand_over(request, redirect(_way_back(request, form.cleaned_data["next"])), carried)


@never_cache
@require_POST
def update(request: HttpRequest) -> HttpResponse:
    """Set a line's quantity; 0 takes it out."""
    form = CartLineForm(request.POST)
    carried = carried_cart(request)
    if carried is None or not form.is_valid():
        messages.error(request, _("That could not be changed. Please try again."))
        return redirect("storefront:cart")
    product = get_object_or_404(
        Product.objects.for_store(store_of(request)), external_id=form.cleaned_data["product_id"]
    )
    try:
        cart_set_quantity(cart=carried, product=product, quantity=form.cleaned_data["quantity"])
    except OutOfStock as refusal:
        messages.warning(request, _not_so_many(refusal))
    return redirect("storefront:cart")


def _not_so_many(refusal: OutOfStock) -> str:
    if not refusal.available:
        return _("%(name)s is sold out.") % {"name": refusal.product.name}
    return ngettext(
        "Only %(count)d of %(name)s can be had.", "Only %(count)d of %(name)s can be had.", refusal.available
    ) % {"count": refusal.available, "name": refusal.product.name}


def _way_back(request: HttpRequest, wanted: str) -> str:
    """Where the form asked to go, if it is a page of this shop; else the cart."""
    is_ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if wanted and is_ours else "storefront:cart"
