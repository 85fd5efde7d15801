"""What shelves showed a shopper, in Valkey: so that what is shown again and again in vain can rest.

`etalage:{store}:shown:v:{visitor}` and `…:shown:c:{customer}` (sightings that name a customer): the newest CAPACITY sightings of
two weeks at most, scored by their time. A product counts once a request, however often it was told. Unlike profiles they are not
rebuilt from the log: where Valkey loses them, counting starts again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from accounts import valkey
from profiles import store as profile_store

SHOWN: Final = "Recommendation Viewed"
CAPACITY: Final = 128
"""As many as Valkey keeps in one compact list: some 6 kB for whoever looks at a great many shelves."""
TTL_SECONDS: Final = 14 * 86_400
_BETWEEN: Final = "\x1f"


class Sighting(NamedTuple):
    """A product that was in view on a shelf. `request` names the shelf's request; `customer_id` whom the event itself names."""

    product_id: str
    request: str
    customer_id: int | None
    occurred_at: float

    @property
    def member(self) -> str:
        return _BETWEEN.join((str(self.customer_id or ""), self.request, self.product_id))


def sighting(
    *, message_id: str, name: str, product_id: str, properties: Mapping[str, Any], occurred_at: float, customer_id: int | None
) -> Sighting | None:  # fmt: skip
    """None for an event that is no sighting, or names no product."""
    if name != SHOWN or not product_id:
        return None
    told = properties.get("request_id")
    request = told if isinstance(told, str) and told else message_id
    digest = hashlib.blake2b(request.encode(), digest_size=4).hexdigest()
    return Sighting(product_id, digest, customer_id, occurred_at)


def remember(store_id: int, seen: Mapping[str, Sequence[Sighting]]) -> bool:
    """Add sightings to shoppers, by key (`v:12`, `c:5`). False where Valkey could not be reached: they are then not counted."""
    filled = {key: sorted(found, key=_moment)[-CAPACITY:] for key, found in seen.items() if found}
    if not filled:
        return True
    names = [_name(store_id, key) for key in filled]
    arguments = [CAPACITY, TTL_SECONDS, *_arguments(filled.values())]
    return valkey.call(partial(profile_store.add_capped, names, arguments), False)


def _moment(seen: Sighting) -> float:
    return seen.occurred_at


def _arguments(filled: Iterable[Sequence[Sighting]]) -> Iterator[float | bytes]:
    for found in filled:
        yield len(found)
        for seen in found:
            yield seen.occurred_at
            yield seen.member.encode()


def names(store_id: int, visitor_keys: Iterable[str]) -> list[str]:
    """The keys to ask Valkey for (ZRANGE WITHSCORES), in the order of `visitor_keys`."""
    return [_name(store_id, key) for key in visitor_keys]


def sightings_of(found: Sequence[bytes]) -> list[Sighting]:
    """Out of what ZRANGE WITHSCORES gave: member, time, member, time …"""
    seen = []
    for member, moment in zip(found[::2], found[1::2], strict=True):
        customer, request, product = member.decode().split(_BETWEEN, 2)
        seen.append(Sighting(product, request, int(customer) if customer else None, float(moment)))
    return seen


def read(store_id: int, visitor_keys: Sequence[str]) -> list[list[Sighting]]:
    """Of each shopper, oldest first. Raises ValkeyUnavailable."""

    def ask(client: valkey.redis.Redis) -> list[list[tuple[bytes, float]]]:
        pipeline = client.pipeline(transaction=False)
        for name in names(store_id, visitor_keys):
            pipeline.zrange(name, 0, -1, withscores=True)
        answers: list[list[tuple[bytes, float]]] = pipeline.execute()
        return answers

    flat = ([part for pair in found for part in pair] for found in valkey.call(ask))
    return [sightings_of(found) for found in flat]  # type: ignore[arg-type]  # floats are read as well as bytes


def counts(seen: Iterable[Sighting], opened: Iterable[str], now: float) -> dict[str, int]:
    """Product → in how many requests it was seen in the two weeks before `now`, but for products that were `opened`."""
    left_out = frozenset(opened)
    known = {
        (each.product_id, each.request)
        for each in seen
        if now - TTL_SECONDS < each.occurred_at <= now and each.product_id not in left_out
    }
    times: dict[str, int] = {}
    for product_id, _ in known:
        times[product_id] = times.get(product_id, 0) + 1
    return times


def forget(store_id: int, visitor_keys: Iterable[str]) -> int:
    """Delete. Gives how many shoppers' there were. Raises ValkeyUnavailable: an erasure must not pass over it."""
    keys = names(store_id, visitor_keys)
    if not keys:
        return 0
    return int(valkey.call(lambda client: client.delete(*keys), timeout_seconds=valkey.PATIENT_SECONDS))


def forget_between(store_id: int, visitor_key: str, since: float, until: float) -> int:
    """Delete a visitor's sightings from `since` to before `until` (Unix seconds). Raises ValkeyUnavailable."""
    name = _name(store_id, visitor_key)
    return int(valkey.call(lambda client: client.zremrangebyscore(name, since, f"({until}")))


def forget_customer(store_id: int, visitor_key: str, customer_id: int) -> int:
    """Delete the sightings of a visitor that name this customer. Raises ValkeyUnavailable."""
    members = [each.member for each in read(store_id, [visitor_key])[0] if each.customer_id == customer_id]
    name = _name(store_id, visitor_key)
    return int(valkey.call(lambda client: client.zrem(name, *members))) if members else 0


def _name(store_id: int, visitor_key: str) -> str:
    return valkey.key(store_id, "shown", visitor_key)
