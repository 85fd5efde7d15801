"""Which language a visitor reads: what they chose in the footer, else what their browser prefers, else what the shop speaks."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import get_supported_language_variant
from django.utils.translation.trans_real import parse_accept_lang_header


def supported(code: str) -> str | None:
    """`de-AT` as `de`: a language that we have for the one named, or None."""
    try:
        return get_supported_language_variant(code.strip().lower().replace("_", "-"))
    except LookupError:
        return None


def language_of_visitor(request: HttpRequest, fallback: Callable[[], str]) -> str:
    """A code of `LANGUAGES`. `fallback` is asked only where neither the choice nor the browser names a language that we have."""
    if chosen := supported(request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")):
        return chosen
    for code, _quality in parse_accept_lang_header(request.META.get("HTTP_ACCEPT_LANGUAGE", "")):
        if code == "*":
            break
        if preferred := supported(code):
            return preferred
    return supported(fallback()) or settings.LANGUAGE_CODE
