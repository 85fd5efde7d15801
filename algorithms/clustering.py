"""Groups of alike shoppers: K-Means, with as many clusters as the silhouette says.

Arthur and Vassilvitskii, "k-means++" (SODA 2007); Rousseeuw, "Silhouettes" (1987). Features are log-scaled where they are
skewed, as counts and amounts are, and standardised, so that no unit outvotes another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.stats import skew
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from algorithms.types import Array, Bool, Float64, Int64

SILHOUETTE_SAMPLE = 3000
SKEWED = 1.0
"""Skewness from which a feature that is never negative is log-scaled."""


@dataclass(frozen=True)
class Clustering:
    """Labels 0..k-1 by falling size, and what is needed to label others."""

    labels: Int64  # (n,)
    centres: Float64  # (k, f) in scaled features
    logged: Bool  # (f,)
    mean: Float64  # (f,) of scaled features
    deviation: Float64  # (f,) > 0
    silhouette: float  # of the chosen k, -1..1; 0 for one cluster
    silhouettes: Mapping[int, float]  # of every k that was tried

    @property
    def k(self) -> int:
        return len(self.centres)

    @property
    def sizes(self) -> Int64:
        return np.bincount(self.labels, minlength=self.k)

    def assign(self, features: Float64) -> Int64:
        """(m,): the nearest centre's label of each row of (m, f) features, in the units that were learned from."""
        return np.asarray(self.distances(features).argmin(axis=1))

    def distances(self, features: Float64) -> Float64:
        """(m, k): Euclidean distance of each row of (m, f) features to each centre, in deviations."""
        scaled = self._scale(features)
        return np.sqrt(((scaled[:, None, :] - self.centres[None]) ** 2).sum(axis=2))

    def _scale(self, features: Float64) -> Float64:
        return (_logged(features, self.logged) - self.mean) / self.deviation

    def centres_in_units(self) -> Float64:
        """(k, f): centres in the units of the features, to describe clusters by."""
        scaled = self.centres * self.deviation + self.mean
        # Only what was logged: the others may be far beyond what exp can hold.
        return np.where(self.logged, np.expm1(np.where(self.logged, scaled, 0.0)), scaled)

    def arrays(self) -> dict[str, Array]:
        return {
            "centres": self.centres,
            "logged": self.logged,
            "mean": self.mean,
            "deviation": self.deviation,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """To assign with: labels are not kept."""
        return cls(np.empty(0, np.int64), **arrays, silhouette=0.0, silhouettes={})


def cluster(features: Float64, rng: np.random.Generator, *, ks: Sequence[int] = range(3, 9)) -> Clustering:
    """Cluster (n, f) finite features; of `ks` the one with the best silhouette. One cluster where fewer than 2k rows differ.

    Raises ValueError for no rows or for features that are not finite.
    """
    if not len(features):
        raise ValueError("nobody to cluster: give at least one row of features")
    if not np.isfinite(features).all():
        raise ValueError("features must be finite: replace missing values first")
    logged = np.array(
        [column.min() >= 0 and len(np.unique(column)) > 2 and skew(column) > SKEWED for column in features.T]
    )
    table = _logged(features, logged)
    mean, deviation = table.mean(axis=0), table.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    scaled = (table - mean) / deviation
    distinct = len(np.unique(scaled, axis=0))
    sample = rng.choice(len(scaled), min(len(scaled), SILHOUETTE_SAMPLE), replace=False)
    best: tuple[float, Int64, Float64] = (
        0.0,
        np.zeros(len(scaled), np.int64),
        scaled.mean(axis=0, keepdims=True),
    )
    tried: dict[int, float] = {}
    for k in (k for k in ks if distinct >= 2 * k):
        model = KMeans(k, n_init=4, random_state=int(rng.integers(2**31))).fit(scaled)
        tried[k] = _silhouette(scaled[sample], model.labels_[sample])
        if tried[k] > best[0]:
            best = tried[k], model.labels_, model.cluster_centers_
    silhouette, labels, centres = best
    by_size = np.argsort(-np.bincount(labels, minlength=len(centres)), kind="stable")
    rank = np.argsort(by_size)
    return Clustering(rank[labels], centres[by_size], logged, mean, deviation, silhouette, tried)


def _logged(features: Float64, logged: Bool) -> Float64:
    return np.where(logged, np.log1p(np.where(logged, np.maximum(features, 0.0), 0.0)), features)


def _silhouette(sample: Float64, labels: Int64) -> float:
    n_labels = len(np.unique(labels))
    return float(silhouette_score(sample, labels)) if 2 <= n_labels < len(sample) else 0.0
