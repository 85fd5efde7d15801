"""Logs to train on: a generated shop of any size, and a log that is there grown to a multiple of itself.

The generated shop follows what logs of real shops have in common (`shared/ux.md` gives the figures for visits): few products are wanted by
most, visits are short and stay near to where they are, a third of the views go back to what was seen, people have tastes, and few buy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.sparse import csr_matrix, vstack

from algorithms.types import Array, Float32, Float64, Int32, Int64, TrainingData

DAY_SECONDS: Final = 86_400.0
DAYS: Final = 120.0
NOW: Final = 1_700_000_000.0
PER_CATEGORY: Final = 250
VIEWS_A_VISIT: Final = 5.4
LONGEST_VISIT: Final = 60
VISITS_A_PERSON: Final = 2.5
MOST_VISITS: Final = 200.0
GOES_BACK: Final = 0.2
"""Share of views that return to the view before the last one; walks that come back by themselves add to them."""
STAYS_NEAR: Final = 0.8
"""Share of the other views that go to a product near the last one, in the same category."""
BUYS: Final = 0.04
"""Share of visits that end with an order of what was looked at."""
LINES: Final = 3
SECONDS_A_VIEW: Final = 40.0
ORDER_WEIGHT: Final = 8.0
WORDS: Final = 30
WORDS_OF_LANGUAGE, WORDS_OF_CATEGORY = 5_000, 60
CROSSING: Final = 0.1
"""Share of views that go to another copy's product when a log is grown."""


@dataclass(frozen=True)
class _Catalogue:
    category: Int32  # (n_items,) ascending: a category's products are neighbours
    wanted: Float64  # (n_items,) how much: log-normal, so that a tenth draws six of ten choices
    cumulated: Float64  # (n_items,) running sum of `wanted`, ends at 1
    n_categories: int


def generated_log(n_items: int, n_events: int, seed: int = 0) -> TrainingData:
    """`n_items` products with categories, attributes and texts, and `n_events` views and order lines, up to the end of a visit.

    Sessions are numbered by person, then time, as those of a store's log are. The same arguments give the same log.
    """
    rng = np.random.default_rng(seed)
    catalogue = _catalogue(n_items, rng)
    lengths = _lengths(n_events, rng)
    person, started = _people(len(lengths), rng)
    views = _views(catalogue, lengths, person, rng)
    data = _rows(views, lengths, person, started, n_items, n_events, rng)
    features = _features(catalogue, n_items, rng)
    created = NOW - DAY_SECONDS * rng.uniform(0.0, 900.0, n_items)
    return replace(
        data,
        item_features=features,
        item_texts=_texts(catalogue.category, rng),
        item_category=catalogue.category,
        item_created=created,
    )


def _catalogue(n_items: int, rng: np.random.Generator) -> _Catalogue:
    n_categories = max(1, n_items // PER_CATEGORY)
    category = np.sort(rng.integers(n_categories, size=n_items)).astype(np.int32)
    wanted = rng.lognormal(0.0, 1.5, n_items)
    return _Catalogue(category, wanted, np.cumsum(wanted) / wanted.sum(), n_categories)


def _lengths(n_events: int, rng: np.random.Generator) -> Int64:
    """Views of each visit: enough visits for `n_events`."""
    n = int(n_events / VIEWS_A_VISIT * 1.1) + 10
    return np.minimum(rng.geometric(1.0 / VIEWS_A_VISIT, n), LONGEST_VISIT).astype(np.int64)


def _people(n_visits: int, rng: np.random.Generator) -> tuple[Int32, Float64]:
    """Whose each visit is and when it began, sorted by both: some come often, most once."""
    n_people = max(1, int(n_visits / VISITS_A_PERSON))
    activity = np.minimum(rng.pareto(1.5, n_people) + 0.3, MOST_VISITS / VISITS_A_PERSON)
    drawn = np.searchsorted(np.cumsum(activity) / activity.sum(), rng.random(n_visits))
    person = np.unique(np.minimum(drawn, n_people - 1), return_inverse=True)[1].astype(np.int32)
    started = NOW - DAY_SECONDS * DAYS * rng.random(n_visits)
    order = np.lexsort((started, person))
    return person[order], started[order]


def _views(catalogue: _Catalogue, lengths: Int64, person: Int32, rng: np.random.Generator) -> Int32:
    """(n_visits, LONGEST_VISIT) products, place by place; what is past the end of a visit means nothing.

    A person's tastes are three products that they come back to the surroundings of; one visit in four begins elsewhere.
    """
    n = len(lengths)
    tastes = np.searchsorted(catalogue.cumulated, rng.random((int(person.max()) + 1, 3)))
    views = np.zeros((n, LONGEST_VISIT), np.int32)
    by_taste = rng.random(n) < 0.75
    favourite = tastes[person, rng.integers(3, size=n)]
    views[:, 0] = np.where(by_taste, favourite, _wanted(catalogue, n, rng))
    bounds = np.searchsorted(catalogue.category, np.arange(catalogue.n_categories + 1))
    for place in range(1, int(lengths.max())):
        going = np.flatnonzero(lengths > place)
        near = _near(catalogue, bounds, views[going, place - 1], rng)
        anew = np.where(rng.random(len(going)) < STAYS_NEAR, near, _wanted(catalogue, len(going), rng))
        back = (rng.random(len(going)) < GOES_BACK) & (place > 1)
        views[going, place] = np.where(back, views[going, max(place - 2, 0)], anew)
    return views


def _near(catalogue: _Catalogue, bounds: Int64, last: Int32, rng: np.random.Generator) -> Int64:
    """Of three products a few places away in the category of `last` the one that is wanted most."""
    category = catalogue.category[last]
    first, size = bounds[category], bounds[category + 1] - bounds[category]
    steps = rng.integers(-4, 9, (3, len(last)))
    offered = first + (last - first + steps) % size
    best = catalogue.wanted[offered].argmax(axis=0)
    return np.asarray(offered[best, np.arange(len(last))], np.int64)


def _wanted(catalogue: _Catalogue, n: int, rng: np.random.Generator) -> Int64:
    drawn = np.searchsorted(catalogue.cumulated, rng.random(n))
    return np.minimum(drawn, len(catalogue.cumulated) - 1).astype(np.int64)


def _rows(
    views: Int32, lengths: Int64, person: Int32, started: Float64, n_items: int, n_events: int, rng: np.random.Generator
) -> TrainingData:  # fmt: skip
    """Views, then the lines of the order of those visits that end with one: the first products that were looked at."""
    visits = np.arange(len(lengths))
    bought = np.where(rng.random(len(lengths)) < BUYS, np.minimum(lengths, LINES), 0)
    last = int(np.searchsorted(np.cumsum(lengths + bought), n_events)) + 1
    visits, lengths, bought = visits[:last], lengths[:last], bought[:last]
    viewed, ordered = _places(lengths), _places(bought)
    session = np.concatenate([np.repeat(visits, lengths), np.repeat(visits, bought)])
    place = np.concatenate([viewed, ordered])
    is_order = np.repeat([False, True], [len(viewed), len(ordered)])
    timestamp = started[session] + SECONDS_A_VIEW * np.where(is_order, lengths[session], place)
    order = np.lexsort((place, is_order, session))
    return TrainingData(
        user=person[session[order]],
        item=views[session[order], place[order]],
        timestamp=timestamp[order],
        weight=np.where(is_order[order], ORDER_WEIGHT, 1.0).astype(np.float32),
        session=session[order].astype(np.int32),
        basket=np.where(is_order[order], session[order], -1).astype(np.int32),
        n_users=int(person[:last].max()) + 1,
        n_items=n_items,
        now=NOW + DAY_SECONDS,
    )


def _places(counts: Int64) -> Int64:
    """0, 1, 2 … for each of `counts`, one after the other."""
    starts = np.cumsum(counts) - counts
    return np.arange(int(counts.sum())) - np.repeat(starts, counts)


def _features(catalogue: _Catalogue, n_items: int, rng: np.random.Generator) -> csr_matrix:
    """One-hots of category, brand, price band, colour and size: five a product."""
    n_brands = max(10, n_items // 100)
    kinds: list[tuple[Array, int]] = [
        (catalogue.category, catalogue.n_categories),
        ((rng.zipf(1.3, n_items) - 1) % n_brands, n_brands),
        *((rng.integers(size, size=n_items), size) for size in (5, 12, 7)),
    ]
    columns, width = [], 0
    for values, size in kinds:
        columns.append(values + width)
        width += size
    indices = np.stack(columns, axis=1).astype(np.int32)
    offsets = np.arange(n_items + 1) * indices.shape[1]
    ones: Float32 = np.ones(indices.size, np.float32)
    return csr_matrix((ones, indices.ravel(), offsets), shape=(n_items, width))


def _texts(category: Int32, rng: np.random.Generator) -> list[str]:
    """`WORDS` words each, half of the language, as often as words are (Zipf), half of the category's own."""
    common = (rng.zipf(1.3, (len(category), WORDS // 2)) - 1) % WORDS_OF_LANGUAGE
    own = rng.integers(WORDS_OF_CATEGORY, size=(len(category), WORDS - WORDS // 2))
    return [
        " ".join([*(f"w{word}" for word in general), *(f"c{kind}x{word}" for word in special)])
        for kind, general, special in zip(category.tolist(), common.tolist(), own.tolist(), strict=True)
    ]


def grown_log(data: TrainingData, factor: int, seed: int = 0) -> TrainingData:
    """The log `factor` times: each copy has shoppers, sessions, orders and products of its own, but one view in ten goes to the
    product of a copy drawn at random, and product numbers are shuffled. So shoppers, catalogue and events grow alike, and a
    product's audience stays what it was. 1 gives `data` itself.
    """
    if factor == 1:
        return data
    rng = np.random.default_rng([seed, factor])
    n = len(data)
    copy = np.repeat(np.arange(factor), n)
    catalogue_of = np.where(rng.random(n * factor) < CROSSING, rng.integers(factor, size=n * factor), copy)
    numbers = rng.permutation(data.n_items * factor).astype(np.int32)
    item = numbers[np.tile(data.item, factor) + catalogue_of * data.n_items]
    basket = np.tile(data.basket, factor)
    n_baskets = int(data.basket.max(initial=-1)) + 1
    old = np.argsort(numbers) % max(data.n_items, 1)
    return replace(
        data,
        user=(np.tile(data.user, factor) + copy * data.n_users).astype(np.int32),
        item=item,
        timestamp=np.tile(data.timestamp, factor),
        weight=np.tile(data.weight, factor),
        session=(np.tile(data.session, factor) + copy * data.n_sessions).astype(np.int32),
        basket=np.where(basket < 0, -1, basket + copy * n_baskets).astype(np.int32),
        n_users=data.n_users * factor,
        n_items=data.n_items * factor,
        item_features=None if data.item_features is None else data.item_features[old],
        user_features=None if data.user_features is None else vstack([data.user_features] * factor).tocsr(),
        item_texts=None if data.item_texts is None else [data.item_texts[n] for n in old.tolist()],
        item_category=_of_items(data.item_category, old),
        item_created=_of_items(data.item_created, old),
    )


def _of_items(values: Array | None, old: Int64) -> Array | None:
    return None if values is None else values[old]
