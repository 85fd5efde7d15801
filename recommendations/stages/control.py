from __future__ import annotations

import hashlib


def in_control_group(store_id: int, shopper_key: str, holdout_share: float) -> bool:
    """Whether this shopper gets popular products, so that what personalising is worth can be measured.

    The same answer for the same shopper for good, independent of every other split that hashes the same key.
    `holdout_share` in 0..1; whoever is in a group of 5 % is also in one of 10 %.
    """
    digest = hashlib.sha256(f"control:{store_id}:{shopper_key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < holdout_share
