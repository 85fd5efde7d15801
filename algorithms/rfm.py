"""Recency, frequency, monetary value, and who has left.

Hughes, "Strategic Database Marketing" (1994) for quintiles of 1 (worst) to 5 (best). The churn rule compares a customer's
silence with their own rhythm (as in Ehrenberg's repeat-buying theory): two months mean nothing where one buys twice a year.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from algorithms.types import Bool, Float64, Int32, Int64

DAY_SECONDS = 86_400.0


@dataclass(frozen=True)
class RFM:
    """(n_users,) each; for a user without orders recency is inf, the others 0 and gap NaN."""

    recency_days: Float64
    frequency: Int64  # orders
    monetary: Float64  # sum of order values, in the unit of the input
    gap_days: Float64  # mean time between orders; NaN with fewer than two

    def quintiles(self) -> tuple[Int64, Int64, Int64]:
        """Scores 1..5 for recency (5 = lately), frequency and monetary among users with orders; 0 without."""
        buyers = self.frequency > 0
        return (
            quintiles(-self.recency_days, buyers),
            quintiles(self.frequency.astype(np.float64), buyers),
            quintiles(self.monetary, buyers),
        )


def rfm(user: Int32, timestamp: Float64, value: Float64, n_users: int, now: float) -> RFM:
    """One row per order: who, when (Unix seconds, up to `now`), how much."""
    frequency = np.bincount(user, minlength=n_users)
    first, last = np.full(n_users, np.inf), np.full(n_users, -np.inf)
    np.minimum.at(first, user, timestamp)
    np.maximum.at(last, user, timestamp)
    several = frequency > 1
    gap = np.full(n_users, np.nan)
    gap[several] = (last[several] - first[several]) / (frequency[several] - 1) / DAY_SECONDS
    return RFM(
        recency_days=np.maximum(now - last, 0.0) / DAY_SECONDS,
        frequency=frequency,
        monetary=np.bincount(user, weights=value, minlength=n_users).astype(np.float64),
        gap_days=gap,
    )


def quintiles(values: Float64, among: Bool) -> Int64:
    """(n,): 5 for the highest fifth of the values where `among`, down to 1; 0 elsewhere. Equals get the same score."""
    scores = np.zeros(len(values), np.int64)
    if among.any():
        places = rankdata(values[among], method="average")
        scores[among] = np.ceil(places / among.sum() * 5).astype(np.int64)
    return scores


def churned(history: RFM, *, factor: float = 3.0, minimum_days: float = 30.0) -> Bool:
    """(n_users,): has ordered, and been silent for over `factor` times the own mean gap, and over `minimum_days`.

    For a customer of one order the gap is the median of those who have one; where nobody has, `minimum_days` decide alone.
    """
    own = history.gap_days
    known = own[~np.isnan(own)]
    usual = float(np.median(known)) if len(known) else 0.0
    patience = np.maximum(factor * np.where(np.isnan(own), usual, own), minimum_days)
    return np.asarray((history.frequency > 0) & (history.recency_days > patience))
