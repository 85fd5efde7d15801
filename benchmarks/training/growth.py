"""How time grows with the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

LEAST_SECONDS: Final = 0.01
"""What takes less is mostly the time of calling it."""


def fitted_exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float | None:
    """b of seconds ≈ a · size^b, least squares on logarithms: 1 is linear, 2 quadratic.

    Times below LEAST_SECONDS are left out. None where fewer than two are left.
    """
    told = [(size, took) for size, took in zip(sizes, seconds, strict=True) if took >= LEAST_SECONDS]
    if len(told) < 2:
        return None
    x, y = np.log(np.array(told, np.float64)).T
    x = x - x.mean()
    return float(x @ (y - y.mean()) / (x @ x))


def linearithmic_exponent(sizes: Sequence[float]) -> float | None:
    """What `fitted_exponent` gives for n·log n over these sizes: a little more than 1."""
    return fitted_exponent(sizes, [size * np.log(size) for size in sizes])
