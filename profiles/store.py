"""Recent events of visitors and customers in Valkey: a capped sorted set each, scored by the time of the
event.

Writing is idempotent: the member is the event without its time, so a resend only moves its score. Keys are
`etalage:{store}:profile:v:{visitor}` and `etalage:{store}:profile:c:{customer}` (events that name a
customer). Everything here may be lost and is rebuilt from the log; `is_complete` says whether it can be
relied on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Final

import msgspec
import redis
from redis.commands.core import Script

from accounts import valkey
from profiles.events import RecentEvent

CAPACITY: Final = 300
TTL_SECONDS: Final = 180 * 86_400
EVENTS_PER_CALL: Final = 500

# One call for many people: two commands a person would cost more in Python than all the rest of taking an
# event.
_REMEMBER: Final = """
local capacity, ttl = ARGV[1], ARGV[2]
local position = 3
for _, key in ipairs(KEYS) do
  local count = tonumber(ARGV[position])
  redis.call('ZADD', key, unpack(ARGV, position + 1, position + 2 * count))
  position = position + 1 + 2 * count
  redis.call('ZREMRANGEBYRANK', key, 0, -1 - capacity)
  redis.call('EXPIRE', key, ttl)
end
return 1
"""

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(RecentEvent).decode
_decode_all: Final = msgspec.json.Decoder(list[RecentEvent]).decode


def visitor_key(visitor_id: int) -> str:
    return f"v:{visitor_id}"


def customer_key(customer_id: int) -> str:
    return f"c:{customer_id}"


def remember(store_id: int, visitor_key: str, events: Sequence[RecentEvent]) -> bool:
    """Add events to one profile; see `remember_many`."""
    return remember_many(store_id, {visitor_key: events})


def remember_many(
    store_id: int,
    events: Mapping[str, Sequence[RecentEvent]],
    timeout_seconds: float = valkey.TIMEOUT_SECONDS,
) -> bool:
    """Add events to profiles, by key (`v:12`, `c:5`). False where Valkey could not be reached: the sweep adds
    them later. `timeout_seconds` is that of a call, and there is one for each EVENTS_PER_CALL events or so.
    """
    filled = [(key, newest(found)) for key, found in events.items() if found]
    for part in _parts(filled):
        keys = [_name(store_id, key) for key, _ in part]
        arguments = [CAPACITY, TTL_SECONDS, *_arguments(part)]
        if not valkey.call(partial(add_capped, keys, arguments), False, timeout_seconds=timeout_seconds):
            return False
    return True


Part = list[tuple[str, Sequence[RecentEvent]]]


def _parts(filled: Part) -> Iterator[Part]:
    """The profiles in parts of about EVENTS_PER_CALL events: Valkey serves nobody else during a call."""
    part: Part = []
    size = 0
    for key, found in filled:
        part.append((key, found))
        size += len(found)
        if size >= EVENTS_PER_CALL:
            yield part
            part, size = [], 0
    if part:
        yield part


def _arguments(part: Iterable[tuple[str, Sequence[RecentEvent]]]) -> Iterator[float | bytes]:
    for _, found in part:
        yield len(found)
        for event in found:
            yield event.occurred_at
            yield _encode((event.event_id, event.code, event.customer_id, event.products, event.text))


def newest(events: Sequence[RecentEvent]) -> Sequence[RecentEvent]:
    """The newest CAPACITY events, in no particular order where there are no more."""
    return (
        events if len(events) <= CAPACITY else sorted(events, key=lambda event: event.occurred_at)[-CAPACITY:]
    )


def add_capped(keys: list[str], arguments: list[float | bytes], client: redis.Redis) -> bool:
    """Members to sorted sets that keep their newest: `arguments` are the capacity, the seconds to live, then for each key how many
    members come, and time and member of each."""
    _remember_script(client)(keys=keys, args=arguments)
    return True


@lru_cache(maxsize=8)
def _remember_script(client: redis.Redis) -> Script:
    """Registering it hashes its text: once a client is enough."""
    return client.register_script(_REMEMBER)


def recent(store_id: int, visitor_keys: Sequence[str]) -> list[RecentEvent]:
    """The events of these profiles, oldest first within each. Raises ValkeyUnavailable."""
    return [event for events in read(store_id, visitor_keys)[0] for event in events]


def read(store_id: int, visitor_keys: Sequence[str]) -> tuple[list[list[RecentEvent]], bool]:
    """The events of each profile, and whether the store's profiles are complete here, in one round trip.
    Raises ValkeyUnavailable."""

    def ask(client: redis.Redis) -> list[object]:
        pipeline = client.pipeline(transaction=False)
        pipeline.exists(_complete(store_id))
        for key in visitor_keys:
            pipeline.zrange(_name(store_id, key), 0, -1, withscores=True)
        return pipeline.execute()

    is_complete, *sets = valkey.call(ask)
    events = [
        [msgspec.structs.replace(_decode(member), occurred_at=score) for member, score in found]  # type: ignore[attr-defined]
        for found in sets
    ]
    return events, bool(is_complete)


def names(store_id: int, visitor_keys: Iterable[str]) -> list[str]:
    """The keys that `read` asks for, for who reads more than profiles in one round trip: the mark of completeness
    (EXISTS), then the profiles (ZRANGE WITHSCORES)."""
    return [_complete(store_id), *(_name(store_id, key) for key in visitor_keys)]


def events_of(found: Sequence[bytes]) -> list[RecentEvent]:
    """The events of one profile out of what ZRANGE WITHSCORES gave: member, time, member, time …"""
    events = _decode_all(b"[%s]" % b",".join(found[::2]))
    for event, moment in zip(events, found[1::2], strict=True):
        msgspec.structs.force_setattr(event, "occurred_at", float(moment))  # nobody else has it yet
    return events


def forget(store_id: int, visitor_keys: Iterable[str]) -> int:
    """Delete profiles. Gives how many there were. Raises ValkeyUnavailable: an erasure must not pass over it."""
    names = [_name(store_id, key) for key in visitor_keys]
    if not names:
        return 0
    return int(valkey.call(lambda client: client.delete(*names), timeout_seconds=valkey.PATIENT_SECONDS))


def forget_between(store_id: int, visitor_key: str, since: float, until: float) -> int:
    """Delete a visitor's events from `since` to before `until` (Unix seconds). Raises ValkeyUnavailable."""
    name = _name(store_id, visitor_key)
    return int(valkey.call(lambda client: client.zremrangebyscore(name, since, f"({until}")))


def forget_customer_events(store_id: int, visitor_key: str, customer_id: int) -> int:
    """Delete the events of a visitor that name this customer. Raises ValkeyUnavailable."""
    events = recent(store_id, [visitor_key])
    members = [
        _encode((event.event_id, event.code, event.customer_id, event.products, event.text))
        for event in events
        if event.customer_id == customer_id
    ]
    return (
        int(valkey.call(lambda client: client.zrem(_name(store_id, visitor_key), *members))) if members else 0
    )


def mark_complete(store_id: int, *, complete: bool = True) -> None:
    """Say that all recent events of the store are here (or not any more). Without the mark, readers ask the
    log."""
    if complete:
        valkey.call(lambda client: client.set(_complete(store_id), 1))
    else:
        valkey.call(lambda client: client.delete(_complete(store_id)))


def is_complete(store_id: int) -> bool:
    """Raises ValkeyUnavailable."""
    return bool(valkey.call(lambda client: client.exists(_complete(store_id))))


def _name(store_id: int, visitor_key: str) -> str:
    return valkey.key(store_id, "profile", visitor_key)


def _complete(store_id: int) -> str:
    return valkey.key(store_id, "profiles", "complete")
