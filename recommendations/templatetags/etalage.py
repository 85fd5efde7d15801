"""`{% load etalage %}`: the tracker, the consent banner and the shelves of a shop's page, one tag each.

    {% etalage_consent %}
    {% etalage_shelf "home" %}
    {% etalage_shelf "similar" product=product.external_id %}
    {% etalage_shelf "cart" cart=cart.product_ids %}
    {% etalage_tracker %}

A tag never breaks or delays its page: where a shelf cannot be made the place stays empty and the log says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import structlog
from django import template
from django.http import HttpRequest
from django.template import Context
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from accounts.display.money import money as format_money
from recommendations.pipeline import recommend
from recommendations.rendering import TEMPLATE, PageRegistry, render_shelf
from recommendations.serving.browser import NoStorefront, shopper_of, storefront_store
from recommendations.shelf import NOBODY, RecommendationRequest

log = structlog.get_logger(__name__)
register = template.Library()


@register.simple_tag(takes_context=True)
def etalage_tracker(context: Context) -> str:
    """The script that reports what shoppers do, where they agree. Put it before `</body>`."""
    from tracking.snippet import render_tracker

    request: HttpRequest | None = context.get("request")
    return "" if request is None else render_tracker(request)


@register.simple_tag(takes_context=True)
def etalage_consent(context: Context) -> str:
    """The banner that asks, until the visitor has answered. Put it first in `<body>`."""
    from consent.banner import render_banner

    request: HttpRequest | None = context.get("request")
    return "" if request is None else render_banner(request)


@register.simple_tag(takes_context=True)
def etalage_opt_outs(context: Context) -> list[dict[str, object]]:
    """`{% etalage_opt_outs as links %}`: `url` and `title` of the links "Do not sell or share" and "Limit the use", for the foot of
    every page; empty for shops that serve no region whose law wants them. The same for everybody, as pages may be cached."""
    from consent.banner import opt_out_links

    request: HttpRequest | None = context.get("request")
    return [] if request is None else opt_out_links(request)


@register.simple_tag(takes_context=True)
def etalage_shelf(
    context: Context,
    placement: str,
    *,
    product: str | None = None,
    category: str | None = None,
    cart: Sequence[str] = (),
    limit: int | None = None,
    personal: bool = False,
    template: str | None = None,
) -> str:
    """A shelf of products.

    By default everybody gets the same good shelf, so that the page can be cached for all, and the page's script exchanges it for
    the shopper's own before it is scrolled into view. `personal=True` makes the shopper's shelf here: mark the page private.
    `template` renders `shelf` with a template of the shop's; such a shelf is not exchanged.
    """
    http_request: HttpRequest | None = context.get("request")
    registry = PageRegistry.of(http_request)
    try:
        asked = RecommendationRequest(
            store=storefront_store(),
            placement=placement,
            shopper=shopper_of(http_request) if personal and http_request is not None else NOBODY,
            product_id=product,
            category=category,
            cart=tuple(cart),
            exclude=registry.product_ids,
            limit=limit,
            personal=personal,
        )
        registry.asked.append(asked)
        shelf = recommend(asked)
    except NoStorefront:
        return ""
    except Exception:
        # A shop's page must come out whole whatever happens here.
        log.exception("shelf.not_rendered", placement=placement)
        return ""
    # A shelf that had nothing of its own to say would be one more shelf of popular products: it waits for the script.
    waits = shelf.is_optional and shelf.stands_in
    if waits and template is not None:
        return ""
    if not waits:
        registry.add(shelf.product_ids)
    if template is not None:
        return render_shelf(shelf, asked, request=http_request, is_static=not personal, template=template)
    inner = (
        ""
        if waits
        else render_shelf(shelf, asked, request=http_request, is_static=not personal, template=TEMPLATE)
    )
    return SafeString(
        render_to_string(
            "recommendations/element.html",
            {"asked": asked, "inner": inner, "is_final": personal, "waits": waits},
            request=http_request,
        )
    )


@register.simple_tag(takes_context=True)
def etalage_taste(context: Context) -> str:
    """ "What we think you like": categories and brands, each with the reason, and the shopper's segments; nothing without consent."""
    from recommendations.selectors.taste import taste_of

    request: HttpRequest | None = context.get("request")
    if request is None:
        return ""
    try:
        taste = taste_of(storefront_store(), shopper_of(request))
    except NoStorefront:
        return ""
    return SafeString(render_to_string("recommendations/taste.html", {"taste": taste}, request=request))


@register.simple_tag(takes_context=True)
def etalage_shown(context: Context, product_ids: Iterable[str]) -> str:
    """Say what the page itself shows already, before its shelves: `{% etalage_shown listed_ids %}`. They leave it out."""
    PageRegistry.of(context.get("request")).add(product_ids)
    return ""


@register.filter
def etalage_money(minor_units: int | None, currency: str) -> str:
    """`{{ product.price_minor_units|etalage_money:product.currency }}`: 12900 EUR as €129.00."""
    return format_money(minor_units, currency)


def personal_order(
    request: HttpRequest, product_ids: Sequence[str], placement: str = "category"
) -> list[str]:
    """These products with what the shopper may like most first; as given where nothing personal may or can be used."""
    from recommendations.ordering import order_for

    try:
        return order_for(storefront_store(), shopper_of(request), product_ids, placement)
    except Exception:
        log.exception("order.not_personal", placement=placement)
        return list(product_ids)


__all__ = ["personal_order", "register"]
