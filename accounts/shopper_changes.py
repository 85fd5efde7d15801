"""A shopper's permissions, links or wishes changed: whoever keeps a copy of them drops it.

Apps that cache what they know of shoppers register a listener in `AppConfig.ready()`; services that write call `changed` inside their
transaction, and listeners run once it has committed.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Protocol

from django.db import transaction


class Listener(Protocol):
    def __call__(
        self, store_id: int, *, anonymous_ids: Iterable[str], customer_ids: Iterable[str]
    ) -> None: ...


_listeners: list[Listener] = []


def register(listener: Listener) -> None:
    """Registering the same listener twice is harmless."""
    if listener not in _listeners:
        _listeners.append(listener)


def changed(store_id: int, *, anonymous_ids: Iterable[str] = (), customer_ids: Iterable[str] = ()) -> None:
    """`customer_ids` are external ids. Listeners must not raise: a copy that cannot be dropped has a bound of staleness of its own."""
    anonymous, customers = tuple(anonymous_ids), tuple(customer_ids)
    for listener in _listeners:
        transaction.on_commit(partial(listener, store_id, anonymous_ids=anonymous, customer_ids=customers))
