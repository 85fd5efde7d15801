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
from tracking.debugging import passes

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
        store = store or store_of(request)
        key = _write_key(store)
    except Http404:
        return SafeString("")
    tag = tracker_tag(static("etalage/tracker.js"), key, "/v1/") if key else SafeString("")
    return panel_tag(request, store) + tag


def panel_tag(request: HttpRequest, store: Store) -> SafeString:
    """With `?etalage_debug`, for staff of the store: the debugger's panel, before the tracker, whose calls it shows.
    Nothing for anybody else, who is not even looked up."""
    if passes.PARAMETER not in request.GET or not passes.may_look(getattr(request, "user", None), store):
        return SafeString("")
    return format_html(
        '<script type="module" src="{}" data-etalage-debug data-store="{}"></script>',
        static("etalage/tracking/debug-panel.js"),
        store.slug,
    )


def tracker_tag(source: str, write_key: str, endpoint: str) -> SafeString:
    """The tag with full addresses, for the pages of a shop that stands elsewhere."""
    return format_html(
        '<script type="module" src="{}" data-etalage-tracker data-write-key="{}" data-endpoint="{}"></script>',
        source,
        write_key,
        endpoint,
    )


def data_layer_tag(source: str, write_key: str) -> SafeString:
    """The one tag for a page that has a data layer already: it brings the tracker along."""
    return format_html('<script async src="{}" data-write-key="{}"></script>', source, write_key)


def _write_key(store: Store) -> str:
    if store.slug == settings.ETALAGE_STOREFRONT_STORE and settings.ETALAGE_STOREFRONT_WRITE_KEY:
        return str(settings.ETALAGE_STOREFRONT_WRITE_KEY)
    known = _known_keys.get(store.pk)
    if known is None or known[0] < time.monotonic():
        known = _known_keys[store.pk] = (time.monotonic() + KEY_CACHE_SECONDS, public_write_key(store) or "")
    return known[1]
