"""The look of the admin: django-unfold with our colours, our home page and our navigation."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static


def _subheader(request: HttpRequest) -> str:
    from accounts.current_store import current_store

    store = current_store(request) if request.user.is_authenticated else None
    return str(store) if store else "Personalisation for your shop"


def _environment(request: HttpRequest) -> tuple[str, str] | None:
    """Simulated people are labelled as simulated everywhere."""
    from accounts.current_store import current_store

    store = current_store(request) if request.user.is_authenticated else None
    return ("Simulated shoppers", "info") if store and store.is_simulated else None


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Etalage",
    "SITE_HEADER": "Etalage",
    "SITE_SUBHEADER": _subheader,
    "SITE_SYMBOL": "storefront",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("etalage/admin/favicon.svg")},
    ],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "ENVIRONMENT": _environment,
    "DASHBOARD_CALLBACK": "config.dashboard.dashboard",
    "STYLES": [lambda request: static("etalage/admin/admin.css")],
    "SCRIPTS": [lambda request: static("etalage/admin/zone.js")],
    "BORDER_RADIUS": "8px",
    "COLORS": {
        "primary": {
            "50": "oklch(96.2% .018 272.314)",
            "100": "oklch(93% .034 272.788)",
            "200": "oklch(87% .065 274.039)",
            "300": "oklch(78.5% .115 274.713)",
            "400": "oklch(67.3% .182 276.935)",
            "500": "oklch(58.5% .233 277.117)",
            "600": "oklch(51.1% .262 276.966)",
            "700": "oklch(45.7% .24 277.023)",
            "800": "oklch(39.8% .195 277.366)",
            "900": "oklch(35.9% .144 278.697)",
            "950": "oklch(25.7% .09 281.288)",
        },
    },
    "SIDEBAR": {
        # Its answers are cached by user and word, whichever store they came from.
        "show_search": False,
        "command_search": False,
        "show_all_applications": False,
        "navigation": "config.navigation.navigation",
    },
}
