"""Meaning: products whose texts mean the same in other words, by word embeddings that were learned elsewhere.

The model is WordLlama's (Miller 2024, MIT; token embeddings of Llama 2 trained further for similarity of sentences, 32,000 tokens of 256
dimensions), which the optional package `wordllama` ships in its wheel. A text is the mean of its tokens' embeddings, less the mean of all
texts of the shop (Arora, Liang and Ma, "A Simple but Tough-to-Beat Baseline for Sentence Embeddings", ICLR 2017: what all share tells
nothing apart), brought to length 1:

    shopper = Σ_a strength_a · query_decay^age_a · vector(q_a),  score(i) = cosine(shopper, vector(i))

Only the package's data files are read: no code of it runs, and nothing is downloaded. Training embeds; serving reads arrays.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from algorithms.nearest_lists import NearestLists, by_products
from algorithms.needs import Need
from algorithms.scoring import distinct, opinions, opinions_of, triggers_of, unit_rows
from algorithms.taste import attended_history, liked
from algorithms.types import (
    JSON,
    Array,
    Float32,
    Int32,
    Int64,
    ItemDescriptions,
    Query,
    Strategy,
    TrainingData,
    Trigger,
)

DIMENSIONS = 256
WEIGHTS, TOKENIZER = "weights/l2_supercat_256.safetensors", "tokenizers/l2_supercat_tokenizer_config.json"
PACKAGES = ("wordllama", "tokenizers", "safetensors")
BLOCK = 2_000


class MissingExtra(RuntimeError):
    """The optional packages are not installed; the message says how to install them."""


def is_installed() -> bool:
    return all(importlib.util.find_spec(package) is not None for package in PACKAGES)


def embed(texts: Sequence[str]) -> Float32:
    """(n, 256) means of the embeddings of each text's tokens; a text without a word is a row of zeros. Raises MissingExtra."""
    tokenizer, table = _model()
    vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
    for start in range(0, len(texts), BLOCK):
        lowered = [text.lower() for text in texts[start : start + BLOCK]]
        for row, encoded in enumerate(tokenizer.encode_batch(lowered, add_special_tokens=False), start):
            if encoded.ids:
                vectors[row] = table[encoded.ids].mean(axis=0)
    return vectors


@cache
def _model() -> tuple[Any, Float32]:
    if not is_installed():
        raise MissingExtra(
            "Word embeddings need optional packages: pip install -r requirements-embeddings.txt. Without them texts are compared "
            "by their words (the strategy `content`)."
        )
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    spec = importlib.util.find_spec("wordllama")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent
    table = next(iter(load_file(folder / WEIGHTS).values())).astype(np.float32)
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer, table


@dataclass(frozen=True)
class TextEmbeddingsParameters:
    minimum_similarity: float = 0.2
    query_decay: float = 0.8
    query_length: int = 30


class TextEmbeddings(Strategy):
    name: ClassVar[str] = "text_embeddings"
    needs: ClassVar[tuple[Need, ...]] = (Need("items_with_text_vectors", 2, 20),)

    vectors_: Float32  # (n_items, 256) rows of length 1 or 0
    mean_: Float32  # (256,) of the texts that were trained on

    def __init__(self, **parameters: JSON) -> None:
        self.settings = TextEmbeddingsParameters(**parameters)

    def fit(self, data: TrainingData, rng: np.random.Generator) -> Self:
        """From `data.item_text_vectors`, as `embed` gives them; without them it has no opinion."""
        vectors = self.of_training(data)
        if vectors is None:
            return self._learn(np.zeros((data.n_items, 1), np.float32), np.zeros(1, np.float32))
        known = vectors.any(axis=1)
        mean = vectors[known].mean(axis=0) if known.sum() > 1 else np.zeros(vectors.shape[1])
        return self._learn(_centred(vectors, mean.astype(np.float32)), mean.astype(np.float32))

    @staticmethod
    def of_training(data: TrainingData) -> Float32 | None:
        return data.item_text_vectors

    @staticmethod
    def of_items(items: ItemDescriptions) -> Float32 | None:
        return items.text_vectors

    def _learn(self, vectors: Float32, mean: Float32) -> Self:
        self.vectors_, self.mean_ = vectors, mean
        return self

    @property
    def n_items(self) -> int:
        return len(self.vectors_)

    def score(self, query: Query) -> Float32:
        return self._above(opinions(self._taste(query), self.vectors_)[0])

    def likely_items(self, query: Query) -> Int32:
        return self._nearest.joined(distinct(self._liked(query)[0]))

    def score_items(self, query: Query, items: Int32) -> Float32:
        return self._above(opinions_of(self._taste(query)[0], self.vectors_, items))

    def _above(self, scores: Float32) -> Float32:
        scores[scores < self.settings.minimum_similarity] = 0.0
        return scores

    def _taste(self, query: Query) -> Float32:
        """(1, d) of length 1 or 0."""
        items, importance = self._liked(query)
        return unit_rows((importance @ self.vectors_[items])[None, :])

    def _liked(self, query: Query) -> tuple[Int32, Float32]:
        return liked(query, self.n_items, self.settings.query_length, self.settings.query_decay)

    @cached_property
    def _nearest(self) -> NearestLists:
        return NearestLists(self._nearest_to(np.arange(self.n_items)))

    def _nearest_to(self, items: Int64) -> Int32:
        return by_products(self.vectors_, items)

    def triggers(self, query: Query, items: Int32) -> list[Trigger | None]:
        history = attended_history(query, self.n_items, self.settings.query_length)
        likeness = self.vectors_[history.items] @ self.vectors_[items].T
        credit = likeness * history.decayed(self.settings.query_decay)[:, None]
        return triggers_of(history.items, credit, items)

    @property
    def can_add_items(self) -> bool:
        return True

    def described(self, items: ItemDescriptions) -> dict[str, Array]:
        """Rows of zeros where nobody embedded their texts."""
        vectors = self.of_items(items)
        if vectors is None or len(self.mean_) == 1:
            return {"vectors": np.zeros((len(items), len(self.mean_)), np.float32)}
        return {"vectors": _centred(vectors, self.mean_)}

    def with_items(self, described: Mapping[str, Array]) -> Self:
        vectors = np.concatenate([self.vectors_, described["vectors"]])
        grown = type(self)(**asdict(self.settings))._learn(vectors, self.mean_)
        if "_nearest" in self.__dict__:
            fresh = grown._nearest_to(np.arange(self.n_items, grown.n_items))
            grown.__dict__["_nearest"] = self._nearest.with_items(fresh)
        return grown

    def arrays(self) -> dict[str, Array]:
        return {"vectors": self.vectors_, "mean": self.mean_, **self._nearest.arrays()}

    def parameters(self) -> dict[str, JSON]:
        return asdict(self.settings)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, JSON]) -> Self:
        strategy = cls(**parameters)._learn(np.asarray(arrays["vectors"]), np.asarray(arrays["mean"]))
        if (lists := NearestLists.from_arrays(arrays)) is not None:
            strategy.__dict__["_nearest"] = lists
        return strategy


def _centred(vectors: Float32, mean: Float32) -> Float32:
    """Texts without a word stay rows of zeros."""
    return unit_rows(np.where(vectors.any(axis=1, keepdims=True), vectors - mean, 0.0).astype(np.float32))
