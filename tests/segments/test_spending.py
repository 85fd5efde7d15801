"""Where a shopper's spending stands among all who bought."""

from __future__ import annotations

import numpy as np
import pytest

from segments.spending import MIN_BUYERS, spending_bounds, spending_remember, spending_share

STORE = 7


def test_twentieths_of_those_who_bought(valkey: object) -> None:
    """Buyers of 1 to 101: the twentieths are at 6, 11, … 96. Who bought nothing shifts nothing."""
    spending_remember(STORE, np.concatenate([np.zeros(500), np.arange(1.0, 102.0)]))
    bounds = spending_bounds(STORE)
    assert bounds == pytest.approx(tuple(range(6, 97, 5)))
    assert bounds is not None
    assert spending_share(1.0, bounds) == 0.0
    assert spending_share(101.0, bounds) == 1.0
    assert spending_share(51.5, bounds) == pytest.approx(10 / 19)
    assert spending_share(0.0, bounds) is None


def test_too_few_buyers_tell_of_nobody(valkey: object) -> None:
    spending_remember(STORE, np.arange(1.0, 102.0))
    spending_remember(STORE, np.arange(1.0, float(MIN_BUYERS)))
    assert spending_bounds(STORE) is None
