"""The cookie by which a browser remembers that its person opted out: necessary, and no id by which it could be recognised.

`<kind>:<Unix seconds>,….<signature>`. Without it an opt-out of a browser that permits no tracking id would be forgotten at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from consent.models import OptOut

OPT_OUT_COOKIE: Final = "etalage_opt_out"
# Longer than the twelve months for which nobody may ask again (CCPA § 1798.135(c)(4)).
MAX_AGE: Final = timedelta(days=395)

_signer = signing.Signer(salt="etalage.opt-out", sep=".")


def read_opt_outs(request: HttpRequest) -> dict[str, datetime]:
    """{kind: since when} of what this browser opted out of; empty without the cookie, or where it was tampered with."""
    try:
        value = _signer.unsign(request.COOKIES.get(OPT_OUT_COOKIE, ""))
        pairs = [part.split(":") for part in value.split(",")]
        return {
            kind: datetime.fromtimestamp(int(seconds), UTC)
            for kind, seconds in pairs
            if kind in OptOut.Kind.values
        }
    except (signing.BadSignature, ValueError, OverflowError):
        return {}


def set_opt_outs(response: HttpResponse, request: HttpRequest, opt_outs: Mapping[str, datetime]) -> None:
    """Remember these and no others; none at all deletes the cookie."""
    domain = settings.ETALAGE_COOKIE_DOMAIN or None
    if not opt_outs:
        response.delete_cookie(OPT_OUT_COOKIE, domain=domain, samesite="Lax")
        return
    value = ",".join(f"{kind}:{int(since.timestamp())}" for kind, since in sorted(opt_outs.items()))
    response.set_cookie(
        OPT_OUT_COOKIE,
        _signer.sign(value),
        max_age=MAX_AGE,
        domain=domain,
        secure=request.is_secure(),
        httponly=True,
        samesite="Lax",
    )
