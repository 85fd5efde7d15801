"""Did this form come from our own page? For forms on pages that a shared cache keeps, which cannot carry a CSRF token.

Browsers name the sender of every POST in `Origin`, and newer ones in `Sec-Fetch-Site`; no page can make them lie. Who
sends neither is no browser, and has no cookies that somebody else could use.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest


def is_own_origin(request: HttpRequest) -> bool:
    """False for a form that another site's page sent."""
    site = request.headers.get("Sec-Fetch-Site")
    if site in {"same-origin", "none"}:
        return True
    origin = request.headers.get("Origin")
    if origin is None:
        return site is None
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    return urlsplit(origin).netloc == request.get_host()
