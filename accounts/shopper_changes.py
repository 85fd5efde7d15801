"""A shopper's permissions, links or wishes changed: whoever keeps a copy of them drops it.

Apps that cache what they know of shoppers register a listener in `AppConfig.ready()`; services that write call `changed` inside their
transaction, and listeners run once it has committed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

from django.db import transaction

from accounts.selectors.persons import kin_ids


class Listener(Protocol):
    def __call__(
        self, store_id: int, *, anonymous_ids: Iterable[str], customer_ids: Iterable[str]
    ) -> None: ...


RelinkListener = Callable[[int, Sequence[int]], None]
"""(store id, visitor ids): called in the transaction, may write and raise."""

_listeners: list[Listener] = []
_relink_listeners: list[RelinkListener] = []


def register(listener: Listener) -> None:
    """Registering the same listener twice is harmless."""
    if listener not in _listeners:
        _listeners.append(listener)


def register_relink(listener: RelinkListener) -> None:
    """For who has folded visits under the customer whom a link named: staff may take a link back."""
    if listener not in _relink_listeners:
        _relink_listeners.append(listener)


def relinked(store_id: int, visitor_ids: Sequence[int]) -> None:
    """Links of these visitors were judged anew by a person."""
    for listener in _relink_listeners:
        listener(store_id, visitor_ids)


def changed(store_id: int, *, anonymous_ids: Iterable[str] = (), customer_ids: Iterable[str] = ()) -> None:
    """`customer_ids` are external ids; other records of the same person are told too.

    Listeners must not raise: a copy that cannot be dropped has a bound of staleness of its own.
    """
    anonymous, customers = tuple(anonymous_ids), tuple(kin_ids(store_id, customer_ids))
    for listener in _listeners:
        transaction.on_commit(partial(listener, store_id, anonymous_ids=anonymous, customer_ids=customers))
