"""Who the shopper is to us: whether shelves may be made for them, which visitors and customer they are, what is held against products.

Read from the database once and kept in Valkey for `CARD_SECONDS` under a keyed hash of the ids, so that a warm request needs no query.
A card is void as soon as `invalidate` has been called for one of its ids (consent, links, pauses, "not this", erasure); what
changes without a call (segments, orders) is at most `CARD_SECONDS` old.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from typing import Final

import orjson
from django.conf import settings
from django.db import transaction
from redis.exceptions import NoScriptError

from accounts import valkey
from accounts.models import Store
from accounts.throttling import ALLOWED, Decision, Window
from profiles.reading import StoredProfile, valkey_names
from recommendations.selectors.shoppers import read_known_shopper
from recommendations.serving import store_state, versions, voids
from recommendations.serving.known import NOBODY_KNOWN, KnownShopper
from recommendations.serving.recent import Recent
from recommendations.serving.versions import Versions
from recommendations.serving.voids import CARD_SECONDS
from recommendations.shelf import Shopper


@dataclass(frozen=True, slots=True)
class Arrival:
    """What one trip to Valkey gave for a request. `card` is what the shopper's knowledge was read from, as it is stored."""

    versions: Versions
    shopper: KnownShopper | None  # None = not in the cache
    stamps: tuple[bytes | None, ...]
    card: bytes | None = None
    profile: StoredProfile | None = None  # of `shopper`; None = not asked for, or not answered
    decision: Decision = ALLOWED


@dataclass(frozen=True, slots=True)
class _Seen:
    """A card that this process has read, under which stamps, and where the profile of its shopper lies."""

    card: bytes
    stamps: tuple[bytes | None, ...]
    shopper: KnownShopper
    profile_names: list[str]


_seen: Recent[_Seen] = Recent(seconds=CARD_SECONDS, capacity=10_000)


def arrive(
    store_id: int, shopper: Shopper, window: Window | None = None, *, with_profile: bool = True
) -> Arrival:
    """Counters and, where somebody is named, their card and their profile, in one round trip.

    Whose profile it is stands on the card. Of who came lately it is remembered and asked for along with the card: if the
    card is still the same, so is the profile's place. Else the profile takes a second trip (`profile_of`). `window` is
    counted in the same trip. Without `with_profile` the profile is left where it is.
    """
    counter_keys = [versions.key(store_id, part) for part in versions.Part]
    personal_keys = [] if shopper.is_nobody else _keys(store_id, shopper)
    guess = _seen.get(personal_keys[0]) if personal_keys else None
    profile_names = guess.profile_names if guess and with_profile else []
    answer = valkey.call(partial(_ask, [*counter_keys, *personal_keys], window, profile_names), None)
    if answer is None:
        return Arrival(Versions(None), NOBODY_KNOWN if shopper.is_nobody else None, ())
    values, counted, profile = answer
    decision = window.decide(*counted) if window is not None and counted is not None else ALLOWED
    counters = Versions(tuple(values[: len(counter_keys)]))
    if shopper.is_nobody:
        return Arrival(counters, NOBODY_KNOWN, (), decision=decision)
    card, stamps = values[len(counter_keys)], tuple(values[len(counter_keys) + 1 :])
    if guess is not None and card == guess.card and stamps == guess.stamps:
        return Arrival(counters, guess.shopper, stamps, guess.card, profile, decision)
    known = _read_card(card, stamps)
    if known is None or card is None:
        return Arrival(counters, None, stamps, decision=decision)
    _seen.put(personal_keys[0], _Seen(card, stamps, known, _profile_names(store_id, known)))
    return Arrival(counters, known, stamps, card, None, decision)


_ASK: Final = """
local plain, counted, profile = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local answer = {redis.call('MGET', unpack(KEYS, 1, plain)), false, false}
if counted > 0 then
  local current = redis.call('INCRBY', KEYS[plain + 2], 1)
  if current == 1 then redis.call('EXPIRE', KEYS[plain + 2], counted) end
  answer[2] = {redis.call('GET', KEYS[plain + 1]), current}
  plain = plain + 2
end
if profile > 0 then
  local found = {redis.call('EXISTS', KEYS[plain + 1])}
  for i = 2, profile do found[i] = redis.call('ZRANGE', KEYS[plain + i], 0, -1, 'WITHSCORES') end
  answer[3] = found
end
return answer
"""
_ASK_DIGEST: Final = hashlib.sha1(_ASK.encode(), usedforsecurity=False).hexdigest()

Counted = tuple[bytes | None, int]


def _ask(
    plain: list[str], window: Window | None, profile: list[str], client: valkey.redis.Redis
) -> tuple[list[bytes | None], Counted | None, StoredProfile | None]:
    """Values of the plain keys, both counters of the window, and the profile. A script, since commands in a pipeline cost more
    of Python than all that they ask for."""
    counted = [] if window is None else [window.earlier, window.current]
    keys = [*plain, *counted, *profile]
    arguments = (len(plain), 0 if window is None else 2 * window.seconds, len(profile))
    try:
        answer = valkey.command(client, "EVALSHA", _ASK_DIGEST, len(keys), *keys, *arguments)
    except NoScriptError:
        answer = valkey.command(client, "EVAL", _ASK, len(keys), *keys, *arguments)
    values, count, found = answer
    stored = None
    if found is not None:
        stored = StoredProfile(bool(found[0]), tuple(tuple(members) for members in found[1:]))
    return values, None if count is None else (count[0], count[1]), stored


def profile_of(store_id: int, known: KnownShopper, arrival: Arrival) -> StoredProfile | None:
    """What Valkey holds of this shopper's profile: with the arrival or by a trip of its own. None while it is away."""
    if arrival.profile is not None:
        return arrival.profile
    answer = valkey.call(partial(_ask, [_NO_KEY], None, _profile_names(store_id, known)), None)
    return None if answer is None else answer[2]


_NO_KEY: Final = "etalage:nothing"  # MGET wants one


def _profile_names(store_id: int, known: KnownShopper) -> list[str]:
    """What shelves showed is asked for only where a placement lets it count."""
    snapshot = store_state.of_store(store_id).snapshot
    return valkey_names(
        store_id, known.who, with_shown=snapshot is not None and snapshot.configuration.needs_shown
    )


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
        transaction.on_commit(partial(voids.stamp, stamp_keys))


def shopper_changed(store_id: int, *, anonymous_ids: Iterable[str], customer_ids: Iterable[str]) -> None:
    """Listener of `accounts.shopper_changes`: called after the commit."""
    stamp_keys = _stamp_keys(store_id, anonymous_ids, customer_ids)
    if stamp_keys:
        voids.stamp(stamp_keys)


def forget(store_id: int, *, anonymous_ids: Iterable[str], customer_ids: Iterable[str]) -> None:
    """Void, now: for erasure. Raises ValkeyUnavailable, so that the erasure is tried again.

    A void card is never read again and goes within CARD_SECONDS; it holds keys of rows, no id of the shop's.
    """
    stamp_keys = _stamp_keys(store_id, anonymous_ids, customer_ids)
    if stamp_keys:
        voids.stamp_now(stamp_keys)


def _stamp_keys(store_id: int, anonymous_ids: Iterable[str], customer_ids: Iterable[str]) -> list[str]:
    return [
        *(_stamp_key(store_id, "v", value) for value in anonymous_ids),
        *(_stamp_key(store_id, "c", value) for value in customer_ids),
    ]


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
    return _digest_under(settings.SECRET_KEY, value)


@lru_cache(maxsize=4096)
def _digest_under(secret: str, value: str) -> str:
    return hmac.new(secret.encode(), value.encode(), hashlib.sha256).hexdigest()[:32]
