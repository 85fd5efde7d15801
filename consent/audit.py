"""The recorder that this app hangs into `accounts.auditing`: the chained audit log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accounts.models import Store
from consent.ledger import AUDIT, Entry, append


def record(
    *, store: Store, actor: str, action: str, target: str, reason: str, details: Mapping[str, Any]
) -> None:
    """Append one entry in the caller's transaction; the store's other writers of the log wait for its end."""
    payload = {"actor": actor, "target": target, "reason": reason, "details": dict(details)}
    append(AUDIT, store, [Entry(payload, {"action": action})])
