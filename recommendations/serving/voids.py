"""Writing the stamps that void cards of shoppers (`subjects.py`), and owing those that Valkey did not take.

A card lives for `CARD_SECONDS`: a stamp that is not written by then has nothing left to void. Until then it is tried again
every `RETRY_SECONDS`, by one thread of the process. With the process that thread's debts go; then a card is at most as old as it gets.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable
from time import monotonic
from typing import Final

import structlog

from accounts import valkey

CARD_SECONDS: Final = 300
STAMP_SECONDS: Final = 600
RETRY_SECONDS: Final = 1.0

log = structlog.get_logger(__name__)

_lock = threading.Lock()
_owed: dict[str, float] = {}  # stamp's key → monotonic time from which on nothing is left to void
_is_paying = False


def stamp(keys: Iterable[str]) -> None:
    """Void what hangs on these stamps: now, else as soon as Valkey answers again."""
    wanted = list(keys)
    if not _write(wanted, valkey.TIMEOUT_SECONDS):
        _owe(wanted)


def stamp_now(keys: Iterable[str]) -> None:
    """The same, now or not at all. Raises ValkeyUnavailable."""
    wanted = list(keys)
    valkey.call(lambda client: _set(client, wanted))


def owed() -> frozenset[str]:
    """Keys of stamps that this process has still to write."""
    with _lock:
        return frozenset(_owed)


def forgive() -> None:
    """Owe nothing any more."""
    with _lock:
        _owed.clear()


def _set(client: valkey.redis.Redis, keys: list[str]) -> bool:
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.set(key, secrets.token_hex(8), ex=STAMP_SECONDS)
    pipe.execute()
    return True


def _write(keys: list[str], timeout_seconds: float) -> bool:
    return valkey.call(lambda client: _set(client, keys), False, timeout_seconds=timeout_seconds)


def _owe(keys: list[str]) -> None:
    global _is_paying
    log.warning("shopper.void_delayed", stamps=len(keys))
    with _lock:
        _owed.update(dict.fromkeys(keys, monotonic() + CARD_SECONDS))
        if _is_paying:
            return
        _is_paying = True
    threading.Thread(target=_pay, name="voids", daemon=True).start()


def _pay() -> None:
    pause = threading.Event()
    while keys := _still_owed():
        pause.wait(RETRY_SECONDS)
        if _write(keys, valkey.PATIENT_SECONDS):
            with _lock:
                for key in keys:
                    _owed.pop(key, None)


def _still_owed() -> list[str]:
    """Empty where the thread may end: whoever owes after that begins another."""
    global _is_paying
    with _lock:
        for key in [key for key, until in _owed.items() if until <= monotonic()]:
            del _owed[key]
        _is_paying = bool(_owed)
        return list(_owed)
