"""What a process keeps for a moment: bounded in number and in time, so that nobody's data stays in memory."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from time import monotonic
from typing import Generic, TypeVar

V = TypeVar("V")


class Recent(Generic[V]):
    """A mapping whose entries go `seconds` to twice `seconds` after they were put in; sooner where more than `capacity` came.

    Two generations: the older one is dropped as a whole, so that neither reading nor writing ever walks through the entries.
    Thread-safe.
    """

    def __init__(self, *, seconds: float, capacity: int) -> None:
        self.seconds, self.capacity = seconds, capacity
        self._lock = threading.Lock()
        self._young: dict[Hashable, V] = {}
        self._old: dict[Hashable, V] = {}
        self._since = monotonic()

    def get(self, key: Hashable) -> V | None:
        if monotonic() - self._since > self.seconds:
            self._age()
        found = self._young.get(key)
        return self._old.get(key) if found is None else found

    def put(self, key: Hashable, value: V) -> None:
        if len(self._young) >= self.capacity:
            self._age()
        self._young[key] = value

    def clear(self) -> None:
        with self._lock:
            self._young, self._old = {}, {}

    def _age(self) -> None:
        with self._lock:
            age = monotonic() - self._since
            if age <= self.seconds and len(self._young) < self.capacity:
                return  # another thread was quicker
            self._old = self._young if age <= 2 * self.seconds else {}
            self._young, self._since = {}, monotonic()
