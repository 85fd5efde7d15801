"""Clusters of alike shoppers, named in plain words from their centres, and the same cluster from one computation to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from algorithms.clustering import Clustering, cluster
from segments.feature_table import FeatureTable

MINIMUM_SHOPPERS: Final = 50
CLUSTER_FEATURES: Final = (
    "days_since_order",
    "orders_365d",
    "revenue_365d",
    "days_since_seen",
    "sessions_90d",
    "product_views_90d",
    "cart_adds_90d",
    "cart_abandonment_rate_90d",
    "average_session_minutes",
)
# What stands for "not known": never ordered is as long ago as we look back, without visits there is nothing to measure.
_UNKNOWN: Final[Mapping[str, float]] = {"days_since_order": 365.0, "days_since_seen": 365.0}
# In standard deviations from the mean of all shoppers.
NOTABLE: Final = 0.4
# Further apart than this (root mean square over the features, in deviations), two centres are not the same cluster.
SAME_CLUSTER: Final = 1.0

_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "revenue_365d": ("big spenders", "small spenders"),
    "orders_365d": ("frequent buyers", "rare buyers"),
    "days_since_order": ("long since an order", "ordered lately"),
    "days_since_seen": ("long not seen", "seen lately"),
    "sessions_90d": ("come often", "come rarely"),
    "product_views_90d": ("look at much", "look at little"),
    "cart_adds_90d": ("fill carts", "seldom fill a cart"),
    "cart_abandonment_rate_90d": ("leave carts behind", "finish what they put into the cart"),
    "average_session_minutes": ("stay long", "stay briefly"),
}


@dataclass(frozen=True)
class FoundCluster:
    """`members`: positions in the feature table, (m,); `distances`: to the centre, in deviations, (m,)."""

    name: str
    description: str
    centre: dict[str, float]
    members: NDArray[np.int64]
    distances: NDArray[np.float64]


@dataclass(frozen=True)
class FoundClusters:
    clusters: Sequence[FoundCluster]
    silhouette: float
    features: list[dict[str, float | str | bool]]


def find_clusters(table: FeatureTable, seed: int = 0) -> FoundClusters | None:
    """K-Means on recency, frequency, money and behaviour; None where there are too few shoppers to tell groups apart."""
    if table.n < MINIMUM_SHOPPERS:
        return None
    features = cluster_features(table)
    found = cluster(features, np.random.default_rng(seed))
    if found.k < 2:
        return None
    distances = found.distances(features)[np.arange(table.n), found.labels]
    centres = found.centres_in_units()
    names = unique_names([words_of(centre) for centre in found.centres])
    clusters = [
        FoundCluster(
            name=names[label],
            description=_description(centres[label]),
            centre={
                feature: round(float(value), 4)
                for feature, value in zip(CLUSTER_FEATURES, centres[label], strict=True)
            },
            members=np.flatnonzero(found.labels == label),
            distances=distances[found.labels == label],
        )
        for label in range(found.k)
    ]
    return FoundClusters(clusters, found.silhouette, _scales(found))


def cluster_features(table: FeatureTable) -> NDArray[np.float64]:
    """(n, f) finite numbers, in the order of CLUSTER_FEATURES."""
    columns = [np.nan_to_num(table.columns[name], nan=_UNKNOWN.get(name, 0.0)) for name in CLUSTER_FEATURES]
    return np.column_stack(columns).astype(np.float64)


def _scales(found: Clustering) -> list[dict[str, float | str | bool]]:
    return [
        {"name": name, "is_logged": bool(logged), "mean": float(mean), "deviation": float(deviation)}
        for name, logged, mean, deviation in zip(
            CLUSTER_FEATURES, found.logged, found.mean, found.deviation, strict=True
        )
    ]


def words_of(centre: NDArray[np.float64]) -> str:
    """The two most notable features of a centre (f,), in deviations from the mean: "Frequent buyers, big spenders"."""
    order = np.argsort(-np.abs(centre), kind="stable")
    notable = [position for position in order if abs(centre[position]) >= NOTABLE][:2]
    if not notable:
        return "Average shoppers"
    words = [_WORDS[CLUSTER_FEATURES[position]][0 if centre[position] > 0 else 1] for position in notable]
    return ", ".join(words).capitalize()


def unique_names(names: Sequence[str]) -> list[str]:
    """The second of one name becomes "… (2)"."""
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return unique


def _description(centre: NDArray[np.float64]) -> str:
    # K-Means gives −0.0 for nothing at all, which reads as a mistake.
    value = dict(zip(CLUSTER_FEATURES, centre.round(6) + 0.0, strict=True))
    words = f"On average {value['orders_365d']:.1f} orders worth {value['revenue_365d']:.0f} a year"
    if value["orders_365d"] >= 0.05:
        words += f", the last {value['days_since_order']:.0f} days ago"
    if value["sessions_90d"] >= 0.05:
        words += f"; {value['sessions_90d']:.1f} visits"
        if value["product_views_90d"] >= 0.5:
            words += f" with {value['product_views_90d']:.0f} product views"
        words += " in 90 days"
    return f"{words}."


def match_to_earlier(found: FoundClusters, earlier: Mapping[str, Mapping[str, Any]]) -> dict[int, str]:
    """{position in `found`: slug of the earlier cluster that it continues}, so that weights set for a cluster stay with it.

    `earlier`: slug → centre in feature units. Centres are compared on the new scale; what is too far off is a new cluster.
    """
    if not earlier or not found.clusters:
        return {}
    slugs = sorted(earlier)
    new = np.array([_scaled(found, cluster.centre) for cluster in found.clusters])
    old = np.array([_scaled(found, earlier[slug]) for slug in slugs])
    distances = np.sqrt(((new[:, None, :] - old[None]) ** 2).mean(axis=2))
    rows, columns = linear_sum_assignment(distances)
    return {
        int(row): slugs[column]
        for row, column in zip(rows, columns, strict=True)
        if distances[row, column] <= SAME_CLUSTER
    }


def _scaled(found: FoundClusters, centre: Mapping[str, Any]) -> list[float]:
    scaled = []
    for scale in found.features:
        value = float(centre.get(str(scale["name"]), 0.0))
        if scale["is_logged"]:
            value = float(np.log1p(max(value, 0.0)))
        scaled.append((value - float(scale["mean"])) / float(scale["deviation"]))
    return scaled
