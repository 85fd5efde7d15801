"""Cookies that the shop's own pages may set, for the notice: what each is for, and how long at most it stays.

Whoever sets a cookie registers it; a test walks the shop and finds those that nobody registered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from consent.cookies import ANONYMOUS_ID_COOKIE, CONSENT_COOKIE, MAX_AGE, REFUSAL_MAX_AGE
from consent.opt_out_cookie import MAX_AGE as OPT_OUT_MAX_AGE
from consent.opt_out_cookie import OPT_OUT_COOKIE


@dataclass(frozen=True)
class Cookie:
    name: str
    what_for: Promise
    days: int | None
    """At most, counted from when it was last set; None: until the browser is closed."""
    is_necessary: bool = True


_cookies: Final[dict[str, Cookie]] = {}


def register(cookie: Cookie) -> None:
    _cookies[cookie.name] = cookie


def cookies() -> list[Cookie]:
    """Those that need a permission last, else by name."""
    return sorted(_cookies.values(), key=lambda cookie: (not cookie.is_necessary, cookie.name))


def days_of(term: timedelta) -> int:
    return round(term / timedelta(days=1))


def register_own() -> None:
    register(
        Cookie(
            CONSENT_COOKIE,
            gettext_lazy("Remembers your choice, and the number of its proof."),
            days_of(max(MAX_AGE, REFUSAL_MAX_AGE)),
        )
    )
    register(
        Cookie(
            OPT_OUT_COOKIE,
            gettext_lazy("Remembers that this browser opted out."),
            days_of(OPT_OUT_MAX_AGE),
        )
    )
    register(
        Cookie(
            ANONYMOUS_ID_COOKIE,
            gettext_lazy("Recognises this browser, where you permit analytics or personalisation."),
            days_of(MAX_AGE),
            is_necessary=False,
        )
    )
    register(
        Cookie(
            settings.SESSION_COOKIE_NAME,
            gettext_lazy("Keeps you logged in."),
            days_of(timedelta(seconds=settings.SESSION_COOKIE_AGE)),
        )
    )
    register(
        Cookie(
            settings.CSRF_COOKIE_NAME,
            gettext_lazy("Keeps other sites from sending forms in your name."),
            days_of(timedelta(seconds=settings.CSRF_COOKIE_AGE)),
        )
    )
    register(
        Cookie(
            settings.LANGUAGE_COOKIE_NAME,
            gettext_lazy("Remembers the language that you chose."),
            days_of(timedelta(seconds=settings.LANGUAGE_COOKIE_AGE)),
        )
    )
    register(Cookie("messages", gettext_lazy("Carries a word of confirmation to the next page."), None))
