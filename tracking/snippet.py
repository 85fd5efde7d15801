"""The tracker's tag for a shop's page: `{% etalage_tracker %}`, or the same text for any page of any shop."""

from __future__ import annotations

import time
from typing import Final

from django.conf import settings
from django.http import Http404, HttpRequest
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.keys import public_write_key
from accounts.models import Store
from consent.store_of import store_of

KEY_CACHE_SECONDS: Final = 30.0

_known_keys: dict[int, tuple[float, str]] = {}


def render_tracker(request: HttpRequest, store: Store | None = None) -> SafeString:
    """One script tag, the same for every visitor, so that the page stays cacheable. Nothing where the store
    has no key for browsers.

    What the page shows stands beside it in `<script type="application/json" id="etalage-page">`, which the
    page itself writes. The script sends to the host it came from, and does nothing until the visitor permits
    it.
    """
    try:
        key = _write_key(store or store_of(request))
    except Http404:
        return SafeString("")
    return tracker_tag(static("etalage/tracker.js"), key, "/v1/") if key else SafeString("")


def tracker_tag(source: str, write_key: str, endpoint: str) -> SafeString:
    """The tag with full addresses, for the pages of a shop that stands elsewhere."""
    return format_html(
        '<script type="module" src="{}" data-etalage-tracker data-write-key="{}" data-endpoint="{}"></script>',
        source,
        write_key,
        endpoint,
    )


def _write_key(store: Store) -> str:
    if store.slug == settings.ETALAGE_STOREFRONT_STORE and settings.ETALAGE_STOREFRONT_WRITE_KEY:
        return str(settings.ETALAGE_STOREFRONT_WRITE_KEY)
    known = _known_keys.get(store.pk)
    if known is None or known[0] < time.monotonic():
        known = _known_keys[store.pk] = (time.monotonic() + KEY_CACHE_SECONDS, public_write_key(store) or "")
    return known[1]
