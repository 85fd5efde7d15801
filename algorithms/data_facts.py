"""How much there is to learn from, and how it is spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from algorithms.metrics import gini
from algorithms.types import Bool, Float32, Float64, Int64, TrainingData

DAY_SECONDS: Final = 86_400.0
RECENT_DAYS: Final = 28
QUANTILES: Final = (0.0, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)


@dataclass(frozen=True)
class Spread:
    """How something is spread over people, products or visits. `quantiles` at QUANTILES; `gini` from 0 (all alike) to 1."""

    mean: float
    quantiles: tuple[float, ...]
    gini: float


@dataclass(frozen=True)
class DataFacts:
    """Of TrainingData. Counts as in `needs.FACTS`; `density` is the share of (person, product) pairs that met at all."""

    people: int
    items: int
    items_met: int
    interactions: int
    recent_interactions: int
    sessions: int
    purchases: int
    baskets: int
    pairs: int
    density: float
    days: float
    people_of_several: int
    items_of_several: int
    sessions_of_several: int
    baskets_of_several: int
    repeats: int
    repurchases: int
    items_with_text: int
    items_with_text_vectors: int
    items_with_picture_vectors: int
    items_with_category: int
    items_with_features: int
    people_of_groups: int
    per_person: Spread
    per_item: Spread
    per_session: Spread

    def counts(self) -> dict[str, int]:
        """The whole numbers, as `needs.judge` takes them."""
        return {name: value for name, value in asdict(self).items() if isinstance(value, int)}


def data_facts(data: TrainingData) -> DataFacts:
    """Raises nothing: of no interactions all counts are 0. O(n log n) in the interactions, a few bytes for each."""
    pairs, times = np.unique(_pair(data.user, data.item, data.n_items), return_counts=True)
    people, items = (pairs // max(data.n_items, 1)), (pairs % max(data.n_items, 1))
    products_of_person, people_of_item = _counts(people), np.bincount(items, minlength=data.n_items)
    products_of_session = _counts(
        np.unique(_pair(data.session, data.item, data.n_items)) // max(data.n_items, 1)
    )
    bought = data.basket >= 0
    lines = np.unique(_pair(data.basket[bought], data.item[bought], data.n_items))
    return DataFacts(
        people=len(products_of_person),
        items=data.n_items,
        items_met=int((people_of_item > 0).sum()),
        interactions=len(data),
        recent_interactions=int((data.timestamp > data.now - RECENT_DAYS * DAY_SECONDS).sum()),
        sessions=len(products_of_session),
        purchases=int(bought.sum()),
        baskets=len(np.unique(data.basket[bought])),
        pairs=len(pairs),
        density=len(pairs) / (len(products_of_person) * data.n_items) if len(pairs) else 0.0,
        days=float(np.ptp(data.timestamp) / DAY_SECONDS) if len(data) else 0.0,
        people_of_several=int((products_of_person >= 2).sum()),
        items_of_several=int((people_of_item >= 2).sum()),
        sessions_of_several=int((products_of_session >= 2).sum()),
        baskets_of_several=int((_counts(lines // max(data.n_items, 1)) >= 2).sum()),
        repeats=int((times >= 2).sum()),
        repurchases=_repurchases(data, bought),
        items_with_text=sum(1 for text in data.item_texts or () if text.strip()),
        items_with_text_vectors=_filled(data.item_text_vectors),
        items_with_picture_vectors=_filled(data.item_picture_vectors),
        items_with_category=int((data.item_category >= 0).sum()) if data.item_category is not None else 0,
        items_with_features=_shared_features(data),
        people_of_groups=_of_groups(data),
        per_person=spread(_counts(data.user)),
        per_item=spread(np.bincount(data.item, minlength=data.n_items)),
        per_session=spread(_counts(data.session)),
    )


def _pair(of: np.ndarray, item: np.ndarray, n_items: int) -> Int64:
    return of.astype(np.int64) * n_items + item


def _counts(keys: np.ndarray) -> Int64:
    """How often each key that is there occurs."""
    return np.unique(keys, return_counts=True)[1].astype(np.int64)


def _repurchases(data: TrainingData, bought: Bool) -> int:
    """(person, product) pairs in two orders or more."""
    triples = np.unique(
        np.stack([data.user[bought], data.item[bought], data.basket[bought]]).astype(np.int64), axis=1
    )
    return int((_counts(_pair(triples[0], triples[1], data.n_items)) >= 2).sum())


def _of_groups(data: TrainingData) -> int:
    if data.user_features is None:
        return 0
    return int((np.diff(data.user_features.indptr)[np.unique(data.user)] > 0).sum())


def _shared_features(data: TrainingData) -> int:
    if data.item_features is None:
        return 0
    return int((np.diff(data.item_features.indptr) > 0).sum())


def _filled(vectors: Float32 | None) -> int:
    return 0 if vectors is None else int(vectors.any(axis=1).sum())


def spread(counts: Sequence[int] | Int64) -> Spread:
    """Of counts ≥ 0, those that are 0 included. All zero for none."""
    values: Float64 = np.sort(np.asarray(counts, np.float64))
    if not len(values) or values[-1] == 0:
        return Spread(0.0, tuple(0.0 for _ in QUANTILES), 0.0)
    quantiles = tuple(float(value) for value in np.quantile(values, QUANTILES))
    return Spread(float(values.mean()), quantiles, gini(values))
