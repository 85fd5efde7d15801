"""ALS, EASE, vectors and the hybrid, against their formulas solved directly."""

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from algorithms.als import ALS
from algorithms.ease import EASE
from algorithms.interactions import recency_weighted
from algorithms.lightfm import LightFMHybrid
from algorithms.svd import ItemVectors
from algorithms.types import Query
from tests.algorithms.shops import N_ITEMS, NOW, log, sessions, shop


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


class TestALS:
    def test_folding_in_gives_the_factors_that_training_gives(self) -> None:
        data = shop()
        strategy = ALS(factors=8, threads=1).fit(data, rng())
        with threadpool_limits(limits=1, user_api="blas"):
            library = AlternatingLeastSquares(factors=8, regularization=10.0, num_threads=1, use_cg=False)
        library.item_factors = strategy.factors_
        confidence = recency_weighted(data, 0.7)
        confidence.data = 1.0 + 30.0 * confidence.data
        rows = np.flatnonzero(data.user == 4)
        rows = rows[np.argsort(data.timestamp[rows], kind="stable")]
        query = Query.of(data.item[rows], now=NOW, timestamps=data.timestamp[rows], weights=data.weight[rows])
        expected = library.recalculate_user(4, confidence[4]) @ strategy.factors_.T
        np.testing.assert_allclose(strategy.score(query), np.maximum(expected, 0.0), rtol=1e-3, atol=1e-5)

    def test_newer_interactions_are_surer(self) -> None:
        strategy = ALS(factors=8, threads=1).fit(shop(), rng())
        taste = np.repeat(np.arange(3), 9)
        scores = strategy.score(Query.of([0, 1, 9, 10], now=NOW))[:27]
        assert scores[taste == 1].mean() > scores[taste == 0].mean()


class TestEASE:
    def test_weights_are_those_of_the_closed_form(self) -> None:
        data = sessions([0, 1], [0, 1, 2], [2, 3], n_items=4)
        touched = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1]], float)
        inverse = np.linalg.inv(touched.T @ touched + 2.0 * np.eye(4))
        expected = -inverse / np.diag(inverse)
        np.fill_diagonal(expected, 0.0)
        strategy = EASE(regularization=2.0, query_decay=0.5, half_life_days=1e9).fit(data, rng())
        assert strategy.weights_ is not None
        np.testing.assert_allclose(strategy.weights_, expected, rtol=1e-5, atol=1e-6)
        wanted = np.maximum(expected[1] + 0.5 * expected[3], 0.0)
        np.testing.assert_allclose(strategy.score(Query.of([3, 1], now=NOW)), wanted, rtol=1e-5, atol=1e-6)

    def test_with_all_items_as_neighbours_the_local_form_is_a_ridge_regression(self) -> None:
        data = sessions([0, 1], [0, 1, 2], [1, 2], [0, 2], n_items=3)
        touched = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1], [1, 0, 1]], float)
        gram = touched.T @ touched
        strategy = EASE(dense_items=0, local_regularization=2.0, half_life_days=1e9).fit(data, rng())
        for j in range(3):
            others = [i for i in range(3) if i != j]
            expected = np.linalg.solve(gram[np.ix_(others, others)] + 2.0 * np.eye(2), gram[others, j])
            found = [strategy._rows.similarity_of(i, j) for i in others]
            np.testing.assert_allclose(found, expected, rtol=1e-5)

    def test_forgetting_in_the_local_form_regresses_touched_items_anew(self) -> None:
        data = sessions([0, 1], [0, 1, 2], [1, 2], [0, 2, 3], n_items=4)
        forgotten = np.array([False, True, False, False])
        without = EASE(dense_items=0).fit(data, rng()).forget_sessions(forgotten, data)
        never = EASE(dense_items=0).fit(data.without_sessions(forgotten), rng())
        for i, j in ((0, 1), (1, 0), (1, 2), (2, 1), (0, 2), (2, 0)):
            assert without._rows.similarity_of(i, j) == pytest.approx(never._rows.similarity_of(i, j))

    def test_what_cannot_be_inverted_is_said(self) -> None:
        with pytest.raises(ValueError, match="raise the regularization"):
            EASE(regularization=-9.0).fit(sessions([0, 1], n_items=2), rng())


class TestItemVectors:
    def test_items_seen_together_point_the_same_way(self) -> None:
        data = sessions(*[[0, 1, 2]] * 5, *[[3, 4, 5]] * 5, n_items=7)
        strategy = ItemVectors(factors=2, shift=1.0).fit(data, rng())
        scores = strategy.score(Query.of([0], now=NOW))
        assert scores[[1, 2]].min() > 0.9
        assert scores[[3, 4, 5]].max() < 0.1
        assert scores[6] == 0.0

    def test_a_whole_decomposition_gives_back_the_ppmi_matrix(self) -> None:
        data = sessions([0, 1], [1, 2], [0, 2], [0, 1], n_items=3)
        strategy = ItemVectors(window=1, smoothing=1.0)
        # Counted both ways: n(0,1) = 2, n(1,2) = 1, n(0,2) = 1; rows 3, 3, 2; total 8.
        expected = np.log(np.array([[1, 2 * 8 / 9, 8 / 6], [2 * 8 / 9, 1, 8 / 6], [8 / 6, 8 / 6, 1]]))
        np.testing.assert_allclose(strategy._ppmi(data).toarray(), expected, rtol=1e-5)


class TestLightFMHybrid:
    def test_a_new_product_is_found_by_its_attributes(self) -> None:
        data = shop()
        strategy = LightFMHybrid(factors=16, epochs=20).fit(data, rng())
        scores = strategy.score(Query.of([20, 22, 24], now=NOW))
        attributes = strategy.score(Query.of([20, 22, 24], now=NOW))[29]  # NEVER_SEEN, of the third taste
        assert attributes > np.median(scores[:18])

    def test_customer_features_move_scores_of_unknown_shoppers(self) -> None:
        rows = [
            (u, u % 2 + 2 * (u % 6), NOW - 100 + u, 1.0, u, -1) for u in range(60)
        ]  # even items, odd items
        data = log(rows, 60, 12, user_features=csr_matrix(np.eye(2, dtype=np.float32)[np.arange(60) % 2]))
        strategy = LightFMHybrid(factors=4, epochs=30).fit(data, rng())
        for group in range(2):
            feature = csr_matrix(np.eye(2, dtype=np.float32)[[group]])
            scores = strategy.score(Query.of([], now=NOW, user_features=feature))
            assert scores[group::2].mean() > 2 * scores[1 - group :: 2].mean()

    def test_items_that_enough_others_touched_keep_their_embeddings(self) -> None:
        data = shop()
        strategy = LightFMHybrid(factors=4, epochs=2, minimum_people=3).fit(data, rng())
        without = strategy.forget_sessions(data.session_user == 0, data)
        changed = np.flatnonzero((without.items_ != strategy.items_).any(axis=1))
        assert changed.tolist() == [27, 28]  # LONELY and COMPANION: no other person left
        assert len(without.items_) == N_ITEMS
