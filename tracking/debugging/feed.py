"""The calls of a store while somebody watches: a capped stream in Valkey that ends by itself.

`etalage:debugging:watched` scores each watched store with the moment until which it is; `etalage:{store}:debugging:calls`
holds one entry a commit. Valkey numbers the entries when it takes them, so that a reader who asks for what came after
a number neither misses an entry nor gets one twice. Nothing of this may fail or hold up the events themselves: without
Valkey the debugger sees nothing, and says so.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import redis

from accounts import valkey
from accounts.personal_data import Classification, classify_valkey_keys
from tracking.debugging.calls import Call

# Somebody who tries their shop in another tab comes back within minutes.
WATCH_SECONDS: Final = 600
KEEP_SECONDS: Final = 900
MAX_ENTRIES: Final = 400
READ_ENTRIES: Final = 200
# How long a process believes that nobody watches: exact for the first events of a quiet shop, free in a busy one.
LOOK_SECONDS: Final = 0.1
START: Final = "0-0"
_WATCHED: Final = "etalage:debugging:watched"

_encode: Final = msgspec.json.Encoder().encode


class Entry(msgspec.Struct, omit_defaults=True, frozen=True):
    """What one commit, or one refusal, brings. `left_out`: events that are not among the calls."""

    calls: list[Call]
    left_out: int = 0


_decode: Final = msgspec.json.Decoder(Entry).decode


@dataclass(frozen=True)
class Page:
    """`entries` are (number, entry), oldest first; `cursor` is where to go on.

    `is_cut`: there were more since the last page than the stream holds. `is_live`: False where Valkey did not answer.
    """

    entries: Sequence[tuple[str, Entry]]
    cursor: str
    is_cut: bool = False
    is_live: bool = True


def watch(store_id: int) -> bool:
    """Have the store's calls kept for the next WATCH_SECONDS. False where Valkey did not answer."""
    now = time.time()

    def mark(client: redis.Redis) -> bool:
        pipeline = client.pipeline(transaction=False)
        pipeline.zadd(_WATCHED, {str(store_id): now + WATCH_SECONDS})
        pipeline.zremrangebyscore(_WATCHED, "-inf", now)
        pipeline.expire(_WATCHED, WATCH_SECONDS)
        pipeline.execute()
        return True

    is_marked = valkey.call(mark, False)
    _forget_look()
    return is_marked


_look: tuple[float, frozenset[int]] = (0.0, frozenset())


def watched() -> frozenset[int]:
    """Stores that somebody watches; none where Valkey does not answer. One short question each LOOK_SECONDS at most."""
    global _look
    now = time.monotonic()
    valid_until, stores = _look
    if now < valid_until:
        return stores

    def ask(client: redis.Redis) -> Any:
        return client.zrangebyscore(_WATCHED, time.time(), "+inf")

    found: Iterable[bytes] = valkey.call(ask, ())
    stores = frozenset(map(int, found))
    _look = (time.monotonic() + LOOK_SECONDS, stores)
    return stores


def _forget_look() -> None:
    global _look
    _look = (0.0, frozenset())


def publish(entries: Mapping[int, Entry]) -> bool:
    """Append to the streams, by store: one round trip. False where Valkey did not answer."""

    def append(client: redis.Redis) -> bool:
        pipeline = client.pipeline(transaction=False)
        for store_id, entry in entries.items():
            name = _name(store_id)
            pipeline.xadd(name, {"e": _encode(entry)}, maxlen=MAX_ENTRIES, approximate=False)
            pipeline.expire(name, KEEP_SECONDS)
        pipeline.execute()
        return True

    return valkey.call(append, False)


def read(store_id: int, after: str = START) -> Page:
    """What came after the cursor, READ_ENTRIES at most: ask again with the new cursor. Raises ValueError for a cursor that
    is none."""
    name = _name(store_id)
    since = f"({_checked(after)}"

    def ask(client: redis.Redis) -> list[object]:
        pipeline = client.pipeline(transaction=False)
        pipeline.xrange(name, since, "+", count=READ_ENTRIES)
        pipeline.xrange(name, "-", "+", count=1)
        pipeline.xlen(name)
        return pipeline.execute()

    answer = valkey.call(ask, None)
    if answer is None:
        return Page((), after, is_live=False)
    found, first, length = answer
    entries = [(number.decode(), _decode(fields[b"e"])) for number, fields in found]  # type: ignore[attr-defined]
    # In a full stream that does not hold the entry that was read last, later ones may have been pushed out too.
    is_full = length >= MAX_ENTRIES  # type: ignore[operator]
    is_cut = is_full and after != START and _order(first[0][0].decode()) > _order(after)  # type: ignore[index]
    return Page(entries, entries[-1][0] if entries else after, is_cut)


def forget(store_id: int) -> None:
    """Nobody watches any more, and nothing is kept. Raises ValkeyUnavailable."""

    def drop(client: redis.Redis) -> None:
        client.zrem(_WATCHED, str(store_id))
        client.delete(_name(store_id))

    valkey.call(drop)
    _forget_look()


def _name(store_id: int) -> str:
    return valkey.key(store_id, "debugging", "calls")


def _order(number: str) -> tuple[int, int]:
    moment, _, sequence = number.partition("-")
    return int(moment), int(sequence)


def _checked(cursor: str) -> str:
    moment, dash, sequence = cursor.partition("-")
    if not (dash and moment.isdecimal() and sequence.isdecimal() and len(cursor) <= 40):
        raise ValueError(f"{cursor[:40]!r} is no cursor: take the one of the last answer.")
    return cursor


def classify() -> None:
    """What the keys hold, for the register of personal data."""
    classify_valkey_keys(_WATCHED, Classification.NO_PERSONAL_DATA, "Stores whose debugger is open.")
    classify_valkey_keys(
        "etalage:*:debugging:calls",
        Classification.EXPIRES(1),
        "Outcomes of calls while a debugger is open: names of events and pointers to their rows, gone after 15 minutes.",
    )
