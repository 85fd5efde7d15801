"""Where a shopper's spending of a year stands among all who bought: twentieths of the store, kept in Valkey, nobody's in particular.

Written with each computation of segments, from shoppers who permit personalisation; read when a shopper's card is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import orjson
from numpy.typing import NDArray

from accounts import valkey

STEPS: Final = 20
DAYS: Final = 365
MIN_BUYERS: Final = 50
"""Bounds between fewer people would tell of single ones."""
TTL_SECONDS: Final = 14 * 86_400


def spending_remember(store_id: int, revenue: NDArray[np.float64]) -> None:
    """`revenue` (n,) of each shopper in the last year, in the store's currency; who bought nothing is left out. Lost with Valkey."""
    buyers = revenue[revenue > 0]
    key = valkey.key(store_id, "spending")
    if len(buyers) < MIN_BUYERS:
        valkey.call(lambda client: client.delete(key), 0)
        return
    bounds = np.quantile(buyers, np.linspace(0, 1, STEPS + 1)[1:-1]).round(2)
    valkey.call(lambda client: client.set(key, orjson.dumps(bounds.tolist()), ex=TTL_SECONDS), None)


def spending_bounds(store_id: int) -> tuple[float, ...] | None:
    """None where nothing is known: too few buyers, never computed, or Valkey away."""
    found = valkey.call(lambda client: client.get(valkey.key(store_id, "spending")), None)
    return None if found is None else tuple(orjson.loads(found))


def spending_share(revenue: float, bounds: Sequence[float]) -> float | None:
    """0 (least) to 1 (most of those who bought); None for who bought nothing."""
    if revenue <= 0:
        return None
    return float(np.searchsorted(bounds, revenue, side="left")) / (STEPS - 1)
