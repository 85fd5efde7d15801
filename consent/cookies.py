"""The two cookies: the choice (`etalage_consent`), and the tracking id of those who permit one (`etalage_anonymous_id`).

The choice cookie is `<receipt id>.<mask of purposes>.<start of the notice's hash>.<Unix seconds>.<signature>`. Scripts may
read it to know what is permitted; the server believes its own ledger, and uses the cookie only to know whether to ask.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.cookies import Morsel
from typing import Any, Final

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.identifiers import is_forbidden_id
from consent.purposes import ALL, OPTIONAL, Purpose

CONSENT_COOKIE: Final = "etalage_consent"
ANONYMOUS_ID_COOKIE: Final = "etalage_anonymous_id"
MAX_AGE: Final = timedelta(days=180)
# Who said no to everything is left in peace for longer; where the law begins with a yes, for the year that it asks for.
REFUSAL_MAX_AGE: Final = timedelta(days=395)
HASH_PREFIX: Final = 12

_signer = signing.Signer(salt="etalage.consent", sep=".")


@dataclass(frozen=True)
class StoredChoice:
    """`notice` is the start of the content hash of the notice that was answered; empty where none was shown."""

    receipt_id: uuid.UUID
    granted: Purpose
    notice: str
    chosen_at: datetime

    def answers(self, content_hashes: set[str]) -> bool:
        """Whether the choice was about the notice as it stands now, in whichever language."""
        return (
            any(content_hash.startswith(self.notice) for content_hash in content_hashes)
            if self.notice
            else False
        )


def read_choice(request: HttpRequest) -> StoredChoice | None:
    """The choice that the browser carries; None without one, or for one that was tampered with or is too old."""
    try:
        value = _signer.unsign(request.COOKIES.get(CONSENT_COOKIE, ""))
        receipt, mask, notice, seconds = value.split(".")
        chosen_at = datetime.fromtimestamp(int(seconds), UTC)
        choice = StoredChoice(uuid.UUID(receipt), Purpose(int(mask)) & ALL, notice, chosen_at)
    except (signing.BadSignature, ValueError, OverflowError):
        return None
    return choice if timezone.now() - chosen_at <= _max_age(choice) else None


def _max_age(choice: StoredChoice) -> timedelta:
    return MAX_AGE if choice.granted & OPTIONAL else REFUSAL_MAX_AGE


def anonymous_id_of(request: HttpRequest) -> str | None:
    """The tracking id that the browser carries, if it is one."""
    value = request.COOKIES.get(ANONYMOUS_ID_COOKIE, "")
    return None if is_forbidden_id(value) else value


def _set(
    response: HttpResponse, request: HttpRequest, name: str, value: str, max_age: timedelta = MAX_AGE
) -> None:
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        path="/",
        domain=settings.ETALAGE_COOKIE_DOMAIN or None,
        secure=request.is_secure(),
        httponly=False,  # the tracker and the scripts that wait for consent read them
        samesite="Lax",
    )


def set_choice(response: HttpResponse, request: HttpRequest, choice: StoredChoice) -> None:
    parts = (
        choice.receipt_id.hex,
        int(choice.granted),
        choice.notice[:HASH_PREFIX],
        int(choice.chosen_at.timestamp()),
    )
    _set(response, request, CONSENT_COOKIE, _signer.sign(".".join(map(str, parts))), _max_age(choice))


def set_anonymous_id(response: HttpResponse, request: HttpRequest, anonymous_id: str) -> None:
    _set(response, request, ANONYMOUS_ID_COOKIE, anonymous_id)


def _domains(request: HttpRequest) -> list[str]:
    """ "" for the host alone, then each domain that the host's cookies may have been set on."""
    host = request.get_host().rpartition(":")[0] or request.get_host()
    labels = host.split(".")
    is_name = len(labels) > 1 and not labels[-1].isdigit()
    parents = [".".join(labels[start:]) for start in range(len(labels) - 1)] if is_name else []
    configured = [settings.ETALAGE_COOKIE_DOMAIN.lstrip(".")] if settings.ETALAGE_COOKIE_DOMAIN else []
    return ["", *dict.fromkeys([*configured, *parents])]


def _paths(page_path: str) -> list[str]:
    """Every path that a cookie which the page sees may have been set on: `/c/tents/` → `/`, `/c`, `/c/`, `/c/tents`, `/c/tents/`."""
    paths = ["/"]
    walked = ""
    for step in page_path.split("/")[1:9]:
        if step:
            walked = f"{walked}/{step}"
            paths += [walked, f"{walked}/"]
    return paths


def delete_anonymous_id(response: HttpResponse, request: HttpRequest, page_path: str = "/") -> None:
    """Delete the tracking id on every path and domain on which this page could have got one.

    Each needs a header of its own, and Django keeps one a name: the others go in under keys that only this dict sees.
    """
    for domain in _domains(request):
        for path in _paths(page_path):
            morsel: Morsel[Any] = Morsel()
            morsel.set(ANONYMOUS_ID_COOKIE, "", "")
            morsel.update(
                {"path": path, "max-age": "0", "expires": "Thu, 01 Jan 1970 00:00:00 GMT", "samesite": "Lax"}
            )
            if domain:
                morsel["domain"] = domain
            if request.is_secure():
                morsel["secure"] = True
            is_usual = not domain and path == "/"
            key = ANONYMOUS_ID_COOKIE if is_usual else f"{ANONYMOUS_ID_COOKIE} {domain}{path}"
            dict.__setitem__(response.cookies, key, morsel)
