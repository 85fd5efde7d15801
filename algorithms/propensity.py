"""How likely a shopper is to do something, from features: a penalised logistic regression.

Hosmer and Lemeshow, "Applied Logistic Regression" (2000). Standardised features, so that coefficients can be compared and
shown as reasons. Small on purpose: with a few thousand shoppers more would learn noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from algorithms.types import Array, Bool, Float64


@dataclass(frozen=True)
class Propensity:
    """P(yes) = 1 / (1 + exp(-(coefficients · (x - mean) / deviation + intercept)))."""

    coefficients: Float64  # (f,)
    intercept: float
    mean: Float64  # (f,)
    deviation: Float64  # (f,) > 0

    def predict(self, features: Float64) -> Float64:
        """(m,): probabilities for (m, f) features."""
        return np.asarray(expit((features - self.mean) / self.deviation @ self.coefficients + self.intercept))

    def reasons(self, features: Float64) -> Float64:
        """(m, f): what each feature adds to the log-odds, against a mean shopper."""
        return np.asarray((features - self.mean) / self.deviation * self.coefficients)

    def arrays(self) -> dict[str, Array]:
        return {
            "coefficients": self.coefficients,
            "intercept": np.array([self.intercept]),
            "mean": self.mean,
            "deviation": self.deviation,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        return cls(arrays["coefficients"], float(arrays["intercept"][0]), arrays["mean"], arrays["deviation"])


def fit_propensity(features: Float64, happened: Bool, *, penalty: float = 1.0) -> Propensity:
    """Learn from (n, f) features and what happened. Raises ValueError unless both outcomes occur."""
    if happened.all() or not happened.any():
        raise ValueError("both outcomes must occur in the data: all shoppers have the same one")
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    model = LogisticRegression(C=1.0 / penalty, max_iter=1000).fit((features - mean) / deviation, happened)
    return Propensity(model.coef_[0].astype(np.float64), float(model.intercept_[0]), mean, deviation)
