"""Content: products like those that the shopper chose, by their texts and attributes alone.

TF-IDF vectors (Salton and Buckley, "Term-weighting Approaches in Automatic Text Retrieval", 1988) of words and word pairs,
joined with the item's features (category, brand, price band …), each part of length 1. It keeps its vocabulary, so that a
product that is imported later is described in the same terms (`described`, `with_items`), and knows nothing of what shoppers do.

    shopper = Σ_a strength_a · query_decay^age_a · vector(q_a),  score(i) = cosine(shopper, vector(i))

Strengths know how long a product was looked at, and interests that the shopper named join them (`taste`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, Final, Self

import numpy as np
from scipy.sparse import csr_matrix, hstack, vstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from algorithms.nearest_lists import NearestLists, by_terms
from algorithms.needs import Need
from algorithms.scoring import distinct, triggers_of
from algorithms.scratch import zeros
from algorithms.sparse_vectors import products, products_between, products_of, weighted_sum
from algorithms.taste import attended_history, liked
from algorithms.types import (
    JSON,
    Array,
    Float32,
    Int32,
    ItemDescriptions,
    Query,
    Strategy,
    TrainingData,
    Trigger,
)

TERMS_READ: Final = 4_000
"""To find what is near to an item, about so many places where its rarest terms stand are read."""


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

    vectors_: csr_matrix  # (n_items, d) rows of length 1 or 0: d = terms, then features
    terms_: tuple[str, ...]
    rarity_: Float32  # (terms,) inverse document frequencies
    n_features_: int | None  # None where new items cannot be described: see `from_arrays`

    def __init__(self, **parameters: JSON) -> None:
        self.settings = ContentParameters(**parameters)

    def fit(self, data: TrainingData, rng: np.random.Generator) -> Self:
        return self.fit_items(data.n_items, data.item_texts, data.item_features)

    def fit_items(self, n_items: int, texts: Sequence[str] | None, features: csr_matrix | None) -> Self:
        """Learn from the catalogue alone: all that a new product needs to be known."""
        words, terms, rarity = self._words(texts) if texts is not None else _NO_WORDS
        n_features = 0 if features is None else features.shape[1]
        vectors = _joined(n_items, words, features, self.settings.feature_weight)
        return self._learn(vectors, terms, rarity, n_features)

    def _words(self, texts: Sequence[str]) -> tuple[csr_matrix | None, tuple[str, ...], Float32]:
        vectorizer = _vectorizer(self.settings, max_features=self.settings.vocabulary)
        try:
            words = vectorizer.fit_transform(texts)
        except ValueError:  # no text has a word in it
            return _NO_WORDS
        return words, tuple(vectorizer.get_feature_names_out()), np.asarray(vectorizer.idf_, np.float32)

    def _learn(
        self, vectors: csr_matrix, terms: Sequence[str], rarity: Float32, n_features: int | None
    ) -> Self:
        self.vectors_, self.terms_, self.rarity_ = vectors, tuple(terms), rarity
        self.n_features_ = n_features
        self._by_term = vectors.T.tocsr()
        return self

    @property
    def can_add_items(self) -> bool:
        return self.n_features_ is not None

    def described(self, items: ItemDescriptions) -> dict[str, Array]:
        """Words that the vocabulary does not have say nothing. Raises ValueError for other features than were learned."""
        features = items.features if self.n_features_ else None
        if self.n_features_ and (features is None or features.shape[1] != self.n_features_):
            found = "none" if features is None else str(features.shape[1])
            raise ValueError(f"items must have the {self.n_features_} features of the training, not {found}")
        words = _weighed(items.texts, self.terms_, self.rarity_, self.settings)
        rows = _joined(len(items), words, features, self.settings.feature_weight)
        return {"data": rows.data, "indices": rows.indices, "offsets": rows.indptr}

    def with_items(self, described: Mapping[str, Array]) -> Self:
        rows = csr_matrix(
            (described["data"], described["indices"], described["offsets"]),
            shape=(len(described["offsets"]) - 1, self.vectors_.shape[1]),
        )
        vectors = csr_matrix(vstack([self.vectors_, rows]), dtype=np.float32)
        grown = type(self)(**asdict(self.settings))._learn(
            vectors, self.terms_, self.rarity_, self.n_features_
        )
        if "_nearest" in self.__dict__:
            fresh = grown._nearest_to(np.arange(self.n_items, grown.n_items, dtype=np.int32))
            grown.__dict__["_nearest"] = self._nearest.with_items(fresh)
        return grown

    @property
    def n_items(self) -> int:
        return int(self.vectors_.shape[0])

    @property
    def dimensions(self) -> int:
        return int(self.vectors_.shape[1])

    def score(self, query: Query) -> Float32:
        table = self._by_term
        return products(
            *self._taste(query), table.data, table.indices, table.indptr, self.settings.minimum_similarity, self.n_items
        )  # fmt: skip

    def likely_items(self, query: Query) -> Int32:
        items, _ = liked(query, self.n_items, self.settings.query_length, self.settings.query_decay)
        return self._nearest.joined(distinct(items))

    def score_items(self, query: Query, items: Int32) -> Float32:
        table = self.vectors_
        return products_of(
            *self._taste(query), items, table.data, table.indices, table.indptr, self.settings.minimum_similarity,
            zeros(self.dimensions),
        )  # fmt: skip

    @cached_property
    def _nearest(self) -> NearestLists:
        return NearestLists(self._nearest_to(np.arange(self.n_items, dtype=np.int32)))

    def _nearest_to(self, items: Int32) -> Int32:
        rows, columns = self.vectors_, self._by_term
        return by_terms(
            items,
            (rows.indptr, rows.indices, rows.data),
            (columns.indptr, columns.indices, columns.data),
            self.settings.minimum_similarity,
            TERMS_READ,
        )

    def _taste(self, query: Query) -> tuple[Int32, Float32]:
        known: tuple[Int32, Float32] | None = query.memo.get(self)
        if known is None:
            items, importance = liked(
                query, self.n_items, self.settings.query_length, self.settings.query_decay
            )
            known = query.memo[self] = self.direction(items, importance)
        return known

    def direction(self, items: Int32, importance: Float32) -> tuple[Int32, Float32]:
        """Columns and values of the vector of length 1 in which direction these items, as important as that, point."""
        table = self.vectors_
        return weighted_sum(
            items, importance, table.data, table.indices, table.indptr, zeros(self.dimensions)
        )

    def similar(self, item: int) -> Float32:
        """(n_items,): cosine of every item to this one; itself 0."""
        scores = self.score(Query.of([item], now=0.0))
        scores[item] = 0.0
        return scores

    def triggers(self, query: Query, items: Int32) -> list[Trigger | None]:
        history = attended_history(query, self.n_items, self.settings.query_length)
        likeness = self.likeness(history.items, items)
        return triggers_of(
            history.items, likeness * history.decayed(self.settings.query_decay)[:, None], items
        )

    def likeness(self, items: Int32, others: Int32) -> Float32:
        """(len(items), len(others)) cosines."""
        table = self.vectors_
        return products_between(
            items, others, table.data, table.indices, table.indptr, zeros(self.dimensions)
        )

    def arrays(self) -> dict[str, Array]:
        return {**self.described_arrays(), **self._nearest.arrays()}

    def described_arrays(self) -> dict[str, Array]:
        """What items are like, without who is near to whom."""
        vectors = self.vectors_
        return {
            "data": vectors.data,
            "indices": vectors.indices,
            "offsets": vectors.indptr,
            "terms": np.frombuffer("\n".join(self.terms_).encode(), np.uint8),
            "rarity": self.rarity_,
        }

    def parameters(self) -> dict[str, JSON]:
        return asdict(self.settings) | {
            "dimensions": int(self.vectors_.shape[1]),
            "features": self.n_features_,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, JSON]) -> Self:
        """A version saved by an earlier release has no vocabulary: it cannot tell what new items are about."""
        constructor = dict(parameters)
        n_features = constructor.pop("features", None)
        shape = (len(arrays["offsets"]) - 1, constructor.pop("dimensions"))
        vectors = csr_matrix((arrays["data"], arrays["indices"], arrays["offsets"]), shape=shape)
        terms = np.asarray(arrays.get("terms", np.zeros(0, np.uint8))).tobytes().decode()
        rarity = np.asarray(arrays.get("rarity", np.zeros(0, np.float32)))
        strategy = cls(**constructor)._learn(vectors, terms.split("\n") if terms else (), rarity, n_features)
        if (lists := NearestLists.from_arrays(arrays)) is not None:
            strategy.__dict__["_nearest"] = lists
        return strategy


_NO_WORDS: tuple[csr_matrix | None, tuple[str, ...], Float32] = (None, (), np.zeros(0, np.float32))


def _vectorizer(settings: ContentParameters, **known: Any) -> TfidfVectorizer:
    return TfidfVectorizer(
        ngram_range=(1, settings.longest_ngram),
        sublinear_tf=True,
        token_pattern=r"(?u)\b\w+\b",
        dtype=np.float32,
        **known,
    )


def _weighed(
    texts: Sequence[str], terms: Sequence[str], rarity: Float32, settings: ContentParameters
) -> csr_matrix | None:
    """(m, terms) TF-IDF rows of length 1 or 0; None where there is no vocabulary."""
    if not len(terms):
        return None
    vectorizer = _vectorizer(settings, vocabulary={term: n for n, term in enumerate(terms)})
    vectorizer.idf_ = rarity
    return vectorizer.transform(texts)


def _joined(
    m: int, words: csr_matrix | None, features: csr_matrix | None, feature_weight: float
) -> csr_matrix:
    """(m, d) rows of length 1 or 0. An item that has only words, or only features, is described by those in full."""
    parts = [csr_matrix((m, 1), dtype=np.float32) if words is None else words]
    if features is not None:
        parts[0] = parts[0] * (1.0 - feature_weight)
        parts.append(normalize(features.astype(np.float32)) * feature_weight)
    return csr_matrix(normalize(hstack(parts)), dtype=np.float32)
