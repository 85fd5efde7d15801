"""The impression token: what was on a shelf, signed, so that a page cannot report shelves that were never shown.

It travels in the page and comes back with Recommendation Viewed and Recommendation Clicked. It names no person.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import orjson
from django.conf import settings
from django.core import signing

from recommendations.shelf import Shelf, ShelfItem

SALT: Final = "etalage.impression"
MAX_AGE_SECONDS: Final = 7 * 86_400


class _Serializer:
    """JSON, as `django.core.signing` writes it, in a tenth of the time."""

    def dumps(self, value: Any) -> bytes:
        return orjson.dumps(value)

    def loads(self, data: bytes) -> Any:
        return orjson.loads(data)


@lru_cache(maxsize=4)
def _signer(secret: str) -> signing.TimestampSigner:
    return signing.TimestampSigner(key=secret, salt=SALT)


@dataclass(frozen=True, slots=True)
class ShownItem:
    """`propensity`: how likely it stood at its rank, where chance had a say; None where it was certain."""

    rank: int
    strategy: str
    propensity: float | None = None


@dataclass(frozen=True, slots=True)
class ShownShelf:
    store_id: int
    request_id: UUID
    placement: str
    variant: str
    model_version: int | None
    items: dict[str, ShownItem]
    bandit_arm: int | None = None
    bandit_epoch: int | None = None


def impression_token(store_id: int, shelf: Shelf) -> str:
    items = shelf.rendered.get("token")
    if items is None:
        items = shelf.rendered["token"] = orjson.dumps([_shown(item) for item in shelf.items])
    drawn = [] if shelf.arm is None else [[shelf.arm.pk, shelf.arm.epoch]]
    told = [
        store_id,
        shelf.request_id.hex,
        shelf.placement,
        str(shelf.variant),
        shelf.model_version,
        orjson.Fragment(items),
        *drawn,
    ]
    return _signer(settings.SECRET_KEY).sign_object(told, serializer=_Serializer, compress=True)


def _shown(item: ShelfItem) -> list[str | float]:
    likely = [] if item.propensity is None else [round(item.propensity, 6)]
    return [item.product.external_id, item.strategy, *likely]


def read_impression_token(token: str) -> ShownShelf | None:
    """None for a token that we did not sign, or that is older than a week."""
    try:
        store_id, request_id, placement, variant, version, items, *drawn = signing.loads(
            token, salt=SALT, serializer=_Serializer, max_age=MAX_AGE_SECONDS
        )
    except (signing.BadSignature, ValueError):
        return None
    shown = {
        product_id: ShownItem(rank, strategy, propensity[0] if propensity else None)
        for rank, (product_id, strategy, *propensity) in enumerate(items, start=1)
    }
    arm, epoch = drawn[0] if drawn else (None, None)
    return ShownShelf(store_id, UUID(request_id), placement, variant, version, shown, arm, epoch)
