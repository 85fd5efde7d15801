"""A fitted strategy asked in another numbering of items: how a version that was trained earlier is measured on today's catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
from scipy.sparse import csr_matrix

from algorithms.types import Array, Float32, Int32, Query, Strategy, TrainingData

UNKNOWN: Final = -1


@dataclass(frozen=True)
class Numbering:
    """From the numbers of a query to those of a strategy.

    `items` (n_items,) has the strategy's number of each item, UNKNOWN for one that it never met. `features` (G, H) takes a row of
    user features to the strategy's columns, None where it has none.
    """

    items: Int32
    features: csr_matrix | None = None

    @classmethod
    def between(
        cls,
        item_ids: Sequence[str],
        known_ids: Sequence[str],
        features: Sequence[str] = (),
        known_features: Sequence[str] = (),
    ) -> Self:
        """By names: of today's items and user features, and of those that the strategy knows."""
        places = {item_id: place for place, item_id in enumerate(known_ids)}
        items = np.array([places.get(item_id, UNKNOWN) for item_id in item_ids], np.int32)
        if not features or not known_features:
            return cls(items)
        columns = {name: column for column, name in enumerate(known_features)}
        pairs = [(row, columns[name]) for row, name in enumerate(features) if name in columns]
        rows, found = ([pair[side] for pair in pairs] for side in (0, 1))
        matrix = csr_matrix(
            (np.ones(len(pairs), np.float32), (rows, found)), shape=(len(features), len(known_features))
        )
        return cls(items, matrix)

    def query(self, query: Query) -> Query:
        """The same shopper without what the strategy never met."""
        numbers = self._of(query.items)
        kept = numbers >= 0
        context = None if query.context_item is None else int(self._of(np.array([query.context_item]))[0])
        cart = self._of(query.cart)
        features = None
        if query.user_features is not None and self.features is not None:
            features = query.user_features @ self.features
        return replace(
            query,
            items=numbers[kept],
            weights=query.weights[kept],
            timestamps=query.timestamps[kept],
            purchased=query.purchased[kept],
            session_start=int(kept[: query.session_start].sum()),
            context_item=None if context == UNKNOWN else context,
            cart=cart[cart >= 0],
            user_features=features,
        )

    def _of(self, items: Array) -> Int32:
        inside = items < len(self.items)
        return np.where(inside, self.items[np.where(inside, items, 0)], UNKNOWN).astype(np.int32)


class Translated(Strategy):
    """`inner` in another numbering. Items that it never met score 0, as whatever it has no opinion of: where one of them was chosen,
    the case counts as missed."""

    name = "translated"
    needs = ()

    def __init__(self, inner: Strategy, numbering: Numbering) -> None:
        self.inner, self.numbering = inner, numbering

    def fit(self, data: TrainingData, rng: np.random.Generator) -> Self:
        raise TypeError("a translated strategy is fitted already: fit the strategy itself")

    def score(self, query: Query) -> Float32:
        return self.score_many([query])[0]

    def score_many(self, queries: Sequence[Query]) -> Float32:
        inner = self.inner.score_many([self.numbering.query(query) for query in queries])
        scores = np.zeros((len(queries), self.n_items), np.float32)
        known = self.numbering.items >= 0
        scores[:, known] = inner[:, self.numbering.items[known]]
        return scores

    @property
    def n_items(self) -> int:
        return len(self.numbering.items)

    def arrays(self) -> dict[str, Array]:
        return self.inner.arrays()

    def parameters(self) -> dict[str, Any]:
        return self.inner.parameters()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, Any]) -> Self:
        raise TypeError("a translated strategy is not saved: save the strategy itself")
