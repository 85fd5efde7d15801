"""What every strategy must do. A test class subclasses `StrategyContract` and says which strategy it is about."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from algorithms.erasure import forget
from algorithms.types import Query, Strategy, TrainingData
from tests.algorithms.shops import COMPANION, LONELY, N_ITEMS, NOW, SECRET_USER, empty_shop, part, shop


def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def saved_and_mapped(strategy: Strategy, folder: Path) -> Strategy:
    for name, array in strategy.arrays().items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in strategy.arrays()}
    return type(strategy).from_arrays(arrays, json.loads(json.dumps(strategy.parameters())))


def queries() -> list[Query]:
    bought = Query.of([1, 4, 4, 12], now=NOW, purchased=np.array([False, True, True, True]), session_start=2)
    return [
        Query.of([3], now=NOW),
        bought,
        Query.of([2, 5], now=NOW, context_item=7, cart=np.array([1, 3], np.int32)),
        Query.of([11], now=NOW, category=1),
        Query.empty(NOW),
        Query.of([20, 19, 20, 22], now=NOW),
    ]


class StrategyContract:
    strategy: ClassVar[type[Strategy]]
    parameters: ClassVar[dict[str, object]] = {}
    pairs_are_learned: ClassVar[bool] = True  # one product makes it score another because people had both
    learns_nothing_from_sessions: ClassVar[bool] = False
    neighbours_are_people: ClassVar[bool] = False  # their histories are kept, without names, as sessions are
    forgets_exactly: ClassVar[bool] = False  # as if the forgotten had never been there
    speaks_without_history: ClassVar[bool] = False

    @classmethod
    def make(cls) -> Strategy:
        return cls.strategy(**cls.parameters)

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls) -> TrainingData:
        return shop()

    @pytest.fixture(scope="class")
    @classmethod
    def fitted(cls, data: TrainingData) -> Strategy:
        return cls.make().fit(data, rng())

    def test_scores_every_item_with_a_finite_number_from_0(self, fitted: Strategy) -> None:
        for query in queries():
            scores = fitted.score(query)
            assert scores.shape == (N_ITEMS,)
            assert scores.dtype == np.float32
            assert np.isfinite(scores).all()
            assert (scores >= 0).all()
        assert any(fitted.score(query).any() for query in queries())

    def test_knows_how_many_items_it_scores(self, fitted: Strategy) -> None:
        assert fitted.n_items == N_ITEMS

    def test_scores_some_items_as_it_scores_all(self, fitted: Strategy) -> None:
        some = np.array([0, 3, 5, 12, 20], np.int32)
        for query in queries():
            all_scores = fitted.score(query)
            np.testing.assert_allclose(
                fitted.score_items(query, some), all_scores[some], rtol=1e-4, atol=1e-5
            )

    def test_its_likely_items_hold_the_best(self, fitted: Strategy) -> None:
        for query in queries():
            likely, scores = fitted.likely_items(query), fitted.score(query)
            if likely is not None and scores.any():
                assert scores[likely].max() == scores.max()

    def test_a_batch_scores_as_one_by_one(self, fitted: Strategy) -> None:
        batch = fitted.score_many(queries())
        assert batch.shape == (len(queries()), N_ITEMS)
        single = np.stack([fitted.score(query) for query in queries()])
        np.testing.assert_allclose(batch, single, rtol=1e-5, atol=1e-6)
        assert fitted.score_many([]).shape == (0, N_ITEMS)

    def test_of_nobody_it_says_what_it_can(self, fitted: Strategy) -> None:
        assert fitted.score(Query.empty(NOW)).any() == self.speaks_without_history
        assert fitted.trigger(Query.empty(NOW), 3) is None

    def test_scoring_changes_nothing(self, fitted: Strategy) -> None:
        before = fitted.score(queries()[1])
        kept = before.copy()
        before[:] = 99.0
        np.testing.assert_array_equal(fitted.score(queries()[1]), kept)

    def test_items_it_does_not_know_are_ignored(self, fitted: Strategy) -> None:
        stranger = Query.of(
            [N_ITEMS, 3, N_ITEMS + 5], now=NOW, timestamps=np.array([NOW - 9, NOW - 8, NOW - 7])
        )
        known = Query.of([3], now=NOW, timestamps=np.array([NOW - 8]))
        np.testing.assert_array_equal(fitted.score(stranger), fitted.score(known))
        page = Query.of([], now=NOW, context_item=N_ITEMS, cart=np.array([N_ITEMS + 1], np.int32))
        np.testing.assert_array_equal(fitted.score(page), fitted.score(Query.empty(NOW)))

    def test_the_same_seed_gives_the_same_arrays(self, fitted: Strategy, data: TrainingData) -> None:
        again = self.make().fit(data, rng()).arrays()
        assert again.keys() == fitted.arrays().keys()
        for name, array in fitted.arrays().items():
            np.testing.assert_array_equal(array, again[name], err_msg=name)

    def test_saved_and_memory_mapped_it_scores_the_same(self, fitted: Strategy, tmp_path: Path) -> None:
        mapped = saved_and_mapped(fitted, tmp_path)
        np.testing.assert_array_equal(mapped.score_many(queries()), fitted.score_many(queries()))
        assert mapped.parameters() == fitted.parameters()
        for query in queries():
            for item in (2, 5, 19):
                assert mapped.trigger(query, item) == fitted.trigger(query, item)

    def test_saves_nothing_by_user(self, fitted: Strategy, data: TrainingData) -> None:
        by_user = {name for name, array in fitted.arrays().items() if data.n_users in array.shape}
        assert bool(by_user) == self.neighbours_are_people, by_user

    def test_names_an_item_of_the_query_as_the_trigger(self, fitted: Strategy) -> None:
        for query in queries():
            known = {*query.items.tolist(), *query.cart.tolist(), query.context_item}
            for item in np.flatnonzero(fitted.score(query)).tolist():
                if trigger := fitted.trigger(query, item):
                    assert trigger.item in known
                    assert 0.0 < trigger.share <= 1.0

    def test_many_threads_score_as_one(self, fitted: Strategy) -> None:
        expected = fitted.score_many(queries())
        with ThreadPoolExecutor(4) as pool:
            for scores in pool.map(lambda _: fitted.score_many(queries()), range(16)):
                np.testing.assert_array_equal(scores, expected)

    def test_a_shop_without_events_trains(self) -> None:
        fitted = self.make().fit(empty_shop(5), rng())
        for query in (Query.empty(NOW), Query.of([1, 2], now=NOW)):
            assert fitted.score(query).shape == (5,)
            assert np.isfinite(fitted.score(query)).all()

    def test_a_pair_known_from_one_person_vanishes_with_them(
        self, fitted: Strategy, data: TrainingData
    ) -> None:
        query = Query.of([LONELY], now=NOW, purchased=np.array([True]))
        if self.learns_nothing_from_sessions:
            unchanged = forget(fitted, data.session_user == SECRET_USER, data)
            np.testing.assert_array_equal(unchanged.score(query), fitted.score(query))
            return
        if self.pairs_are_learned:
            assert fitted.score(query)[COMPANION] > 0
        without = forget(fitted, data.session_user == SECRET_USER, data)
        by_chance = without.score(Query.empty(NOW))[COMPANION]
        assert without.score(query)[COMPANION] <= by_chance
        assert without.n_items == N_ITEMS

    def test_forgetting_leaves_the_trained_object_as_it_was(
        self, fitted: Strategy, data: TrainingData
    ) -> None:
        before = {name: array.copy() for name, array in fitted.arrays().items()}
        forget(fitted, data.session_user == SECRET_USER, data)
        for name, array in fitted.arrays().items():
            np.testing.assert_array_equal(array, before[name])

    def test_forgetting_nobody_changes_no_score(self, fitted: Strategy, data: TrainingData) -> None:
        same = forget(fitted, np.zeros(data.n_sessions, np.bool_), data)
        np.testing.assert_array_equal(same.score_many(queries()), fitted.score_many(queries()))

    def test_forgets_from_memory_maps(self, fitted: Strategy, data: TrainingData, tmp_path: Path) -> None:
        forgotten = data.session_user == SECRET_USER
        from_map = forget(saved_and_mapped(fitted, tmp_path), forgotten, data)
        from_memory = forget(fitted, forgotten, data)
        np.testing.assert_allclose(
            from_map.score_many(queries()), from_memory.score_many(queries()), rtol=1e-4, atol=1e-6
        )

    def test_forgets_as_if_never_seen_where_it_says_so(self, fitted: Strategy, data: TrainingData) -> None:
        if not self.forgets_exactly:
            pytest.skip("this strategy re-derives what is affected: see algorithms/erasure.py")
        forgotten = np.isin(data.session_user, [SECRET_USER, 5, 6])
        without = forget(fitted, forgotten, data)
        never = self.make().fit(data.without_sessions(forgotten), rng())
        np.testing.assert_allclose(
            without.score_many(queries()), never.score_many(queries()), rtol=2e-4, atol=1e-5
        )

    def test_an_appended_session_counts_as_a_trained_one(self, data: TrainingData) -> None:
        half = data.n_sessions // 2
        begun = self.make().fit(part(data, 0, half), rng())
        later = part(data, half, data.n_sessions)
        if not begun.can_append:
            with pytest.raises(NotImplementedError, match="full training"):
                begun.append_sessions(later)
            return
        before = begun.score_many(queries())
        whole = self.make().fit(data, rng())
        np.testing.assert_allclose(
            begun.append_sessions(later).score_many(queries()), whole.score_many(queries()), rtol=1e-4
        )
        np.testing.assert_array_equal(begun.score_many(queries()), before)
