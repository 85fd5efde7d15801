from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control, patch_vary_headers

SHARED_SECONDS = 30


def shareable(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Let a proxy keep the page for those who carry no cookie: for them it is the same for everybody.

    Who carries one (a cart, a log-in, a consent) gets a page of their own, which no cache may share. Browsers ask again
    each time, so that going back shows today's prices.
    """
    patch_vary_headers(response, ["Cookie"])
    if request.COOKIES or response.cookies:
        patch_cache_control(response, private=True, no_cache=True)
    else:
        patch_cache_control(response, public=True, max_age=0, s_maxage=SHARED_SECONDS)
    return response
