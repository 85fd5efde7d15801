"""Session neighbours, co-occurrence and item neighbours, worked by hand."""

import numpy as np
import pytest

from algorithms.basket_cooccurrence import BasketCooccurrence
from algorithms.item_knn import ItemKNN
from algorithms.sequential_cooccurrence import SequentialCooccurrence
from algorithms.session_knn import SessionKNN
from algorithms.types import Query, Trigger
from algorithms.user_knn import UserKNN
from tests.algorithms.shops import NOW, baskets, log, sessions

RNG = np.random.default_rng(0)
PLAIN = {"idf_power": 0.0, "length_power": 0.0, "popularity_power": 0.0}


def ask(*items: int, **known: object) -> Query:
    return Query.of(items, now=NOW, **known)


class TestSessionKNN:
    def test_votes_fall_with_the_distance_from_the_newest_shared_item(self) -> None:
        data = sessions([0, 1, 2, 3], n_items=4)
        knn = SessionKNN(query_decay=0.5, neighbour_decay=0.8, lookback=0.4, **PLAIN).fit(data, RNG)
        # One neighbour of similarity 1, pivot 1: item 2 is one place after it, 3 two; item 0 one before.
        np.testing.assert_allclose(knn.score(ask(1)), [0.4, 0.0, 1.0, 0.8], rtol=1e-6)

    def test_older_items_of_the_query_weigh_less(self) -> None:
        data = sessions([0, 2], [1, 3], n_items=4)
        knn = SessionKNN(query_decay=0.5, **PLAIN).fit(data, RNG)
        # Newest is 1 (weight 1), before it 0 (weight 0.5): their sessions are one neighbour each.
        np.testing.assert_allclose(knn.score(ask(0, 1))[[2, 3]], [0.5, 1.0], rtol=1e-6)

    def test_rare_items_make_closer_neighbours(self) -> None:
        data = sessions([0, 2], [0, 4], [0, 5], [1, 3], n_items=6)
        knn = SessionKNN(
            query_decay=1.0, idf_power=1.0, length_power=0.0, popularity_power=0.0, lookback=0.0
        ).fit(data, RNG)
        # log(1 + 4/3) for item 0, which three of four sessions have; log(1 + 4) for item 1.
        expected = [np.log(1 + 4 / 3), np.log(5)]
        np.testing.assert_allclose(knn.score(ask(0, 1))[[2, 3]], expected, rtol=1e-6)

    def test_long_sessions_and_popular_items_are_damped(self) -> None:
        data = sessions([0, 1, 2, 3], n_items=4)
        knn = SessionKNN(idf_power=0.0, length_power=0.5, popularity_power=0.5, neighbour_decay=1.0).fit(
            sessions([0, 1, 2, 3], [1, 3], n_items=4), RNG
        )
        # Session of 4 items: 4^-0.5. Item 3 stands in 2 sessions: 2^-0.5.
        np.testing.assert_allclose(knn.score(ask(0))[[2, 3]], [0.5, 0.5 / np.sqrt(2)], rtol=1e-6)
        assert len(data) == 4

    def test_only_the_most_similar_sessions_vote(self) -> None:
        data = sessions([0, 1, 4], [1, 3], [0, 2], n_items=5)
        one = SessionKNN(neighbours=1, query_decay=0.5, **PLAIN).fit(data, RNG)
        assert np.flatnonzero(one.score(ask(0, 1))).tolist() == [0, 4]  # 1 + 0.5 beats 1 and 0.5

    def test_of_equally_similar_sessions_the_newest_votes(self) -> None:
        data = sessions([0, 1], [0, 2], [0, 3], n_items=4)
        one = SessionKNN(neighbours=1, **PLAIN).fit(data, RNG)
        assert np.flatnonzero(one.score(ask(0))).tolist() == [3]

    def test_only_the_newest_sessions_of_an_item_are_looked_at(self) -> None:
        data = sessions([0, 1], [0, 2], [0, 3], n_items=4)
        two = SessionKNN(newest_sequences=2, **PLAIN).fit(data, RNG)
        assert np.flatnonzero(two.score(ask(0))).tolist() == [2, 3]

    def test_the_trigger_carries_most_of_the_neighbours_similarity(self) -> None:
        data = sessions([0, 1, 2], [1, 2], n_items=3)
        knn = SessionKNN(query_decay=0.5, **PLAIN).fit(data, RNG)
        # Newest 1: weight 1 in both sessions; 0 before it: 0.5 in one. Shares 2 : 0.5.
        assert knn.trigger(ask(0, 1), 2) == Trigger(1, pytest.approx(0.8))


class TestSequentialCooccurrence:
    def test_counts_fall_with_the_gap(self) -> None:
        data = sessions([0, 1, 2], n_items=3)
        strategy = SequentialCooccurrence(window=5, back=0.5, source_power=0.0, popularity_power=0.0)
        scores = strategy.fit(data, RNG).score(ask(1))
        np.testing.assert_allclose(scores, [0.5, 0.0, 1.0])  # one place back: back/1; one place on: 1/1
        np.testing.assert_allclose(strategy.score(ask(0)), [0.0, 1.0, 0.5])  # 1/1 and 1/2

    def test_the_window_ends(self) -> None:
        data = sessions([0, 1, 2], n_items=3)
        strategy = SequentialCooccurrence(window=1, source_power=0.0, popularity_power=0.0).fit(data, RNG)
        assert strategy.score(ask(0))[2] == 0.0

    def test_popular_items_are_damped(self) -> None:
        data = sessions([0, 1], [0, 2], [2, 3], [2, 3], n_items=4)
        strategy = SequentialCooccurrence(source_power=1.0, popularity_power=1.0, back=0.0).fit(data, RNG)
        # n(0) = 2, n(1) = 1, n(2) = 3: 1 / (2 · 1) and 1 / (2 · 3).
        np.testing.assert_allclose(strategy.score(ask(0))[[1, 2]], [1 / 2, 1 / 6], rtol=1e-6)

    def test_an_item_does_not_follow_itself(self) -> None:
        assert SequentialCooccurrence().fit(sessions([0, 0, 1], n_items=2), RNG).score(ask(0))[0] == 0.0

    def test_counts_return_to_nothing(self) -> None:
        data = sessions([0, 1, 2, 1, 0], [2, 1], n_items=3)
        strategy = SequentialCooccurrence(window=7, back=0.3).fit(data, RNG)
        empty = strategy.forget_sessions(np.array([True, True]), data)
        assert len(empty.counts_.counts) == 0
        assert not empty.counts_.occurrences.any()


class TestBasketCooccurrence:
    data = baskets([0, 1], [0, 1, 2], [0, 2], [3, 4], [3], n_items=5)

    def test_lift_is_how_much_more_often_than_chance(self) -> None:
        strategy = BasketCooccurrence(minimum_baskets=1).fit(self.data, RNG)
        assert strategy.lift(0, 1) == pytest.approx(
            2 * 5 / (3 * 2)
        )  # both in 2 of 5 baskets, 3 have 0, 2 have 1
        assert strategy.lift(3, 4) == pytest.approx(1 * 5 / (2 * 1))
        assert strategy.lift(0, 3) == 0.0

    def test_scores_what_goes_along_more_often_than_chance(self) -> None:
        strategy = BasketCooccurrence(minimum_baskets=1, shrinkage=1.0).fit(self.data, RNG)
        # n(0, 1) / (n(0) + 1) · (1 - 1 / lift) = 2/4 · (1 - 6/10)
        assert strategy.score(ask(context_item=0))[1] == pytest.approx(0.5 * 0.4)

    def test_too_few_baskets_say_nothing(self) -> None:
        strategy = BasketCooccurrence(minimum_baskets=2).fit(self.data, RNG)
        assert np.flatnonzero(strategy.score(ask(cart=np.array([0, 3], np.int32)))).tolist() == [1, 2]

    def test_what_chance_explains_is_not_offered(self) -> None:
        data = baskets([0, 1], [0], [1, 2], [2], n_items=3)  # lift(0, 1) = 1 · 4 / (2 · 2) = 1
        strategy = BasketCooccurrence(minimum_baskets=1).fit(data, RNG)
        assert not strategy.score(ask(context_item=0)).any()

    def test_views_are_not_baskets(self) -> None:
        assert (
            not BasketCooccurrence(minimum_baskets=1)
            .fit(sessions([0, 1], n_items=2), RNG)
            .counts_.counts.any()
        )

    def test_an_order_of_everything_is_left_out(self) -> None:
        data = baskets([0, 1, 2], [3, 4], [0, 2], n_items=5)
        strategy = BasketCooccurrence(minimum_baskets=1, largest_basket=2).fit(data, RNG)
        assert strategy.lift(0, 1) == 0.0
        assert strategy.lift(0, 2) == pytest.approx(1 * 2 / (1 * 1))

    def test_a_product_twice_in_an_order_counts_once(self) -> None:
        twice = log([(0, i, NOW, 1.0, 0, 0) for i in (0, 0, 1)], 1, 2)
        assert BasketCooccurrence(minimum_baskets=1).fit(twice, RNG).counts_.counts.tolist() == [1.0, 1.0]

    def test_after_a_purchase_the_last_basket_is_asked_about(self) -> None:
        strategy = BasketCooccurrence(minimum_baskets=1).fit(self.data, RNG)
        bought = ask(0, 3, purchased=np.array([True, True]), timestamps=np.array([NOW - 9, NOW - 1]))
        assert np.flatnonzero(strategy.score(bought)).tolist() == [4]

    def test_part_of_an_order_can_be_forgotten(self) -> None:
        rows = [(0, 0, NOW - 9, 1.0, 0, 7), (0, 1, NOW - 9, 1.0, 0, 7), (0, 2, NOW - 8, 1.0, 1, 7)]
        data = log(rows, 1, 3)
        strategy = BasketCooccurrence(minimum_baskets=1).fit(data, RNG)
        without = strategy.forget_sessions(np.array([False, True]), data)
        assert without.counts_.row(0)[0].tolist() == [1]
        assert not len(without.counts_.row(2)[0])
        assert without.n_baskets_ == 1


class TestItemKNN:
    data = sessions([0, 1], [0, 1], [0, 2], [2, 3], n_items=4)

    def test_cosine(self) -> None:
        strategy = ItemKNN(weighting="cosine").fit(self.data, RNG)
        # 0 in three histories, 1 in two, together in two: 2 / √6. 2 in two, together in one: 1 / √6.
        np.testing.assert_allclose(
            strategy.score(ask(0))[[1, 2, 3]], [2 / np.sqrt(6), 1 / np.sqrt(6), 0.0], rtol=1e-6
        )

    def test_neighbours_below_the_threshold_are_cut(self) -> None:
        strategy = ItemKNN(weighting="cosine", threshold=0.5).fit(self.data, RNG)
        assert np.flatnonzero(strategy.score(ask(0))).tolist() == [1]

    def test_keeps_the_nearest(self) -> None:
        strategy = ItemKNN(weighting="cosine", neighbours=1).fit(self.data, RNG)
        assert strategy.table_.row(0)[0].tolist() == [1]

    @pytest.mark.parametrize("weighting", ["tfidf", "bm25"])
    def test_histories_of_everything_weigh_less(self, weighting: str) -> None:
        data = sessions([0, 1], [0, 2], [0, 2, 3, 4, 5], n_items=9)
        strategy = ItemKNN(weighting=weighting).fit(data, RNG)
        by_cosine = ItemKNN(weighting="cosine").fit(data, RNG)
        assert (
            strategy.score(ask(0))[1] / strategy.score(ask(0))[3]
            > by_cosine.score(ask(0))[1] / by_cosine.score(ask(0))[3]
        )

    def test_an_unknown_weighting_is_refused(self) -> None:
        with pytest.raises(ValueError, match="cosine, tfidf or bm25"):
            ItemKNN(weighting="jaccard")


class TestUserKNN:
    def test_people_alike_vote_for_what_they_chose_of_late(self) -> None:
        day = 86_400.0
        rows = [
            (0, 0, NOW - day, 1.0, 0, -1),
            (0, 1, NOW - day, 1.0, 0, -1),
            (1, 0, NOW - 3 * day, 1.0, 1, -1),
            (1, 2, NOW - 3 * day, 1.0, 1, -1),
        ]
        data = log(rows, 2, 4)
        strategy = UserKNN(half_life_days=1.0, idf_power=0.0).fit(data, RNG)
        # Both share item 0 at 1/√2; the first chose 1 a day ago (1/2), the second 2 three days ago (1/8).
        np.testing.assert_allclose(
            strategy.score(ask(0))[[1, 2, 3]], np.array([1 / 2, 1 / 8, 0]) / np.sqrt(2), rtol=1e-5
        )

    def test_the_nearest_decide(self) -> None:
        data = baskets([0, 1], [0, 2, 3], [1, 2], n_items=4)
        strategy = UserKNN(neighbours=1, idf_power=0.0, half_life_days=1e9).fit(data, RNG)
        # To someone with 2 and 3 the second is nearest: (1 + 1) / √3 against 1 / √2.
        query = ask(2, 3, timestamps=np.array([NOW, NOW]))
        np.testing.assert_allclose(strategy.score(query), np.array([1, 0, 1, 1]) * 2 / np.sqrt(3), rtol=1e-5)
        assert strategy.trigger(query, 0) == Trigger(3, pytest.approx(0.5))  # equal shares: the newer one
