"""From the secret that a client sends to the key that it is: one look-up by hash, remembered for a few seconds."""

from __future__ import annotations

import hashlib
import threading
import time
from datetime import timedelta
from typing import Final

from django.db.models import Q
from django.utils import timezone

from accounts.models.api_key import ApiKey
from accounts.models.store import Store

# A revoked key may go on working for this long in processes that did not revoke it.
CACHE_SECONDS: Final = 5.0
CACHE_ENTRIES: Final = 4096
MAX_SECRET_LENGTH: Final = 200
_LAST_USED_RESOLUTION: Final = timedelta(minutes=5)

_lock = threading.Lock()
_cache: dict[str, tuple[float, ApiKey | None]] = {}


def digest_of(secret: str) -> str:
    """SHA-256 in hexadecimal. A fast hash is right here: the secret is 256 random bits, not a password."""
    return hashlib.sha256(secret.encode()).hexdigest()


def key_of(secret: str) -> ApiKey | None:
    """The valid key with this secret (its store loaded), or None: unknown or revoked. Shared between threads: read it only."""
    if not secret or len(secret) > MAX_SECRET_LENGTH:
        return None
    digest = digest_of(secret)
    now = time.monotonic()
    known = _cache.get(digest)
    if known is not None and known[0] > now:
        return known[1]
    key = ApiKey.all_stores.select_related("store").filter(digest=digest, revoked_at=None).first()
    if key is not None:
        _note_use(key)
    _remember(digest, now + CACHE_SECONDS, key)
    return key


def remembered_key(secret: str) -> ApiKey | None:
    """The same out of this process's memory alone, valid or not any more: for those who must not wait for the database."""
    known = _cache.get(digest_of(secret)) if len(secret) <= MAX_SECRET_LENGTH else None
    return known[1] if known is not None else None


def _note_use(key: ApiKey) -> None:
    """At most once in five minutes: a row update for every request would be a bottleneck for the sake of a list."""
    now = timezone.now()
    if key.last_used_at is None or now - key.last_used_at > _LAST_USED_RESOLUTION:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - _LAST_USED_RESOLUTION)
        ApiKey.objects.for_store(key.store_id).filter(stale, pk=key.pk).update(last_used_at=now)


def _remember(digest: str, until: float, key: ApiKey | None) -> None:
    with _lock:
        if len(_cache) >= CACHE_ENTRIES:
            # Unknown keys are remembered too, so a flood of guesses must not grow the table.
            _cache.clear()
        _cache[digest] = (until, key)


def forget_all() -> None:
    with _lock:
        _cache.clear()


def public_write_key(store: Store) -> str | None:
    """The newest key of the store that browsers may send events with, for the tracker's tag; None where there is none."""
    keys = ApiKey.objects.for_store(store).filter(revoked_at=None).exclude(public_value="")
    return keys.order_by("-created_at").values_list("public_value", flat=True).first()
