"""What must happen at once when somebody stops permitting a purpose: apps above this one register it.

The gate refuses from the same moment on by itself. Listeners drop what they hold only for a purpose that is gone, such
as a visitor's recent events in Valkey. One that fails is logged and holds back none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from accounts.models import Store
from consent.purposes import Purpose

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Withdrawal:
    """`purposes` are no longer permitted by these browsers and this customer; other purposes may still be."""

    store: Store
    purposes: Purpose
    anonymous_ids: tuple[str, ...] = ()
    customer_external_id: str | None = None


Listener = Callable[[Withdrawal], None]
_listeners: dict[str, Listener] = {}


def on_withdrawal(name: str, listener: Listener) -> None:
    """Register in `AppConfig.ready()`. Called after the decision was committed; must bear being called again."""
    _listeners[name] = listener


def announce(withdrawal: Withdrawal) -> None:
    for name, listener in _listeners.items():
        try:
            listener(withdrawal)
        except Exception:
            log.exception("consent.withdrawal_listener_failed", listener=name, store_id=withdrawal.store.pk)
