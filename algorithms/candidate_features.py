"""What a learned reranker knows of a candidate: the opinions of all strategies side by side, and what they do not say.

One function for training and serving alike, so that both see the same numbers. Nothing here is missing: what is not known has a
number of its own (-1, or `UNRANKED` for a place in an order), since trees split on numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numba
import numpy as np

from algorithms.item_demand import ItemDemand
from algorithms.types import Bool, Float32, Float64, Int32, Query, TrainingData

UNRANKED: Final = 1000.0
"""Rank of a candidate that a strategy has no opinion of; steps back to an item that was never looked at."""
DAY_SECONDS: Final = 86_400.0
IMPERSONAL: Final = frozenset({"popular", "trending"})
"""Strategies that tell every shopper the same: their exact scores would be a name of each item."""
POPULARITY_CLASSES: Final = 10
SHARED: Final = (
    "blend",
    "blend_rank",
    "popularity",
    "age_days",
    "times_seen",
    "steps_back",
    "seen_in_session",
    "bought",
    "category_share",
    "brand_share",
    "newest_category",
    "price_ratio",
    "known_interactions",
    "session_length",
    "session_repeats",
    "category_count",
    "category_days",
    "category_due",
    "price_in_category",
    "growth",
    "newcomers",
    "first",
    "fresh",
)
"""Features that do not belong to one strategy, in the order of their columns.

`blend` is the candidate's share of the largest blended score, `popularity` the class of how wanted it is of late (0..10: each half as
much as the one above), `steps_back` how many distinct items were looked at since (0 = none), `category_share` and `brand_share` the share
of the shopper's weight that went there, `price_ratio` the natural logarithm of its price over the shopper's usual (weighted geometric
mean; 0 = the same, or not known), `price_in_category` the same over the usual in its category, `category_count` how many known
interactions were there, `category_days` how many days ago the last one was, `category_due` that over the mean time between
those at different moments (-1 = fewer than two); the last four as `item_demand` has them.
"""


@dataclass(frozen=True)
class ItemFacts:
    """What the catalogue says of n items; unknown: -1 for codes, 0 for prices and times. Codes are compared with each other only."""

    popularity: Float32  # (n,) 0..1
    created: Float64  # (n,) Unix seconds
    category: Int32  # (n,)
    brand: Int32  # (n,)
    price: Float64  # (n,) ≥ 0, one currency
    demand: ItemDemand | None = None  # of n items at most; None says nothing of any

    @classmethod
    def of(cls, data: TrainingData, popularity: Float32, now: float | None = None) -> Self:
        """Facts of a training log's items as of `now`, the end of the log by default; `popularity` (n_items,) ≥ 0 is brought to 0..1."""
        n = data.n_items
        top = float(popularity.max(initial=0.0))
        return cls(
            popularity=(popularity / top if top > 0 else popularity).astype(np.float32),
            created=_or(data.item_created, np.zeros(n)),
            category=_or(data.item_category, np.full(n, -1, np.int32)),
            brand=_or(data.item_brand, np.full(n, -1, np.int32)),
            price=_or(data.item_price, np.zeros(n)),
            demand=ItemDemand.at(data, data.now if now is None else now),
        )


def _or(known: np.ndarray | None, otherwise: np.ndarray) -> np.ndarray:
    return otherwise if known is None else known


def feature_names(strategies: Sequence[str]) -> tuple[str, ...]:
    """Column names: for each strategy `<name>` (its normalised score) and `<name>:rank`, then `SHARED`. Those that tell everybody the
    same have none."""
    return tuple(column for name in personal(strategies) for column in (name, f"{name}:rank")) + SHARED


def personal(strategies: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in strategies if name not in IMPERSONAL)


def candidate_features(
    query: Query, items: Int32, scores: Float32, blended: Float32, facts: ItemFacts
) -> Float64:
    """(c, 2 · strategies + 23) features of `items` (c,), candidates of one shopper.

    `scores` (personal strategies, c) are normalised over all items (`blend.normalise` by "max", calibrated ones as they are), 0 = no
    opinion; ranks are taken among the candidates, equals having the best of their places. `blended` (c,) > 0 is what a blend made of them.
    """
    features = np.empty((len(items), 2 * len(scores) + len(SHARED)))
    known = (query.items >= 0) & (query.items < len(facts.category))
    _fill(
        features,
        np.ascontiguousarray(scores, np.float32),
        np.ascontiguousarray(blended, np.float32),
        items,
        query.items[known],
        query.weights[known],
        query.purchased[known],
        query.timestamps[known],
        int(np.count_nonzero(known[: query.session_start])),
        query.now,
        facts.popularity,
        facts.created,
        facts.category,
        facts.brand,
        facts.price,
    )
    place = 2 * len(scores) + SHARED.index("growth")
    features[:, place : place + 4] = 0.0 if facts.demand is None else facts.demand.of(items)
    return features


@numba.njit(nogil=True, cache=True)
def _fill(
    out: Float64,
    scores: Float32,
    blended: Float32,
    items: Int32,
    history: Int32,
    weights: Float32,
    bought: Bool,
    moments: Float64,
    session_start: int,
    now: float,
    popularity: Float32,
    created: Float64,
    category: Int32,
    brand: Int32,
    price: Float64,
) -> None:
    n_strategies = len(scores)
    for s in range(n_strategies):
        _score_and_rank(out, 2 * s, scores[s])
    base = 2 * n_strategies
    _score_and_rank(out, base, blended)
    top = out[:, base].max() if len(items) else 0.0
    steps, session_repeats = _steps_back(history, session_start)
    total = weights.sum()
    usual = _usual_price(history, weights, price)
    for row in range(len(items)):
        item = items[row]
        out[row, base] = out[row, base] / top if top > 0 else 0.0
        out[row, base + 2] = np.floor(np.log2(1.0 + (2.0**POPULARITY_CLASSES - 1.0) * popularity[item]))
        out[row, base + 3] = (now - created[item]) / DAY_SECONDS if created[item] > 0 else -1.0
        seen, seen_in_session, was_bought, back = 0, 0, 0, UNRANKED
        in_category, in_brand = 0.0, 0.0
        there, occasions, first_moment, last_moment = 0, 0, 0.0, -1.0
        price_there, mass_there = 0.0, 0.0
        for h in range(len(history)):
            if history[h] == item:
                seen += 1
                seen_in_session += h >= session_start
                was_bought += bought[h]
                back = steps[h]  # rows are in order of time: the last one stays
            if category[item] >= 0 and category[history[h]] == category[item]:
                in_category += weights[h]
                if there == 0:
                    first_moment = moments[h]
                there += 1
                occasions += moments[h] != last_moment
                last_moment = moments[h]
                if price[history[h]] > 0:
                    price_there += weights[h] * np.log(price[history[h]])
                    mass_there += weights[h]
            if brand[item] >= 0 and brand[history[h]] == brand[item]:
                in_brand += weights[h]
        out[row, base + 4] = seen
        out[row, base + 5] = back
        out[row, base + 6] = seen_in_session > 0
        out[row, base + 7] = was_bought > 0
        out[row, base + 8] = in_category / total if total > 0 else 0.0
        out[row, base + 9] = in_brand / total if total > 0 else 0.0
        out[row, base + 10] = (
            len(history) > 0 and category[item] >= 0 and category[history[-1]] == category[item]
        )
        out[row, base + 11] = np.log(price[item] / usual) if usual > 0 and price[item] > 0 else 0.0
        out[row, base + 12] = len(history)
        out[row, base + 13] = len(history) - session_start
        out[row, base + 14] = session_repeats
        days = (now - last_moment) / DAY_SECONDS if there > 0 else UNRANKED
        out[row, base + 15] = there
        out[row, base + 16] = days
        gap = (last_moment - first_moment) / DAY_SECONDS / (occasions - 1) if occasions > 1 else 0.0
        out[row, base + 17] = days / gap if gap > 0 else -1.0
        out[row, base + 18] = (
            np.log(price[item]) - price_there / mass_there if mass_there > 0 and price[item] > 0 else 0.0
        )


@numba.njit(nogil=True, cache=True)
def _score_and_rank(out: Float64, column: int, scores: Float32) -> None:
    """The score, and beside it 1 + how many candidates have a larger one."""
    ordered = np.sort(scores)
    for row in range(len(scores)):
        out[row, column] = scores[row]
        above = len(scores) - np.searchsorted(ordered, scores[row], side="right")
        out[row, column + 1] = above + 1 if scores[row] > 0 else UNRANKED


@numba.njit(nogil=True, cache=True)
def _steps_back(history: Int32, session_start: int) -> tuple[Float64, int]:
    """(m,) how many distinct items came after each interaction with its item's last one; how many rows of the session are repeats."""
    steps = np.zeros(len(history))
    distinct, repeats = 0, 0
    for row in range(len(history) - 1, -1, -1):
        later = -1
        for other in range(row + 1, len(history)):
            if history[other] == history[row]:
                later = other
                break
        if later >= 0:
            steps[row] = steps[later]
            repeats += row >= session_start
        else:
            steps[row] = distinct
            distinct += 1
    return steps, repeats


@numba.njit(nogil=True, cache=True)
def _usual_price(history: Int32, weights: Float32, price: Float64) -> float:
    """0 where no price of what was looked at is known."""
    total, mass = 0.0, 0.0
    for row in range(len(history)):
        if price[history[row]] > 0:
            total += weights[row] * np.log(price[history[row]])
            mass += weights[row]
    return np.exp(total / mass) if mass > 0 else 0.0
