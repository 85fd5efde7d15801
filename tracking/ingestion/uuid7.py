"""Time-ordered keys (RFC 9562, version 7), so that new rows go to the end of the index. PostgreSQL 15 to 17
make none."""

from __future__ import annotations

import os
import struct
import threading
import time
from typing import Final
from uuid import UUID

_VERSION: Final = 0x7 << 76
_VARIANT: Final = 0x2 << 62
_COUNTER_BITS: Final = 12
_COUNTER_MASK: Final = (1 << _COUNTER_BITS) - 1

_lock = threading.Lock()
_last = 0  # milliseconds and counter of the newest key: (ms << 12) | counter


def uuid7s(count: int) -> list[UUID]:
    """`count` keys in ascending order, above all that this process made before: 48 bits of milliseconds, a 12
    bit counter, 62 random bits.

    A counter that runs over borrows from the next millisecond, as RFC 9562 section 6.2 allows.
    """
    global _last
    with _lock:
        first = max(time.time_ns() // 1_000_000 << _COUNTER_BITS, _last + 1)
        _last = first + count - 1
    randoms = struct.unpack(f"{count}Q", os.urandom(8 * count))
    return [
        UUID(
            int=(tick >> _COUNTER_BITS) << 80
            | _VERSION
            | (tick & _COUNTER_MASK) << 64
            | _VARIANT
            | random >> 2
        )
        for tick, random in enumerate(randoms, first)
    ]
