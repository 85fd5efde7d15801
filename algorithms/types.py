"""The vocabulary of the package: what a strategy learns from, what it is asked, and what it must be able to do.

Everything here lives in index space: items, users and sessions are numbers from 0, and the caller keeps the mapping to
products and people. Nothing in this package knows a customer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from algorithms.needs import Need

JSON: TypeAlias = Any
"""What `json.dumps` takes: str, int, float, bool, None, lists and dicts of them."""

Int32: TypeAlias = NDArray[np.int32]
Int64: TypeAlias = NDArray[np.int64]
Float32: TypeAlias = NDArray[np.float32]
Float64: TypeAlias = NDArray[np.float64]
Bool: TypeAlias = NDArray[np.bool_]
Array: TypeAlias = NDArray[Any]
Opinion: TypeAlias = tuple[Int32, Float32]
"""Some distinct items and their scores above 0."""
NO_OPINION: Opinion = (np.empty(0, np.int32), np.empty(0, np.float32))


@dataclass(frozen=True)
class TrainingData:
    """The log in index space: n rows sorted by (session, timestamp), one row per interaction.

    A session belongs to one user, and session numbers have no gaps that matter: an empty session is allowed.
    `basket` holds an order number for a purchase and -1 for anything else. `now` is the end of the data window.
    """

    user: Int32  # (n,) 0..n_users-1; anonymous visitors are users too
    item: Int32  # (n,) 0..n_items-1
    timestamp: Float64  # (n,) Unix seconds
    weight: Float32  # (n,) > 0: weight of the event type (a purchase is not a view)
    session: Int32  # (n,) 0..n_sessions-1, ascending
    basket: Int32  # (n,) order number of a purchase, -1 for anything else
    n_users: int
    n_items: int
    now: float  # Unix seconds
    item_features: csr_matrix | None = (
        None  # (n_items, F) one-hots of category, brand, price band, attributes
    )
    user_features: csr_matrix | None = None  # (n_users, G), rows of people who did not consent are empty
    item_texts: list[str] | None = None  # n_items texts, "" = none
    item_text_vectors: Float32 | None = (
        None  # (n_items, d) embeddings of texts, where the optional packages are there
    )
    item_picture_vectors: Float32 | None = None  # (n_items, d) likewise, of pictures
    item_category: Int32 | None = None  # (n_items,) -1 = unknown
    item_created: Float64 | None = None  # (n_items,) Unix seconds at which the item appeared
    item_brand: Int32 | None = None  # (n_items,) -1 = unknown
    item_price: Float64 | None = None  # (n_items,) minor units of one currency, 0 = unknown

    def __len__(self) -> int:
        return len(self.item)

    @cached_property
    def n_sessions(self) -> int:
        return int(self.session[-1]) + 1 if len(self.session) else 0

    @cached_property
    def session_offsets(self) -> Int64:
        """(n_sessions + 1,): session s is rows offsets[s]:offsets[s + 1]."""
        return np.searchsorted(self.session, np.arange(self.n_sessions + 1)).astype(np.int64)

    @cached_property
    def session_user(self) -> Int32:
        """(n_sessions,): whose session it is; -1 for an empty session."""
        owners = np.full(self.n_sessions, -1, np.int32)
        owners[self.session] = self.user
        return owners

    def validate(self) -> None:
        """Raise ValueError, naming the column, unless shapes, ranges and order are what the class promises."""
        for name in ("user", "timestamp", "weight", "session", "basket"):
            if len(getattr(self, name)) != len(self.item):
                raise ValueError(f"{name} has {len(getattr(self, name))} rows, item has {len(self.item)}")
        if not len(self.item):
            return
        if self.item.min() < 0 or self.item.max() >= self.n_items:
            raise ValueError(
                f"item must lie in 0..{self.n_items - 1}, found {self.item.min()}..{self.item.max()}"
            )
        if self.user.min() < 0 or self.user.max() >= self.n_users:
            raise ValueError(
                f"user must lie in 0..{self.n_users - 1}, found {self.user.min()}..{self.user.max()}"
            )
        step = np.diff(self.session)
        if self.session[0] < 0 or (step < 0).any() or (np.diff(self.timestamp)[step == 0] < 0).any():
            raise ValueError("rows must be sorted by session, then timestamp: sort with numpy.lexsort")
        if (np.diff(self.user)[step == 0] != 0).any():
            raise ValueError("a session must belong to one user: renumber sessions by (user, session)")
        if not (np.isfinite(self.weight).all() and (self.weight > 0).all()):
            raise ValueError("weight must be finite and above 0: leave out events that weigh nothing")

    def select(self, rows: Bool) -> Self:
        """The rows where `rows` (n,) is true; numbers of items, users and sessions stay what they were."""
        columns = ("user", "item", "timestamp", "weight", "session", "basket")
        return replace(self, **{name: getattr(self, name)[rows] for name in columns})

    def without_sessions(self, forgotten: Bool) -> Self:
        """Without the sessions where `forgotten` (n_sessions,) is true; session numbers stay what they were."""
        return self.select(~forgotten[self.session])


@dataclass(frozen=True)
class Query:
    """What is known of the shopper when the shelf is asked for: m recent interactions, oldest first."""

    items: Int32  # (m,)
    weights: Float32  # (m,) event type weights
    timestamps: Float64  # (m,) Unix seconds, ascending
    session_start: int  # index into items at which the open session starts; m = no open session
    purchased: Bool  # (m,) was the interaction a purchase
    now: float  # Unix seconds
    context_item: int | None = None  # product page the shelf stands on
    cart: Int32 = field(default_factory=lambda: np.empty(0, np.int32))
    user_features: csr_matrix | None = None  # (1, G)
    category: int | None = None  # category page the shelf stands on
    seconds: Float32 | None = None  # (m,) how long each was looked at; 0 = unknown, or no view
    interests: tuple[Int32, ...] = ()  # for each interest that the shopper named, products of it
    memo: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What was worked out for this query, under whoever did: triggers are asked for right after scores. Another query, even one that
    `replace` made, has its own."""

    @classmethod
    def empty(cls, now: float) -> Self:
        """Nothing is known: a new visitor, or one who refused."""
        return cls.of([], now=now)

    @classmethod
    def of(cls, items: Sequence[int] | Int32, *, now: float, **known: Any) -> Self:
        """A query from items alone, oldest first, all in the open session, one second apart, none bought."""
        array = np.asarray(items, dtype=np.int32)
        m = len(array)
        defaults: dict[str, Any] = {
            "weights": np.ones(m, np.float32),
            "timestamps": now - np.arange(m, 0, -1, dtype=np.float64),
            "session_start": 0,
            "purchased": np.zeros(m, np.bool_),
        }
        return cls(items=array, now=now, **(defaults | known))


@dataclass(frozen=True)
class ItemDescriptions:
    """m items that came after a training, described as the training described its own: the same columns of features."""

    texts: list[str]
    features: csr_matrix | None  # (m, F)
    created: Float64  # (m,) Unix seconds
    text_vectors: Float32 | None = None  # (m, d)
    picture_vectors: Float32 | None = None  # (m, d)

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Trigger:
    """Which of the shopper's items made a strategy score a product, and how much of the score it carries."""

    item: int
    share: float  # 0..1


class Strategy(ABC):
    """Scores every item for a shopper. A constructor stores parameters, `fit` learns, learned attributes end in `_`.

    A fitted strategy is never changed in place: what learns more (`append_sessions`) or forgets (`forget_sessions`)
    gives a new object, so that a thread that is scoring keeps a whole one. Scoring is thread-safe.
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[Need, ...]]

    @abstractmethod
    def fit(self, data: TrainingData, rng: np.random.Generator) -> Self:
        """Learn from `data` and return self. The same data and generator state give the same arrays."""

    @abstractmethod
    def score(self, query: Query) -> Float32:
        """(n_items,) float32 ≥ 0, finite; higher is better, 0 = no opinion. Unknown items in the query are ignored."""

    def score_many(self, queries: Sequence[Query]) -> Float32:
        """(q, n_items): `score` of each query. Mind the memory: work in blocks."""
        if not queries:
            return np.zeros((0, self.n_items), np.float32)
        return np.stack([self.score(query) for query in queries])

    def likely_items(self, query: Query) -> Int32 | None:
        """Distinct items among which those with the highest scores are, where scoring all of them is dear; None where it is not."""
        return None

    def score_items(self, query: Query, items: Int32) -> Float32:
        """(c,): `score` of these items alone, 0..n_items-1."""
        return self.score(query)[items]

    def opinion(self, query: Query) -> Opinion | None:
        """Distinct items, in no order, and their scores above 0: `score` without its zeros, of those who have an opinion of few.

        None from those who have one of most items.
        """
        return None

    def standing(self, query: Query) -> Float32 | None:
        """`score` where it is the same for every shopper: always the same row, not to be written into. None where it is not."""
        return None

    def trigger(self, query: Query, item: int) -> Trigger | None:
        """What in `query` made `item` score most, or None where nothing in it did."""
        return self.triggers(query, np.array([item], np.int32))[0]

    def triggers(self, query: Query, items: Int32) -> list[Trigger | None]:
        """`trigger` of each of these items: a shelf asks for all of its own at once."""
        return [None] * len(items)

    @property
    @abstractmethod
    def n_items(self) -> int:
        """How many items the strategy knows: the length of a score row."""

    @abstractmethod
    def arrays(self) -> dict[str, Array]:
        """What to save, by file name without suffix. Never one row per user."""

    @abstractmethod
    def parameters(self) -> dict[str, JSON]:
        """Constructor parameters and learned scalars, as JSON can hold them: all that `from_arrays` needs besides."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, JSON]) -> Self:
        """The fitted strategy whose `arrays()` and `parameters()` these were. Arrays may be read-only memory maps."""

    @property
    def can_append(self) -> bool:
        """Whether `append_sessions` gives what a full training would give."""
        return False

    def append_sessions(self, data: TrainingData) -> Self:
        """A new strategy that knows these further sessions too; `data.n_items` may have grown, never shrunk."""
        raise NotImplementedError(f"{self.name} learns by a full training only")

    @property
    def can_add_items(self) -> bool:
        """Whether `with_items` makes it score items that came after the training."""
        return False

    def described(self, items: ItemDescriptions) -> dict[str, Array]:
        """What `with_items` takes, worked out once by whoever can read texts; (m, …) arrays as `arrays` has them."""
        raise NotImplementedError(f"{self.name} learns of new items by a full training only")

    def with_items(self, described: Mapping[str, Array]) -> Self:
        """A new strategy that knows m further items too, numbered from `n_items`."""
        raise NotImplementedError(f"{self.name} learns of new items by a full training only")

    def forget_sessions(self, forgotten: Bool, data: TrainingData) -> Self:
        """A new strategy without the contribution of the sessions where `forgotten` (n_sessions,) is true.

        `data` is the whole log that the strategy was trained on, forgotten sessions included (see `erasure`): callers
        keep it with the model, memory-mapped. By default a strategy has learned nothing from sessions and stays.
        """
        return self


class SparseStrategy(Strategy):
    """A strategy that has an opinion of some items only, and gives it without a row as long as the catalogue."""

    @abstractmethod
    def opinion(self, query: Query) -> Opinion:
        """See `Strategy.opinion`."""

    def score(self, query: Query) -> Float32:
        scores = np.zeros(self.n_items, np.float32)
        items, values = self.opinion(query)
        scores[items] = values
        return scores
