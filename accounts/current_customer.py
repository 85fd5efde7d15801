"""Which customer stands before us? The shop knows, and hangs its answer in here; apps below the shop ask."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest

from accounts.models.customer import Customer
from accounts.models.store import Store

Resolver = Callable[[HttpRequest, Store], Customer | None]
_resolver: Resolver | None = None


def set_resolver(resolver: Resolver) -> None:
    """Register in `AppConfig.ready()`: gives the customer who is logged in to this store, or None for guests and staff."""
    global _resolver
    _resolver = resolver


def current_customer(request: HttpRequest, store: Store) -> Customer | None:
    """None where nobody is logged in, no shop runs in this installation, or pages are made without its log-in."""
    return _resolver(request, store) if _resolver is not None and hasattr(request, "user") else None
