"""Statistics of comparisons: bootstrap intervals, differences of two proportions, uplift against a control.

Efron and Tibshirani, "An Introduction to the Bootstrap" (1993); Newcombe, "Interval estimation for the difference
between independent proportions" (1998), method 10; Wilson (1927).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from algorithms.types import Bool, Float64, Int64


@dataclass(frozen=True)
class Interval:
    """An estimate with the bounds of its confidence interval."""

    estimate: float
    low: float
    high: float


def bootstrap_mean(
    values: Float64, rng: np.random.Generator, *, confidence: float = 0.95, resamples: int = 1000
) -> Interval:
    """Percentile interval of the mean of independent values. Without values: 0, with nothing known (-inf to inf)."""
    if not len(values):
        return Interval(0.0, -np.inf, np.inf)
    n = len(values)
    means = np.array([values[rng.integers(n, size=n)].mean() for _ in range(resamples)])
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(values.mean()), float(low), float(high))


def paired_relative_difference(
    new: Float64, old: Float64, rng: np.random.Generator, *, confidence: float = 0.95, resamples: int = 1000
) -> Interval:
    """mean(new) / mean(old) - 1 over the same cases, NaN where a case does not count, resampled in pairs.

    Where the old mean is 0 the difference is 0 if the new one is 0 too, else infinite.
    """
    if new.shape != old.shape:
        raise ValueError(f"paired values need one value per case: {new.shape} against {old.shape}")
    counted = ~(np.isnan(new) | np.isnan(old))
    new, old = new[counted], old[counted]
    n = len(new)
    if not n:
        return Interval(0.0, -np.inf, np.inf)
    draws = np.array(
        [_relative(new[pick], old[pick]) for pick in (rng.integers(n, size=n) for _ in range(resamples))]
    )
    ordered = np.sort(draws)  # with infinities a quantile must be a value that occurred
    low, high = (ordered[round(q * (resamples - 1))] for q in ((1 - confidence) / 2, (1 + confidence) / 2))
    return Interval(_relative(new, old), float(low), float(high))


def clustered_relative_difference(
    values: Float64,
    in_group: Bool,
    clusters: Int64,
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
) -> Interval:
    """Mean of the cases where `in_group` (n,) over the mean of the rest, less 1. NaN does not count.

    Whole clusters (n,), such as all cases of a shopper, are resampled, since the cases of one resemble each other (Efron and
    Tibshirani 1993, ch. 8). Nothing is known (-inf to inf) where either side is empty, or the rest has a mean of 0.
    """
    counted = ~np.isnan(values)
    values, in_group = values[counted], in_group[counted]
    if not in_group.any() or in_group.all() or not values[~in_group].any():
        return Interval(0.0, -np.inf, np.inf)
    _, cluster = np.unique(clusters[counted], return_inverse=True)
    n = int(cluster.max()) + 1
    columns = [
        np.bincount(cluster, weights=column, minlength=n)
        for column in (values * in_group, in_group, values * ~in_group, ~in_group)
    ]
    sums = np.stack(columns, axis=1)  # (n, 4): sum and number in the group, sum and number in the rest
    draws = rng.multinomial(n, np.full(n, 1.0 / n), size=resamples) @ sums
    usable = draws[(draws[:, 1] > 0) & (draws[:, 2] > 0)]
    if not len(usable):
        return Interval(0.0, -np.inf, np.inf)
    ratios = (usable[:, 0] / usable[:, 1]) / (usable[:, 2] / usable[:, 3]) - 1.0
    low, high = np.quantile(ratios, [(1 - confidence) / 2, (1 + confidence) / 2])
    whole = sums.sum(axis=0)
    return Interval(float((whole[0] / whole[1]) / (whole[2] / whole[3]) - 1.0), float(low), float(high))


def _relative(new: Float64, old: Float64) -> float:
    if not old.any():
        return float("inf") if new.any() else 0.0
    return float(new.mean() / old.mean() - 1.0)


def wilson(successes: int, trials: int, *, confidence: float = 0.95) -> Interval:
    """A proportion and its Wilson score interval; without trials 0, between 0 and 1."""
    _check_counts(successes, trials)
    if not trials:
        return Interval(0.0, 0.0, 1.0)
    z = float(norm.ppf((1 + confidence) / 2))
    p = successes / trials
    centre = (p + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(p * (1 - p) / trials + z**2 / (4 * trials**2))
    return Interval(p, max(0.0, float(centre - half)), min(1.0, float(centre + half)))


def two_proportions(
    successes: int, trials: int, control_successes: int, control_trials: int, *, confidence: float = 0.95
) -> Interval:
    """Difference of two independent proportions, treatment minus control (Newcombe's method 10)."""
    treated = wilson(successes, trials, confidence=confidence)
    control = wilson(control_successes, control_trials, confidence=confidence)
    difference = treated.estimate - control.estimate
    below = np.hypot(treated.estimate - treated.low, control.high - control.estimate)
    above = np.hypot(treated.high - treated.estimate, control.estimate - control.low)
    return Interval(difference, float(difference - below), float(difference + above))


def uplift(
    successes: int, trials: int, control_successes: int, control_trials: int, *, confidence: float = 0.95
) -> Interval | None:
    """Relative change of a proportion against the control: 0.1 = 10 % more. None while either group has no success.

    Interval of the log risk ratio (Katz et al. 1978).
    """
    _check_counts(successes, trials)
    _check_counts(control_successes, control_trials)
    if not successes or not control_successes:
        return None
    ratio = (successes / trials) / (control_successes / control_trials)
    error = np.sqrt(1 / successes - 1 / trials + 1 / control_successes - 1 / control_trials)
    z = norm.ppf((1 + confidence) / 2)
    return Interval(ratio - 1.0, float(ratio * np.exp(-z * error) - 1), float(ratio * np.exp(z * error) - 1))


def _check_counts(successes: int, trials: int) -> None:
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials: need 0 ≤ successes ≤ trials")
