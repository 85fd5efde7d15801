"""Counters in Valkey that tell every process that something changed: the catalogue, the live model, weights and rules.

A process that sees another number than last time refreshes that part. Besides, each part is refreshed after
`SAFETY_SECONDS` whatever the counter says (an increment may have been lost with Valkey), and every `POLL_SECONDS` while
Valkey is away. Staleness is thus bounded: none with Valkey, 2 s without, 60 s if an increment was lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from time import monotonic
from typing import Any

from django.db import transaction

from accounts import valkey

SAFETY_SECONDS = 60.0
POLL_SECONDS = 2.0


class Part(StrEnum):
    CATALOGUE = "catalog"
    MODEL = "model"
    BLEND = "blend"


def key(store_id: int, part: Part) -> str:
    return f"etalage:{store_id}:{part}:version"


def bump(store_id: int, part: Part) -> None:
    """Tell every process, once the transaction has committed."""
    transaction.on_commit(partial(_increment, store_id, part))


def _increment(store_id: int, part: Part) -> None:
    valkey.call(lambda client: client.incr(key(store_id, part)), None)


@dataclass(frozen=True, slots=True)
class Versions:
    """Counter values in the order of Part; None while Valkey is away."""

    counters: tuple[bytes | None, ...] | None


def read(store_id: int) -> Versions:
    return Versions(get_all([key(store_id, part) for part in Part]))


def get_all(keys: list[str]) -> tuple[bytes | None, ...] | None:
    """Values of the keys in one round trip; None while Valkey is away."""
    values: list[Any] | None = valkey.call(lambda client: client.mget(keys), None)
    return None if values is None else tuple(values)


@dataclass
class Watch:
    """When a part was last refreshed, and at which counter value. Not thread-safe: the owner holds the lock."""

    part: Part
    _seen: bytes | None = None
    _at: float = field(default=float("-inf"))
    _not_before: float = field(default=float("-inf"))

    def is_due(self, versions: Versions) -> bool:
        now = monotonic()
        if now < self._not_before:
            return False
        age = now - self._at
        if versions.counters is None:
            return age >= POLL_SECONDS
        return self._value(versions) != self._seen or age >= SAFETY_SECONDS

    def refreshed(self, versions: Versions) -> None:
        """Call with the versions read before the refresh: a change during it is then seen next time."""
        if versions.counters is not None:
            self._seen = self._value(versions)
        self._at = monotonic()

    def postpone(self) -> None:
        """After a failure: not due again for POLL_SECONDS."""
        self._not_before = monotonic() + POLL_SECONDS

    def _value(self, versions: Versions) -> bytes | None:
        assert versions.counters is not None
        return versions.counters[list(Part).index(self.part)]
