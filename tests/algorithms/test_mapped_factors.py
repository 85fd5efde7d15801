"""Contents mapped to factors: the regression is the one that is written down, and new items are scored by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from algorithms.mapped_factors import MappedFactors, ridge
from algorithms.new_items import NewItems
from algorithms.types import Query, TrainingData
from tests.algorithms.shops import NOW, sessions

RNG = np.random.default_rng


def test_a_regression_by_hand() -> None:
    # One column x = (1, 2), targets (3, 5), weights (1, 2), ridge 1: (1·3 + 2·2·5) / (1 + 2·4 + 1) = 23 / 10.
    found = ridge(csr_matrix([[1.0], [2.0]]), np.array([[3.0], [5.0]]), np.array([1.0, 2.0]), 1.0)
    assert found.tolist() == [[pytest.approx(2.3)]]


def test_conjugate_gradients_find_what_the_normal_equations_say() -> None:
    rng = RNG(0)
    rows, targets, weight = rng.random((40, 8)), rng.random((40, 3)), rng.random(40) + 0.5
    expected = np.linalg.solve(
        rows.T @ (weight[:, None] * rows) + np.eye(8), rows.T @ (weight[:, None] * targets)
    )
    np.testing.assert_allclose(ridge(csr_matrix(rows), targets, weight, 1.0), expected, rtol=0.02, atol=0.005)


@pytest.fixture(scope="module")
def shop() -> TrainingData:
    """Two kinds of five things; each visit keeps to one kind. Items 4 and 9 are new: nobody has touched them."""
    rng = RNG(1)
    visits = [rng.permutation(4) + 5 * (visit % 2) for visit in range(60)]
    texts = [f"{'red' if item < 5 else 'blue'} thing" for item in range(10)]
    created = np.where(np.isin(np.arange(10), (4, 9)), NOW - 1.0, 0.0)
    data = sessions(*(visit.tolist() for visit in visits), n_items=10)
    return replace(data, item_texts=texts, item_created=created)


MAPPED = {"content_weight": 0.0, "carried_weight": 0.0, "demand_weight": 0.0, "mapped_weight": 1.0}


def test_a_new_item_is_liked_by_those_who_like_its_kind(shop: TrainingData) -> None:
    fitted = NewItems(**MAPPED).fit(shop, RNG(0))
    red, blue = (fitted.score(Query.of(items, now=shop.now)) for items in ([0, 1], [5, 6]))
    assert red[4] == pytest.approx(1.0)
    assert red[9] < 0.5
    assert blue[9] == pytest.approx(1.0)
    assert blue[4] < 0.5
    assert not fitted.score(Query.empty(shop.now)).any()


def test_it_is_what_was_saved(shop: TrainingData) -> None:
    fitted = NewItems(**MAPPED).fit(shop, RNG(0))
    again = NewItems.from_arrays(fitted.arrays(), fitted.parameters())
    query = Query.of([0, 6], now=shop.now)
    np.testing.assert_array_equal(again.score(query), fitted.score(query))
    assert again.parameters() == fitted.parameters()


def test_factors_wait_for_a_full_training_and_are_learned_only_where_they_count(shop: TrainingData) -> None:
    assert not NewItems(**MAPPED).fit(shop, RNG(0)).can_append
    plain = NewItems().fit(shop, RNG(0))
    assert plain.can_append
    assert plain.mapped_ is None


def test_forgetting_makes_the_regression_anew(shop: TrainingData) -> None:
    fitted = NewItems(**MAPPED).fit(shop, RNG(0))
    forgotten = np.arange(shop.n_sessions) < 20
    renewed = fitted.forget_sessions(forgotten, shop)
    assert isinstance(fitted.mapped_, MappedFactors)
    assert isinstance(renewed.mapped_, MappedFactors)
    assert not np.array_equal(renewed.mapped_.mapping, fitted.mapped_.mapping)
    remaining = shop.without_sessions(forgotten)
    contents = fitted.content_.vectors_
    expected = MappedFactors._of(fitted.mapped_.als.forget_sessions(forgotten, shop), remaining, contents)
    np.testing.assert_array_equal(renewed.mapped_.mapping, expected.mapping)
