"""What people and keys do that must be answered for is recorded: who, what, when, why.

The chained log is consent's, which stands above this app; it hangs its recorder in here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from accounts.models.api_key import ApiKey
from accounts.models.customer import Customer
from accounts.models.store import Store
from accounts.models.user import User

SYSTEM = "system"


class Recorder(Protocol):
    def __call__(
        self, *, store: Store, actor: str, action: str, target: str, reason: str, details: Mapping[str, Any]
    ) -> None: ...


class NoRecorder(RuntimeError):
    """Something had to be recorded and nothing records."""


_recorder: Recorder | None = None


def set_recorder(recorder: Recorder) -> None:
    global _recorder
    _recorder = recorder


def actor_of(who: User | ApiKey | Customer | None) -> str:
    """`user:<id>`, `key:<prefix>`, `customer:<public id>` or `system`: an id, never a name or an address."""
    match who:
        case User():
            return f"user:{who.pk}"
        case ApiKey():
            return f"key:{who.prefix}"
        case Customer():
            return f"customer:{who.public_id}"
    return SYSTEM


def record(
    *,
    store: Store,
    actor: User | ApiKey | Customer | str | None,
    action: str,
    target: str = "",
    reason: str = "",
    details: Mapping[str, Any] | None = None,
) -> None:
    """Append to the audit log, inside the caller's transaction. `target` and `details` carry ids, no personal data.

    `action` is `<noun>.<verb>`: `api_key.created`. Raises NoRecorder where consent is not installed.
    """
    if _recorder is None:
        raise NoRecorder(f"{action!r} must be recorded: install the consent app, which keeps the audit log.")
    who = actor if isinstance(actor, str) else actor_of(actor)
    _recorder(store=store, actor=who, action=action, target=target, reason=reason, details=details or {})
