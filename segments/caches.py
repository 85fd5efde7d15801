"""What this process remembers of segments for half a minute: the segments that a newcomer falls into."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any, Final

from django.db import transaction

SECONDS: Final = 30.0

_lock = threading.Lock()
_newcomers: dict[int, tuple[float, Any]] = {}


def get(store_id: int) -> Any | None:
    known = _newcomers.get(store_id)
    return known[1] if known and known[0] > time.monotonic() else None


def put(store_id: int, value: Any) -> None:
    with _lock:
        _newcomers[store_id] = (time.monotonic() + SECONDS, value)


def forget(store_id: int) -> None:
    with _lock:
        _newcomers.pop(store_id, None)


def forget_on_commit(store_id: int) -> None:
    transaction.on_commit(partial(forget, store_id))
