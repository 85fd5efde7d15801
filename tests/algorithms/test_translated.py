"""A strategy asked in another numbering: what it knows it scores as ever, what it never met it has no opinion of."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from algorithms.evaluation import TestCase, evaluate
from algorithms.session_knn import SessionKNN
from algorithms.translated import Numbering, Translated
from algorithms.types import Query
from tests.algorithms.shops import NOW, shop


def test_items_are_found_by_name() -> None:
    numbering = Numbering.between(["new", "b", "a"], ["a", "b"])
    assert numbering.items.tolist() == [-1, 1, 0]
    asked = Query.of([0, 1, 2, 7], now=NOW, session_start=2, context_item=0, cart=np.array([2, 0], np.int32))
    query = numbering.query(asked)
    # What it never met is left out: also in the count of what came before the open session.
    assert query.items.tolist() == [1, 0]
    assert query.session_start == 1
    assert query.timestamps.tolist() == asked.timestamps[[1, 2]].tolist()
    assert (query.context_item, query.cart.tolist()) == (None, [0])
    assert numbering.query(Query.of([], now=NOW, context_item=2)).context_item == 0


def test_user_features_move_to_the_columns_that_were_learned() -> None:
    numbering = Numbering.between(["a"], ["a"], ["age:1", "age:2", "country:DE"], ["country:DE", "age:1"])
    features = csr_matrix(np.array([[1.0, 1.0, 1.0]], np.float32))
    asked = Query.of([], now=NOW, user_features=features)
    moved = numbering.query(asked).user_features
    assert moved is not None
    assert moved.toarray().tolist() == [[1.0, 1.0]]
    assert Numbering.between(["a"], ["a"]).query(asked).user_features is None


def test_scores_are_those_of_the_strategy_and_nothing_for_the_unknown() -> None:
    data = shop()
    rng = np.random.default_rng(0)
    inner = SessionKNN().fit(data, rng)
    order = rng.permutation(data.n_items)
    # The first number is of a product that it never met, the others are its own in another order.
    numbering = Numbering(np.concatenate([[-1], order]).astype(np.int32))
    translated = Translated(inner, numbering)
    items = data.item[:3]
    places = np.array([1 + int(np.flatnonzero(order == item)[0]) for item in items], np.int32)
    scores = translated.score(Query.of(places, now=data.now))
    assert scores[0] == 0.0
    assert scores.any()
    np.testing.assert_array_equal(scores[1:], inner.score(Query.of(items, now=data.now))[order])
    assert translated.n_items == data.n_items + 1


def test_a_choice_that_the_strategy_does_not_know_is_missed() -> None:
    data = shop()
    inner = SessionKNN().fit(data, np.random.default_rng(0))
    numbering = Numbering(np.concatenate([np.arange(data.n_items), [-1]]).astype(np.int32))
    case = TestCase(Query.of(data.item[:2], now=data.now), np.array([data.n_items], np.int32))
    figures = evaluate({"live": Translated(inner, numbering)}, [case])["live"]
    assert figures["unseen"].mean("ndcg@10") == 0.0


def test_it_is_neither_fitted_nor_saved() -> None:
    translated = Translated(SessionKNN(), Numbering(np.array([0], np.int32)))
    with pytest.raises(TypeError, match="fit the strategy itself"):
        translated.fit(shop(), np.random.default_rng(0))
    with pytest.raises(TypeError, match="save the strategy itself"):
        Translated.from_arrays({}, {})
