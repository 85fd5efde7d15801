"""LightFM as its documentation has it, to be compared with: a person's own embedding, items by their features, WARP.

Kula, "Metadata Embeddings for User and Item Cold-start Recommendations" (CBRecSys 2015). An item that nobody has touched has
no embedding of its own worth having, so that by default an item is the sum of its features' embeddings alone (`own_embeddings`
adds one per item). Words of texts are features too. Rows of features have length 1, as the library's own data builder makes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from lightfm import LightFM
from scipy.sparse import csr_matrix, hstack, identity
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import normalize

from algorithms.types import Float32, TrainingData

WORDS = 20_000


class LightFMPeer:
    def __init__(
        self,
        factors: int = 64,
        epochs: int = 15,
        own_embeddings: bool = False,
        item_alpha: float = 0.0,
        user_alpha: float = 0.0,
        threads: int = 1,
    ) -> None:
        self.factors, self.epochs, self.own_embeddings = factors, epochs, own_embeddings
        self.item_alpha, self.user_alpha, self.threads = item_alpha, user_alpha, threads

    def fit(self, data: TrainingData, rng: np.random.Generator) -> Self:
        model = LightFM(
            no_components=self.factors,
            loss="warp",
            item_alpha=self.item_alpha,
            user_alpha=self.user_alpha,
            random_state=int(rng.integers(2**31)),
        )
        features = item_features(data, own=self.own_embeddings)
        touched = csr_matrix(
            (np.ones(len(data), np.float32), (data.user, data.item)), shape=(data.n_users, data.n_items)
        )
        touched.sum_duplicates()
        touched.data[:] = 1.0
        model.fit(touched.tocoo(), item_features=features, epochs=self.epochs, num_threads=self.threads)
        biases, embeddings = model.get_item_representations(features)
        self._items = np.column_stack([embeddings, biases]).astype(np.float32)
        self._users = np.column_stack([model.user_embeddings, np.ones(data.n_users)]).astype(np.float32)
        return self

    def score_users(self, users: Sequence[int]) -> Float32:
        """(u, n_items): scores of all items; only their order means anything."""
        return np.asarray(self._users[np.asarray(users)] @ self._items.T, np.float32)


def item_features(data: TrainingData, *, own: bool) -> csr_matrix:
    """(n_items, F): words and attributes, each item's row of length 1, after its own column if it has one."""
    parts: list[Any] = []
    if data.item_texts is not None:
        words = CountVectorizer(
            binary=True, max_features=WORDS, token_pattern=r"(?u)\b\w+\b", dtype=np.float32
        )
        parts.append(words.fit_transform(data.item_texts))
    if data.item_features is not None:
        parts.append(data.item_features.astype(np.float32))
    if own:
        parts.append(identity(data.n_items, np.float32))
    return csr_matrix(normalize(hstack(parts), norm="l1"), dtype=np.float32)
