"""What a shopper says at a shelf: not this product; no personal shelves on this browser; yes again.

The pages that carry these buttons are shared by everybody and thus have no CSRF token: requests from other sites are told by the
headers that browsers set and scripts cannot.
"""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseForbidden,
    HttpResponseRedirect,
)
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from consent import cookie_list
from consent.cookie_list import Cookie, days_of
from recommendations.services.product_forget import product_forget
from recommendations.serving.browser import PAUSE_COOKIE, NoStorefront, shopper_of, storefront_store

PAUSE_SECONDS = 180 * 86_400


def register_cookie() -> None:
    what_for = gettext_lazy("Remembers that you paused personal shelves on this browser.")
    days = days_of(timedelta(seconds=PAUSE_SECONDS))
    cookie_list.register(Cookie(PAUSE_COOKIE, what_for, days))


@csrf_exempt
@require_POST
def not_this(request: HttpRequest) -> HttpResponse:
    """Forget a product. 204 for scripts, back to the page for forms."""
    if not _is_same_site(request):
        return HttpResponseForbidden("This form can be sent from the shop's own pages only.")
    product_id = request.POST.get("product_id", "").strip()
    if not product_id or len(product_id) > 120 or "\x00" in product_id:
        return HttpResponseBadRequest("product_id is missing or no id of a product.")
    try:
        product_forget(store=storefront_store(), shopper=shopper_of(request), product_id=product_id)
    except NoStorefront as error:
        return HttpResponseBadRequest(str(error))
    return _done(request)


@csrf_exempt
@require_POST
def pause(request: HttpRequest) -> HttpResponse:
    """No personal shelves on this browser: a cookie that says only that, and no id."""
    if not _is_same_site(request):
        return HttpResponseForbidden("This form can be sent from the shop's own pages only.")
    response = _done(request)
    response.set_cookie(PAUSE_COOKIE, "1", max_age=PAUSE_SECONDS, samesite="Lax", secure=request.is_secure())
    return response


@csrf_exempt
@require_POST
def resume(request: HttpRequest) -> HttpResponse:
    if not _is_same_site(request):
        return HttpResponseForbidden("This form can be sent from the shop's own pages only.")
    response = _done(request)
    response.delete_cookie(PAUSE_COOKIE, samesite="Lax")
    return response


def _is_same_site(request: HttpRequest) -> bool:
    """Browsers send Sec-Fetch-Site, or at least Origin, with every POST; what sends neither is no browser with cookies to misuse."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.get_host()


def _done(request: HttpRequest) -> HttpResponse:
    if request.headers.get("X-Requested-With") == "etalage":
        response = HttpResponse(status=204)
    else:
        response = HttpResponseRedirect(_page_before(request))
    response["Cache-Control"] = "private, no-store"
    return response


def _page_before(request: HttpRequest) -> str:
    page = request.POST.get("next") or request.headers.get("Referer", "")
    safe = url_has_allowed_host_and_scheme(page, {request.get_host()}, require_https=request.is_secure())
    return page if safe else "/"
