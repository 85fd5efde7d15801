"""What ingestion tells the debugger. Costs a look at a variable where nobody watches, and never fails its caller."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Final

import structlog
from django.db import Error
from django.http import HttpRequest

from accounts import keys
from accounts.authentication import InvalidKey, secret_from_headers
from accounts.models import ApiKey
from accounts.services.api_keys import PREFIX_LENGTH
from tracking.debugging import feed
from tracking.debugging.calls import Call, Outcome, calls_of, program_of
from tracking.debugging.feed import Entry
from tracking.ingestion.drafts import Draft, Tally

log = structlog.get_logger(__name__)

# A client that repeats a fault a thousand times a second must not wash the other calls away.
REFUSALS_PER_SECOND: Final = 10
UNAVAILABLE: Final = 503
_WRITE_KEY: Final = re.compile(rb'"(?:writeKey|api_key)"\s*:\s*"([^"\\]{1,200})"')
_SEARCHED_BYTES: Final = 65_536


def committed(groups: Sequence[Sequence[Draft]], tallies: Sequence[Tally]) -> None:
    """The drafts of committed requests, each group of one store. Imports of history are no calls."""
    try:
        watched = feed.watched()
        if not watched:
            return
        by_store: dict[int, list[Draft]] = {}
        for group in groups:
            if group and not group[0].arrival.keeps_received_at:
                store_id = group[0].arrival.source.store_id
                if store_id in watched:
                    by_store.setdefault(store_id, []).extend(group)
        duplicates = sum(tally.duplicates for tally in tallies)
        entries = {store_id: _entry(drafts, duplicates) for store_id, drafts in by_store.items()}
        if entries:
            feed.publish(entries)
    except Exception:
        # The events are stored: whatever goes wrong here is no reason to say otherwise.
        log.exception("debugging.commit_not_shown")


def _entry(drafts: Sequence[Draft], duplicates: int) -> Entry:
    return Entry(*calls_of(drafts, duplicates, time.time()))


def refused(request: HttpRequest, status: int, code: str, message: str, body: bytes = b"") -> None:
    """A request that was refused as a whole, shown to the stores that it can be told to be meant for."""
    try:
        watched = feed.watched()
        if not watched or not _admit():
            return
        entries = {}
        for key in _told_to(request, status, _secret(request, body), watched):
            call = Call(
                at=time.time(),
                outcome=Outcome.REFUSED.value,
                name=f"{request.method} {request.path}"[:100],
                key=key.pk,
                library=program_of(request.headers.get("User-Agent", "")),
                reason=code,
                status=status,
                detail=message[:500],
            )
            entries[key.store_id] = Entry([call])
        if entries:
            feed.publish(entries)
    except Error as error:
        log.warning("debugging.refusal_not_shown", error=str(error).strip())
    except Exception:
        log.exception("debugging.refusal_not_shown")


_second = 0
_refusals = 0


def _admit() -> bool:
    global _second, _refusals
    now = int(time.monotonic())
    _second, _refusals = (now, 1) if now != _second else (now, _refusals + 1)
    return _refusals <= REFUSALS_PER_SECOND


def _told_to(request: HttpRequest, status: int, secret: str, watched: frozenset[int]) -> list[ApiKey]:
    """The key that was sent, if its store is watched; where it is nobody's, those that it may have been meant to be."""
    # Whoever is told that the database does not answer must not wait for it once more.
    is_outage = status == UNAVAILABLE
    key = keys.remembered_key(secret) if is_outage else keys.key_of(secret)
    if key is not None:
        return [key] if key.store_id in watched else []
    return [] if is_outage else _meant_for(request, secret, watched)


def _meant_for(request: HttpRequest, secret: str, watched: frozenset[int]) -> list[ApiKey]:
    """Revoked or misspelt keys of watched stores alone: of the same digest, with the same beginning, or for the same page."""
    candidates = ApiKey.all_stores.filter(store_id__in=watched)
    if secret and (known := candidates.filter(digest=keys.digest_of(secret)).first()):
        return [known]
    if secret and (near := candidates.filter(prefix=secret[:PREFIX_LENGTH]).first()):
        return [near]
    origin = request.headers.get("Origin", "").rstrip("/")
    by_page = candidates.filter(allowed_origins__contains=[origin]) if origin else candidates.none()
    return list({key.store_id: key for key in by_page.order_by("pk")}.values())


def _secret(request: HttpRequest, body: bytes) -> str:
    """As `authenticate_write_key` looks for it, also where the body cannot be read as a whole."""
    try:
        if secret := secret_from_headers(request):
            return secret
    except InvalidKey:
        return ""
    if found := _WRITE_KEY.search(body[:_SEARCHED_BYTES]) or _WRITE_KEY.search(body[-_SEARCHED_BYTES:]):
        return found.group(1).decode("utf-8", "replace")
    return request.GET.get("writeKey", "")
