"""One query, answered by kernels that touch little, against plain arithmetic over everything."""

from dataclasses import replace

import numpy as np
import pytest

import algorithms
from algorithms import scratch
from algorithms.session_knn import SessionKNN
from algorithms.types import Query, Strategy, TrainingData
from tests.algorithms.shops import NOW, log

N_ITEMS, N_USERS, N_SESSIONS = 60, 90, 700
SEED = 5


def busy_shop() -> TrainingData:
    """Visits of one to six views, some products wanted far more than others; every third ends with an order."""
    rng = np.random.default_rng(SEED)
    rows = []
    for session in range(N_SESSIONS):
        user, start = session % N_USERS, NOW - 3600.0 * (N_SESSIONS - session)
        views = np.minimum(rng.zipf(1.4, rng.integers(1, 7)) - 1, N_ITEMS - 1) + 0
        rows += [(user, int(item), start + 60 * n, 1.0, session, -1) for n, item in enumerate(views)]
        if session % 3 == 0:
            rows += [(user, int(item), start + 900, 8.0, session, session) for item in np.unique(views)[:3]]
    return log(rows, N_USERS, N_ITEMS, item_category=(np.arange(N_ITEMS) // 10).astype(np.int32))


def random_queries() -> list[Query]:
    rng = np.random.default_rng(SEED + 1)
    queries = [Query.empty(NOW), Query.of([N_ITEMS + 3, 2 * N_ITEMS], now=NOW)]
    for number in range(60):
        m = int(rng.integers(1, 25))
        items = np.minimum(rng.zipf(1.3, m) - 1, N_ITEMS + 4).astype(np.int32)  # some twice, some unknown
        moments = NOW - np.sort(rng.random(m) * 90 * 86_400)[::-1]
        page = int(rng.integers(N_ITEMS)) if number % 3 == 0 else None
        cart = rng.integers(0, N_ITEMS, number % 4).astype(np.int32)
        bought = rng.random(m) < 0.2
        weights = rng.integers(1, 9, m).astype(np.float32)
        queries.append(
            Query.of(
                items,
                now=NOW,
                timestamps=moments,
                purchased=bought,
                weights=weights,
                context_item=page,
                cart=cart,
                session_start=max(0, m - 4),
            )
        )
    return queries


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return busy_shop()


SPARSE = (
    "session_knn", "user_knn", "item_knn", "viewed_next", "bought_together", "popular_in_category", "recently_viewed", "reminder",
    "repurchase",
)  # fmt: skip


@pytest.fixture(scope="module")
def fitted(data: TrainingData) -> dict[str, Strategy]:
    names = (*SPARSE, "ease", "als", "item_vectors")
    parameters = {"ease": {"dense_items": 10}, "als": {"factors": 8}, "item_vectors": {"factors": 12}}
    return {
        name: algorithms.STRATEGIES[name](**parameters.get(name, {})).fit(data, np.random.default_rng(0))
        for name in names
    }


@pytest.mark.parametrize("name", [*SPARSE, "ease"])
def test_an_opinion_is_the_row_without_its_zeros(fitted: dict[str, Strategy], name: str) -> None:
    said = 0
    for query in random_queries():
        opinion = fitted[name].opinion(query)
        assert opinion is not None
        items, scores = opinion
        assert len(np.unique(items)) == len(items) == len(scores)
        assert (scores > 0).all()
        row = fitted[name].score(query)
        np.testing.assert_array_equal(np.sort(items), np.flatnonzero(row))
        np.testing.assert_array_equal(row[items], scores)
        said += len(items)
    assert said > 0


def test_kernels_leave_their_scratch_as_they_found_it(fitted: dict[str, Strategy]) -> None:
    shown = np.arange(0, N_ITEMS, 7, dtype=np.int32)
    for query in random_queries():
        for strategy in fitted.values():
            strategy.opinion(query)
            strategy.score_items(query, shown)
            strategy.triggers(query, shown)
            for use in ("sums", "marks"):
                assert not scratch.zeros(N_SESSIONS, use).any(), strategy.name


def test_triggers_of_a_shelf_are_those_of_its_products(fitted: dict[str, Strategy]) -> None:
    shown = np.array([0, 1, 2, 5, 17, 44, 59], np.int32)
    found = 0
    for query in random_queries():
        for strategy in fitted.values():
            together = strategy.triggers(query, shown)
            alone = [strategy.trigger(replace(query), item) for item in shown.tolist()]
            assert [one and one.item for one in together] == [one and one.item for one in alone]
            found += sum(one is not None for one in together)
            for one, item in zip(together, shown.tolist(), strict=True):
                assert one is None or (one.item != item and 0.0 < one.share <= 1.0) or strategy.name in SELF
    assert found > 100


SELF = frozenset({"recently_viewed", "reminder", "repurchase"})
"""Whose products are their own reasons."""


@pytest.mark.parametrize("neighbours", [5, 40, 10_000])
@pytest.mark.parametrize("newest_sequences", [30, 5000])
def test_neighbours_are_the_same_where_postings_are_not_read_to_the_end(
    data: TrainingData, neighbours: int, newest_sequences: int
) -> None:
    strategy = SessionKNN(neighbours=neighbours, newest_sequences=newest_sequences).fit(
        data, np.random.default_rng(0)
    )
    for query in random_queries():
        np.testing.assert_allclose(
            strategy.score(query), plain_session_knn(strategy, query), rtol=2e-5, atol=1e-7
        )


def plain_session_knn(strategy: SessionKNN, query: Query) -> np.ndarray:
    """The formula at the head of `algorithms/session_knn.py`, sequence by sequence."""
    settings, index = strategy.settings, strategy.index_
    items, importance = strategy._query_items(query)
    scores = np.zeros(N_ITEMS)
    similarity: dict[
        int, np.float32
    ] = {}  # in the order in which sequences are met, which decides between equals
    for item, worth in zip(items.tolist(), importance, strict=True):
        start = index.posting_offsets[item]
        end = min(index.posting_offsets[item + 1], start + settings.newest_sequences)
        for s in index.postings[start:end].tolist():
            similarity[s] = np.float32(similarity.get(s, np.float32(0)) + worth)
    shortened = {
        s: np.float32(total * np.float32(len(_views(index, s)) ** -settings.length_power))
        for s, total in similarity.items()
    }
    nearest = sorted(shortened, key=lambda s: -shortened[s])[: settings.neighbours]
    for s in nearest:
        views = _views(index, s)
        pivot = next(len(views) - 1 - views[::-1].index(item) for item in items.tolist() if item in views)
        for place, item in enumerate(views):
            gap = place - pivot
            if gap > 0:
                scores[item] += shortened[s] * settings.neighbour_decay ** (gap - 1)
            elif gap < 0:
                scores[item] += shortened[s] * settings.lookback * settings.neighbour_decay ** (-gap - 1)
    return scores * np.maximum(index.document_frequency(), 1.0) ** -settings.popularity_power


def _views(index, s: int) -> list[int]:
    return index.items[index.offsets[s] : index.offsets[s + 1]].tolist()
