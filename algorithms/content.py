"""Content: products like those that the shopper chose, by their texts and attributes alone.

TF-IDF vectors (Salton and Buckley, "Term-weighting Approaches in Automatic Text Retrieval", 1988) of words and word pairs,
joined with the item's features (category, brand, price band …), each part of length 1. It knows a product from the minute
it is imported, and nothing of what shoppers do.

    shopper = Σ_a strength_a · query_decay^age_a · vector(q_a),  score(i) = cosine(shopper, vector(i))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar, Self

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from algorithms.interactions import history_of
from algorithms.needs import Need
from algorithms.scoring import strongest
from algorithms.types import JSON, Array, Float32, Query, Strategy, TrainingData, Trigger


@dataclass(frozen=True)
class ContentParameters:
    feature_weight: float = 0.5  # of attributes against texts, 0..1
    longest_ngram: int = 2
    vocabulary: int = 50_000
    minimum_similarity: float = 0.05  # below, likeness is a word in common by chance
    query_decay: float = 0.8
    query_length: int = 30


class ContentTFIDF(Strategy):
    name: ClassVar[str] = "content"
    needs: ClassVar[tuple[Need, ...]] = (Need("items_with_text", 2, 20),)

    vectors_: csr_matrix  # (n_items, d) rows of length 1 or 0

    def __init__(self, **parameters: JSON) -> None:
        self.settings = ContentParameters(**parameters)

    def fit(self, data: TrainingData, rng: np.random.Generator) -> Self:
        return self.fit_items(data.n_items, data.item_texts, data.item_features)

    def fit_items(self, n_items: int, texts: Sequence[str] | None, features: csr_matrix | None) -> Self:
        """Learn from the catalogue alone: all that a new product needs to be known."""
        parts = []
        if texts is not None and any(text.strip() for text in texts):
            parts.append(
                self._tfidf(texts) * (1.0 - self.settings.feature_weight if features is not None else 1.0)
            )
        if features is not None:
            parts.append(normalize(features.astype(np.float32)) * self.settings.feature_weight)
        vectors = normalize(hstack(parts)) if parts else csr_matrix((n_items, 1))
        return self._learn(csr_matrix(vectors, dtype=np.float32))

    def _tfidf(self, texts: Sequence[str]) -> csr_matrix:
        vectorizer = TfidfVectorizer(
            ngram_range=(1, self.settings.longest_ngram),
            max_features=self.settings.vocabulary,
            sublinear_tf=True,
            token_pattern=r"(?u)\b\w+\b",
            dtype=np.float32,
        )
        try:
            return vectorizer.fit_transform(texts)
        except ValueError:  # no text has a word in it
            return csr_matrix((len(texts), 1), dtype=np.float32)

    def _learn(self, vectors: csr_matrix) -> Self:
        self.vectors_ = vectors
        self._by_term = vectors.T.tocsr()
        return self

    @property
    def n_items(self) -> int:
        return int(self.vectors_.shape[0])

    def score(self, query: Query) -> Float32:
        history = history_of(query, self.n_items, self.settings.query_length)
        scores = np.zeros(self.n_items, np.float32)
        if not len(history.items):
            return scores
        shopper = self._shopper(history.items, history.decayed(self.settings.query_decay))
        likeness = shopper @ self._by_term
        above = likeness.data >= self.settings.minimum_similarity
        scores[likeness.indices[above]] = likeness.data[above]
        return scores

    def _shopper(self, items: Array, importance: Float32) -> csr_matrix:
        return normalize(csr_matrix(importance) @ self.vectors_[items])

    def similar(self, item: int) -> Float32:
        """(n_items,): cosine of every item to this one; itself 0."""
        scores = self.score(Query.of([item], now=0.0))
        scores[item] = 0.0
        return scores

    def trigger(self, query: Query, item: int) -> Trigger | None:
        history = history_of(query, self.n_items, self.settings.query_length)
        if not len(history.items):
            return None
        likeness = np.asarray((self.vectors_[history.items] @ self.vectors_[item].T).todense()).ravel()
        credit = likeness * history.decayed(self.settings.query_decay)
        return strongest(history.items, np.where(history.items == item, 0.0, credit))

    def arrays(self) -> dict[str, Array]:
        vectors = self.vectors_
        return {"data": vectors.data, "indices": vectors.indices, "offsets": vectors.indptr}

    def parameters(self) -> dict[str, JSON]:
        return asdict(self.settings) | {"dimensions": int(self.vectors_.shape[1])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, JSON]) -> Self:
        constructor = dict(parameters)
        shape = (len(arrays["offsets"]) - 1, constructor.pop("dimensions"))
        return cls(**constructor)._learn(
            csr_matrix((arrays["data"], arrays["indices"], arrays["offsets"]), shape=shape)
        )
