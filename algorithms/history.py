"""The shopper's own history: what they looked at, what they come back to, what they buy again.

Repeats are a third of what shoppers do next in browsing logs, and most of it in basket shops: Anderson et al., "The
Dynamics of Repeat Consumption" (WWW 2014); Bhagat et al., "Buy It Again" (KDD 2018). Nothing of a shopper is kept: all
three read the query alone; what two of them learn are tables over all shoppers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, Self

import numba
import numpy as np

from algorithms.needs import Need
from algorithms.types import (
    JSON,
    Array,
    Bool,
    Float64,
    Int32,
    Int64,
    Opinion,
    Query,
    SparseStrategy,
    TrainingData,
    Trigger,
)

DAY_SECONDS = 86_400.0


class OwnHistory(SparseStrategy):
    """Scores items of the query only; each is its own trigger."""

    n_items_: int

    @property
    def n_items(self) -> int:
        return self.n_items_

    def triggers(self, query: Query, items: Int32) -> list[Trigger | None]:
        spoken_of = set(self.opinion(query)[0].tolist())
        return [Trigger(item, 1.0) if item in spoken_of else None for item in items.tolist()]

    def _known(self, query: Query) -> Bool:
        """(m,): interactions with items that the strategy knows, other than the product whose page is open."""
        other = query.items != (-1 if query.context_item is None else query.context_item)
        return np.asarray((query.items >= 0) & (query.items < self.n_items_) & other)


def _above_zero(items: Int32, scores: Float64) -> Opinion:
    """What has vanished in float32 is no opinion."""
    values = scores.astype(np.float32)
    kept = values > 0.0
    return items[kept], values[kept]


class RecentlyViewed(OwnHistory):
    """What was looked at and not bought, newest first: 1 for the newest, then decay, decay², …"""

    name: ClassVar[str] = "recently_viewed"
    needs: ClassVar[tuple[Need, ...]] = (Need("interactions", 1, 1),)

    def __init__(self, decay: float = 0.9) -> None:
        self.decay = decay

    def fit(self, data: TrainingData, rng: np.random.Generator) -> Self:
        self.n_items_ = data.n_items
        return self

    def opinion(self, query: Query) -> Opinion:
        bought = set(query.items[query.purchased].tolist())
        viewed = dict.fromkeys(i for i in query.items[self._known(query)][::-1].tolist() if i not in bought)
        weights = np.power(self.decay, np.arange(len(viewed), dtype=np.float64))
        return _above_zero(np.fromiter(viewed, np.int32, len(viewed)), weights)

    def arrays(self) -> dict[str, Array]:
        return {}

    def parameters(self) -> dict[str, JSON]:
        return {"decay": self.decay, "n_items": self.n_items_}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, JSON]) -> Self:
        strategy = cls(parameters["decay"])
        strategy.n_items_ = parameters["n_items"]
        return strategy


AGES, COUNTS, REPEATS = 12, 3, 4
"""Sizes of the reminder's table: places back among the distinct items; times seen; repeated views in the open session."""
LOOKBACK = 60  # interactions of a user that can be repeated


class Reminder(OwnHistory):
    """How likely the next item is one already seen, as the training log shows it.

    Depends on how many distinct items were seen since (0 for the newest), how often the item was seen, how many interactions of
    the open session were repeats, and whether the item was seen in that session. One table of 12 × 3 × 4 × 2 probabilities, each
    shrunk towards the mean of its age and session, in units of the mean probability of the two newest items of a session:
    1 = as likely as those usually are. So a score means the same for every shopper (`blend.CALIBRATED`).
    """

    name: ClassVar[str] = "reminder"
    needs: ClassVar[tuple[Need, ...]] = (Need("repeats", 1, 200),)

    table_: Float64  # (AGES, COUNTS, REPEATS, 2); last axis: seen before the open session, in it

    def __init__(self, shrinkage: float = 50.0) -> None:
        self.shrinkage = shrinkage

    def fit(self, data: TrainingData, rng: np.random.Generator) -> Self:
        order = np.lexsort((data.session, data.timestamp, data.user))
        shown, taken = _repeat_counts(data.item[order], data.user[order], data.session[order])
        mean = (taken.sum(axis=(1, 2)) + 1e-3) / (shown.sum(axis=(1, 2)) + 1.0)
        table = (taken + self.shrinkage * mean[:, None, None]) / (shown + self.shrinkage)
        usual = (taken[:2, :, :, 1].sum() + 1.0) / (shown[:2, :, :, 1].sum() + 5.0)
        return self._learn(table / usual, data.n_items)

    def _learn(self, table: Float64, n_items: int) -> Self:
        self.table_, self.n_items_ = table, n_items
        return self

    def opinion(self, query: Query) -> Opinion:
        known = self._known(query)
        in_session = np.arange(len(query.items)) >= query.session_start
        items, counts, current, repeats = _candidates(
            query.items[known][-LOOKBACK:], in_session[known][-LOOKBACK:]
        )
        return _above_zero(items, self.table_[np.arange(len(items)), counts, repeats, current])

    def forget_sessions(self, forgotten: Bool, data: TrainingData) -> Self:
        return type(self)(self.shrinkage).fit(data.without_sessions(forgotten), np.random.default_rng(0))

    def arrays(self) -> dict[str, Array]:
        return {"table": self.table_}

    def parameters(self) -> dict[str, JSON]:
        return {"shrinkage": self.shrinkage, "n_items": self.n_items_}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, JSON]) -> Self:
        return cls(parameters["shrinkage"])._learn(np.asarray(arrays["table"]), parameters["n_items"])


@numba.njit(nogil=True, cache=True)
def _candidates(history: Int32, in_session: Bool) -> tuple[Int32, Int64, Int64, int]:
    """The newest distinct items, newest first; for each its place on the table's axes of counts and sessions; the place of all on
    the axis of repeats."""
    items = np.empty(AGES, np.int32)
    counts, current = np.zeros(AGES, np.int64), np.zeros(AGES, np.int64)
    n, repeats = 0, 0
    for row in range(len(history) - 1, -1, -1):
        place = n
        for a in range(n):
            if items[a] == history[row]:
                place = a
        if place < n:
            counts[place] = min(counts[place] + 1, COUNTS - 1)
            repeats += in_session[row]
        elif n < AGES:
            items[n], current[n] = history[row], in_session[row]
            n += 1
    return items[:n], counts[:n], current[:n], min(repeats, REPEATS - 1)


@numba.njit(nogil=True, cache=True)
def _repeat_counts(items: Int32, users: Int32, sessions: Int32) -> tuple[Float64, Float64]:
    """How often each kind of candidate stood there when a next item was chosen, and how often it was the one.

    Rows are sorted by user, then time.
    """
    shown = np.zeros((AGES, COUNTS, REPEATS, 2))
    taken = np.zeros((AGES, COUNTS, REPEATS, 2))
    start = 0
    for row in range(1, len(items)):
        if users[row] != users[row - 1]:
            start = row
        first = max(start, row - LOOKBACK)
        if first == row:
            continue
        in_session = sessions[first:row] == sessions[row]
        candidates, counts, current, repeats = _candidates(items[first:row], in_session)
        for a in range(len(candidates)):
            cell = a, counts[a], repeats, current[a]
            shown[cell] += 1.0
            taken[cell] += candidates[a] == items[row]
    return shown, taken


@dataclass(frozen=True)
class RepurchaseParameters:
    half_life_days: float = 90.0
    rate_power: float = 0.5
    prior_customers: float = 10.0


class Repurchase(OwnHistory):
    """What was bought, by how lately and how often, and by how often this product is bought again at all.

        score(i) = rate(i)^rate_power · Σ_{purchases of i} weight · 0.5^(age / half_life_days)

    where rate(i) is the share of i's buyers who bought it on two occasions or more, shrunk to the shop's mean.
    """

    name: ClassVar[str] = "repurchase"
    needs: ClassVar[tuple[Need, ...]] = (Need("repurchases", 1, 100),)

    rate_: Float64  # (n_items,) 0..1

    def __init__(self, **parameters: JSON) -> None:
        self.settings = RepurchaseParameters(**parameters)

    def fit(self, data: TrainingData, rng: np.random.Generator) -> Self:
        bought = data.basket >= 0
        pairs, occasions = self._occasions(data.user[bought], data.item[bought], data.basket[bought])
        buyers = np.bincount(pairs[:, 1], minlength=data.n_items).astype(np.float64)
        returned = np.bincount(pairs[occasions > 1, 1], minlength=data.n_items)
        mean = (returned.sum() + 1.0) / (buyers.sum() + 2.0)
        prior = self.settings.prior_customers
        return self._learn((returned + prior * mean) / (buyers + prior))

    @staticmethod
    def _occasions(user: Int32, item: Int32, basket: Int32) -> tuple[Int32, Int64]:
        """Distinct (user, item) and in how many different baskets each stands."""
        visits = np.unique(np.stack([user, item, basket], axis=1), axis=0)
        pairs, occasions = np.unique(visits[:, :2], axis=0, return_counts=True)
        return pairs, occasions

    def _learn(self, rate: Float64) -> Self:
        self.rate_, self.n_items_ = rate, len(rate)
        self._multiplier = rate**self.settings.rate_power
        return self

    def opinion(self, query: Query) -> Opinion:
        bought = self._known(query) & query.purchased
        age_days = np.maximum(query.now - query.timestamps[bought], 0.0) / DAY_SECONDS
        mass = query.weights[bought] * 0.5 ** (age_days / self.settings.half_life_days)
        items, place = np.unique(query.items[bought], return_inverse=True)
        total = np.bincount(place, weights=mass, minlength=len(items))
        return _above_zero(items, total * self._multiplier[items])

    def forget_sessions(self, forgotten: Bool, data: TrainingData) -> Self:
        fresh = type(self)(**asdict(self.settings))
        return fresh.fit(data.without_sessions(forgotten), np.random.default_rng(0))

    def arrays(self) -> dict[str, Array]:
        return {"rate": self.rate_}

    def parameters(self) -> dict[str, JSON]:
        return asdict(self.settings)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], parameters: Mapping[str, JSON]) -> Self:
        return cls(**parameters)._learn(np.asarray(arrays["rate"]))
