"""What every page of the shop shows: its categories, the size of the cart, prices."""

from __future__ import annotations

from typing import Any

from django import template
from django.http import Http404, HttpRequest
from django.template import Context
from django.utils.html import json_script
from django.utils.safestring import SafeString

from accounts.display.money import money as format_money
from accounts.services import sign_user_id
from catalog.models import Category
from catalog.wording import spoken
from storefront.selectors.cart import quantity_in
from storefront.selectors.listing import address_with
from storefront.selectors.navigation import main_categories_of
from storefront.shop import account_of, store_of
from storefront.views.carrying import carried_cart

register = template.Library()


@register.simple_tag(takes_context=True)
def main_categories(context: Context) -> list[Category]:
    """Empty where the shop is not set up: an error page must still come out."""
    request: HttpRequest | None = context.get("request")
    if request is None:
        return []
    try:
        return main_categories_of(store_of(request))
    except Http404:
        return []


@register.simple_tag(takes_context=True)
def cart_count(context: Context) -> int:
    """Pieces in the cart; no query for who carries none."""
    request: HttpRequest | None = context.get("request")
    if request is None:
        return 0
    try:
        cart = carried_cart(request)
    except Http404:
        return 0
    return quantity_in(cart) if cart else 0


@register.simple_tag(takes_context=True)
def page_facts(context: Context) -> SafeString:
    """What the page is about, for the tracker: `facts` of the view and, for a shopper who is logged in, their signed id."""
    request: HttpRequest | None = context.get("request")
    facts: dict[str, Any] = dict(context.get("facts") or {})
    try:
        account = account_of(request) if request is not None else None
    except Http404:  # no shop is set up: an error page must still come out
        account = None
    if account is not None:
        user_id = account.customer.external_id
        facts["user"] = {"id": user_id, "signature": sign_user_id(account.store, user_id)}
    return json_script(facts, "etalage-page") if facts else SafeString("")


@register.filter
def money(minor_units: int | None, currency: str) -> str:
    """`{{ product.price_minor_units|money:product.currency }}`: 12900 EUR as €129.00."""
    return format_money(minor_units, currency)


@register.filter
def shop_word(name: str | None) -> str:
    """`{{ category.name|shop_word }}`: a word of the catalogue in the visitor's language, where a translation says it."""
    return spoken(name or "")


@register.simple_tag(takes_context=True)
def address(context: Context, **changes: Any) -> str:
    """The page's own query string with some parameters changed."""
    return address_with(context["request"].GET, **changes)


@register.inclusion_tag("storefront/_field.html")
def field(bound_field: Any, classes: str = "") -> dict[str, Any]:
    """A labelled input with its hint and its errors, tied together for screen readers."""
    described_by = [f"{bound_field.id_for_label}-hint"] if bound_field.help_text else []
    described_by += [f"{bound_field.id_for_label}-error"] if bound_field.errors else []
    attributes = {"aria-describedby": " ".join(described_by)} if described_by else {}
    if bound_field.errors:
        attributes["aria-invalid"] = "true"
    return {"field": bound_field, "widget": bound_field.as_widget(attrs=attributes), "classes": classes}
