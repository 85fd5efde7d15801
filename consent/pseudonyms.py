"""Keyed digests of identifiers: what may stand where the identifier may not.

HMAC-SHA256 under ETALAGE_SUPPRESSION_KEY, apart from the key of the vault, so that an erased person can still be told
apart (suppression, requests of one person) without being known. To rotate, put the new key in front:
`ETALAGE_SUPPRESSION_KEY="2:new,1:old"`; new digests use the first key, look-ups try every one.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import lru_cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class IdentifierKind(StrEnum):
    EMAIL = "email"
    USER_ID = "user_id"
    ANONYMOUS_ID = "anonymous_id"


@lru_cache(maxsize=8)
def _parse(value: str) -> tuple[tuple[int, bytes], ...]:
    keys = []
    for part in filter(None, (piece.strip() for piece in value.split(","))):
        version, separator, secret = part.partition(":")
        keys.append(
            (int(version), secret.encode()) if separator and version.isdigit() else (1, part.encode())
        )
    if (
        not keys
        or len({version for version, _ in keys}) != len(keys)
        or not all(secret for _, secret in keys)
    ):
        raise ImproperlyConfigured(
            "ETALAGE_SUPPRESSION_KEY must be a secret, or several as '2:new,1:old' with different numbers. "
            "`manage.py services start` makes one at the first start."
        )
    return tuple(keys)


def keys() -> tuple[tuple[int, bytes], ...]:
    """Versions and secrets, the one in use first. Raises ImproperlyConfigured where there is none."""
    return _parse(settings.ETALAGE_SUPPRESSION_KEY)


def normalise(kind: str, value: str) -> str:
    """E-mail addresses without case and surrounding space; ids as they are."""
    return value.strip().casefold() if kind == IdentifierKind.EMAIL else value


# A shopper's ids come again with every event.
@lru_cache(maxsize=32_768)
def _digest(secret: bytes, store_id: int, kind: str, value: str) -> str:
    text = f"{store_id}:{kind}:{normalise(kind, value)}".encode("utf-8", "surrogatepass")
    return hmac.digest(secret, text, hashlib.sha256).hex()


def pseudonym(store_id: int, kind: str, value: str) -> str:
    """64 hexadecimal digits under the key in use. The same value in two stores, or as two kinds, gives two digests."""
    return _digest(keys()[0][1], store_id, kind, value)


def pseudonyms(store_id: int, kind: str, value: str) -> Iterator[str]:
    """The digest under every known key, for look-ups in what older keys wrote."""
    for _, secret in keys():
        yield _digest(secret, store_id, kind, value)


def pseudonyms_of_many(store_id: int, kind: str, names: Mapping[str, str]) -> dict[str, str]:
    """{digest: name} of every key of `names`, under every known key: a look-up for a whole batch."""
    return {
        _digest(secret, store_id, kind, value): name for _, secret in keys() for value, name in names.items()
    }


def key_version() -> int:
    return keys()[0][0]
