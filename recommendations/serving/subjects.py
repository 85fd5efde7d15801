"""Who the shopper is to us: whether shelves may be made for them, which visitors and customer they are, what is held against products.

Read from the database once and kept in Valkey for `CARD_SECONDS` under a keyed hash of the ids, so that a warm request needs no query.
A card is void as soon as `invalidate` has been called for one of its ids (consent, links, pauses, "not this", erasure); what
changes without a call (segments, orders) is at most `CARD_SECONDS` old.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial

import orjson
from django.conf import settings
from django.db import transaction

from accounts import valkey
from accounts.models import Store
from recommendations.selectors.shoppers import read_known_shopper
from recommendations.serving import versions
from recommendations.serving.known import NOBODY_KNOWN, KnownShopper
from recommendations.serving.versions import Versions
from recommendations.shelf import Shopper

CARD_SECONDS = 60
STAMP_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Arrival:
    """What one trip to Valkey gave for a request."""

    versions: Versions
    shopper: KnownShopper | None  # None = not in the cache
    stamps: tuple[bytes | None, ...]


def arrive(store_id: int, shopper: Shopper) -> Arrival:
    """Counters and, where somebody is named, their card, in one round trip."""
    counter_keys = [versions.key(store_id, part) for part in versions.Part]
    keys = [*counter_keys, *([] if shopper.is_nobody else _keys(store_id, shopper))]
    values = versions.get_all(keys)
    if values is None:
        return Arrival(Versions(None), NOBODY_KNOWN if shopper.is_nobody else None, ())
    counters, personal = values[: len(counter_keys)], values[len(counter_keys) :]
    if shopper.is_nobody:
        return Arrival(Versions(counters), NOBODY_KNOWN, ())
    card, stamps = personal[0], personal[1:]
    return Arrival(Versions(counters), _read_card(card, stamps), stamps)


def know(store: Store, shopper: Shopper, arrival: Arrival) -> KnownShopper:
    """The card that came with the arrival, else a new one from the database, kept for the next request."""
    if arrival.shopper is not None:
        return arrival.shopper
    known = read_known_shopper(store, shopper)
    # Who has no row yet may have one with the next event: a first click must not wait for a card to expire.
    if arrival.versions.counters is not None and known != NOBODY_KNOWN:
        card = orjson.dumps([[_text(stamp) for stamp in arrival.stamps], asdict(known)])
        card_key = _keys(store.pk, shopper)[0]
        valkey.call(lambda client: client.set(card_key, card, ex=CARD_SECONDS), None)
    return known


def invalidate(store_id: int, *, anonymous_ids: Iterable[str] = (), customer_ids: Iterable[str] = ()) -> None:
    """Void every card of these people once the transaction has committed. `customer_ids` are external ids."""
    stamp_keys = _stamp_keys(store_id, anonymous_ids, customer_ids)
    if stamp_keys:
        transaction.on_commit(partial(_stamp, stamp_keys))


def shopper_changed(store_id: int, *, anonymous_ids: Iterable[str], customer_ids: Iterable[str]) -> None:
    """Listener of `accounts.shopper_changes`: called after the commit."""
    stamp_keys = _stamp_keys(store_id, anonymous_ids, customer_ids)
    if stamp_keys:
        _stamp(stamp_keys)


def forget(store_id: int, *, anonymous_ids: Iterable[str], customer_ids: Iterable[str]) -> None:
    """Void, now: for erasure. Raises ValkeyUnavailable, so that the erasure is tried again.

    A void card is never read again and goes within CARD_SECONDS; it holds keys of rows, no id of the shop's.
    """
    stamp_keys = _stamp_keys(store_id, anonymous_ids, customer_ids)
    if stamp_keys:
        _stamp(stamp_keys, strict=True)


def _stamp_keys(store_id: int, anonymous_ids: Iterable[str], customer_ids: Iterable[str]) -> list[str]:
    return [
        *(_stamp_key(store_id, "v", value) for value in anonymous_ids),
        *(_stamp_key(store_id, "c", value) for value in customer_ids),
    ]


def _stamp(stamp_keys: list[str], *, strict: bool = False) -> None:
    def write(client: valkey.redis.Redis) -> bool:
        pipe = client.pipeline(transaction=False)
        for stamp_key in stamp_keys:
            pipe.set(stamp_key, secrets.token_hex(8), ex=STAMP_SECONDS)
        pipe.execute()
        return True

    if strict:
        valkey.call(write)
    else:
        valkey.call(write, False)


def _read_card(card: bytes | None, stamps: tuple[bytes | None, ...]) -> KnownShopper | None:
    if card is None:
        return None
    written_under, fields = orjson.loads(card)
    if written_under != [_text(stamp) for stamp in stamps]:
        return None
    return KnownShopper.from_json(fields)


def _text(stamp: bytes | None) -> str | None:
    return None if stamp is None else stamp.decode()


def _keys(store_id: int, shopper: Shopper) -> list[str]:
    """The card's key, then the stamps that can void it."""
    pair = _pair_digest(shopper)
    keys = [valkey.key(store_id, "shopper", "card", pair)]
    if shopper.anonymous_id is not None:
        keys.append(_stamp_key(store_id, "v", shopper.anonymous_id))
    if shopper.customer_id is not None:
        keys.append(_stamp_key(store_id, "c", shopper.customer_id))
    return keys


def _pair_digest(shopper: Shopper) -> str:
    parts = (
        shopper.anonymous_id or "",
        shopper.customer_id or "",
        str(shopper.sends_gpc),
        repr(tuple(shopper.source)),
    )
    return _digest("\x00".join(parts))


def _stamp_key(store_id: int, kind: str, value: str) -> str:
    return valkey.key(store_id, "shopper", "stamp", _digest(f"{kind}:{value}"))


def _digest(value: str) -> str:
    return hmac.new(settings.SECRET_KEY.encode(), value.encode(), hashlib.sha256).hexdigest()[:32]
