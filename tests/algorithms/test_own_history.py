"""Popularity, own history, content and the one view of a history."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from algorithms.content import ContentTFIDF
from algorithms.history import RecentlyViewed, Reminder, Repurchase
from algorithms.interactions import history_of, recency_weighted
from algorithms.popularity import DAY_SECONDS, PopularInCategory, Popularity, Trending
from algorithms.types import Query
from tests.algorithms.shops import NOW, empty_shop, log, sessions

RNG = np.random.default_rng(0)


class TestPopularity:
    rows = [
        (0, 0, NOW - 14 * DAY_SECONDS, 4.0, 0, -1),
        (1, 1, NOW - 7 * DAY_SECONDS, 3.0, 1, -1),
        (2, 2, NOW, 1.0, 2, -1),
    ]
    data = log(rows, 3, 4, item_category=np.array([0, 1, 1, -1], np.int32))

    def test_all_time_sums_weights(self) -> None:
        np.testing.assert_allclose(
            Popularity().fit(self.data, RNG).score(Query.empty(NOW)), [1.0, 0.75, 0.25, 0.0]
        )

    def test_trending_halves_with_every_half_life(self) -> None:
        # 4/4 = 1, 3/2 = 1.5, 1: divided by the largest.
        scores = Trending(half_life_days=7.0).fit(self.data, RNG).score(Query.empty(NOW))
        np.testing.assert_allclose(scores, [2 / 3, 1.0, 2 / 3, 0.0], rtol=1e-6)

    def test_a_category_page_has_its_own_items(self) -> None:
        scores = Popularity().fit(self.data, RNG).score(Query.of([], now=NOW, category=1))
        np.testing.assert_allclose(scores, [0.0, 0.75, 0.25, 0.0])

    def test_popular_in_the_categories_of_the_shopper(self) -> None:
        strategy = PopularInCategory(half_life_days=None, query_decay=0.5).fit(self.data, RNG)
        # Newest is of category 1 (weight 1), before it category 0 (0.5), each divided by its category's best.
        np.testing.assert_allclose(
            strategy.score(Query.of([0, 2], now=NOW)), [0.5, 1.0, 1 / 3, 0.0], rtol=1e-6
        )
        np.testing.assert_allclose(
            strategy.score(Query.of([0], now=NOW, category=1)), [0.0, 1.0, 1 / 3, 0.0], rtol=1e-6
        )
        assert not strategy.score(Query.of([], now=NOW, category=77)).any()

    def test_appending_ages_what_was_learned(self) -> None:
        later = log([(0, 2, NOW + 7 * DAY_SECONDS, 1.0, 0, -1)], 1, 5, now=NOW + 7 * DAY_SECONDS)
        strategy = Trending(half_life_days=7.0).fit(self.data, RNG).append_sessions(later)
        # 1, 1.5, 1 halve; item 2 gains 1: 0.5, 0.75, 1.5.
        np.testing.assert_allclose(strategy.score(Query.empty(NOW)), [1 / 3, 0.5, 1.0, 0.0, 0.0], rtol=1e-6)


class TestHistory:
    def test_ages_count_occasions_that_bring_something_new(self) -> None:
        query = Query.of([5, 6, 7, 6], now=NOW, timestamps=np.array([10.0, 20.0, 20.0, 30.0]))
        history = history_of(query, 9, 10)
        assert history.items.tolist() == [6, 7, 5]
        assert history.ages.tolist() == [0, 1, 2]  # 6 again at 30; 7 at 20; 5 at 10
        np.testing.assert_allclose(history.strength, np.log2([3.0, 2.0, 2.0]))

    def test_a_basket_is_one_occasion(self) -> None:
        query = Query.of([1, 2, 3], now=NOW, timestamps=np.array([5.0, 9.0, 9.0]))
        assert history_of(query, 9, 10).ages.tolist() == [0, 0, 1]

    def test_the_page_comes_first_then_the_cart(self) -> None:
        query = Query.of([1, 2], now=NOW, context_item=3, cart=np.array([4, 2], np.int32))
        history = history_of(query, 9, 10)
        assert history.items.tolist() == [3, 2, 4, 1]
        assert history.ages.tolist() == [0, 1, 1, 2]

    def test_the_newest_are_kept(self) -> None:
        assert history_of(Query.of([1, 2, 3], now=NOW), 9, 2).items.tolist() == [3, 2]

    def test_training_sees_histories_as_serving_does(self) -> None:
        data = log(
            [(0, i, NOW - 50 + t, w, 0, -1) for t, (i, w) in enumerate([(1, 1.0), (2, 3.0), (1, 1.0)])], 1, 3
        )
        row = recency_weighted(data, 0.5).toarray()[0]
        query = Query.of(data.item, now=NOW, timestamps=data.timestamp, weights=data.weight)
        history = history_of(query, 3, 10)
        np.testing.assert_allclose(row[history.items], history.decayed(0.5), rtol=1e-6)
        np.testing.assert_allclose(row, [0.0, np.log2(3.0), 0.5 * np.log2(4.0)], rtol=1e-6)


class TestOwnHistory:
    def test_recently_viewed_is_newest_first_without_what_was_bought(self) -> None:
        strategy = RecentlyViewed(decay=0.5).fit(empty_shop(6), RNG)
        query = Query.of([1, 2, 3, 2], now=NOW, purchased=np.array([False, False, True, False]))
        np.testing.assert_allclose(strategy.score(query), [0.0, 0.5, 1.0, 0.0, 0.0, 0.0])

    def test_the_page_itself_is_not_recently_viewed(self) -> None:
        strategy = RecentlyViewed(decay=0.5).fit(empty_shop(4), RNG)
        np.testing.assert_allclose(
            strategy.score(Query.of([1, 2], now=NOW, context_item=2)), [0.0, 1.0, 0.0, 0.0]
        )

    def test_a_reminder_is_as_loud_as_repeats_are_likely(self) -> None:
        back_and_forth = [[2 * s, 2 * s + 1, 2 * s] for s in range(50)]
        data = sessions(*back_and_forth, n_items=100)
        strategy = Reminder(shrinkage=1e-9).fit(data, RNG)
        # Of two views the older one always comes next. Before that, one stands there and does not come again: of the 150
        # candidates at the two newest places 50 were taken, which with a prior of 1 in 5 is 51/155.
        scores = strategy.score(Query.of([7, 8], now=NOW))
        assert scores[7] == pytest.approx(155 / 51, rel=1e-2)
        assert scores[8] == pytest.approx(0.0, abs=1e-4)

    def test_what_was_seen_before_the_session_is_another_matter(self) -> None:
        rows = []
        for user in range(40):  # two visits: the second starts where the first ended
            rows += [
                (user, 0, NOW - 9000.0 + user, 1.0, 2 * user, -1),
                (user, 1, NOW - 8000.0 + user, 1.0, 2 * user, -1),
            ]
            rows += [(user, 1, NOW - 100.0 + user, 1.0, 2 * user + 1, -1)]
        strategy = Reminder(shrinkage=1.0).fit(log(rows, 40, 2), RNG)
        returning = strategy.score(Query.of([0, 1], now=NOW, session_start=2))
        browsing = strategy.score(Query.of([0, 1], now=NOW, session_start=0))
        assert returning[1] > 10 * browsing[1]

    def test_repurchase_halves_with_time_and_knows_what_is_bought_again(self) -> None:
        rows = [(u, 0, NOW - 1000.0 * d, 1.0, 3 * u + d, 3 * u + d) for u in range(20) for d in (1, 2)]
        rows += [(u, 1, NOW - 1000.0, 1.0, 3 * u, 3 * u) for u in range(20)]
        data = log(rows, 20, 3)
        strategy = Repurchase(half_life_days=10.0, rate_power=1.0, prior_customers=1e-9).fit(data, RNG)
        query = Query.of([0, 0, 1], now=NOW, purchased=np.ones(3, np.bool_),
                         timestamps=NOW - DAY_SECONDS * np.array([20.0, 10.0, 0.0]))  # fmt: skip
        np.testing.assert_allclose(
            strategy.score(query), [0.75, 0.0, 0.0], atol=1e-6
        )  # rate 1 · (1/4 + 1/2); nobody rebuys 1
        views = Query.of([0], now=NOW)
        assert not strategy.score(views).any()


class TestContent:
    def test_shared_rare_words_count_more_than_shared_common_ones(self) -> None:
        texts = [
            "red tent",
            "blue tent",
            "red mug",
            "green mug",
            "red alpine tent",
            "alpine rope",
            "red rope",
        ]
        strategy = ContentTFIDF(longest_ngram=1).fit_items(7, texts, None)
        scores = strategy.similar(5)  # alpine rope
        assert scores[4] > scores[6] * 0.5 > 0
        assert scores[[0, 1, 2, 3]].max() == 0.0
        assert scores[5] == 0.0

    def test_attributes_alone_are_enough(self) -> None:
        features = csr_matrix(np.array([[1, 0], [1, 0], [0, 1]], np.float32))
        scores = ContentTFIDF().fit_items(3, None, features).score(Query.of([0], now=NOW))
        np.testing.assert_allclose(scores, [1.0, 1.0, 0.0], rtol=1e-6)

    @pytest.mark.parametrize("texts", [None, ["", "", ""], ["?!", "...", "—"]])
    def test_without_words_it_has_no_opinion(self, texts: list[str] | None) -> None:
        assert not ContentTFIDF().fit_items(3, texts, None).score(Query.of([0], now=NOW)).any()
