"""Clusters, RFM, propensity and the statistics of experiments."""

import numpy as np
import pytest

from algorithms.clustering import Clustering, cluster
from algorithms.experiments import bootstrap_mean, paired_relative_difference, two_proportions, uplift, wilson
from algorithms.propensity import Propensity, fit_propensity
from algorithms.rfm import DAY_SECONDS, churned, quintiles, rfm
from algorithms.types import TrainingData
from tests.algorithms.shops import NOW, shop


class TestRFM:
    def test_recency_frequency_money_and_rhythm(self) -> None:
        user = np.array([0, 0, 0, 2], np.int32)
        when = NOW - DAY_SECONDS * np.array([30.0, 10.0, 50.0, 3.0])
        result = rfm(user, when, np.array([5.0, 7.0, 8.0, 100.0]), 3, NOW)
        assert result.recency_days.tolist() == [10.0, np.inf, 3.0]
        assert result.frequency.tolist() == [3, 0, 1]
        assert result.monetary.tolist() == [20.0, 0.0, 100.0]
        np.testing.assert_allclose(result.gap_days, [20.0, np.nan, np.nan])

    def test_quintiles_are_fifths_and_equals_are_equal(self) -> None:
        everyone = np.ones(10, np.bool_)
        assert quintiles(np.arange(10.0), everyone).tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
        assert len(set(quintiles(np.ones(10), everyone).tolist())) == 1
        assert quintiles(np.array([3.0, 9.0]), np.array([True, False])).tolist() == [5, 0]

    def test_lately_is_a_high_recency_score(self) -> None:
        user = np.arange(5, dtype=np.int32)
        result = rfm(user, NOW - DAY_SECONDS * user, np.ones(5), 6, NOW)
        recency, _, _ = result.quintiles()
        assert recency.tolist() == [5, 4, 3, 2, 1, 0]

    def test_churn_is_silence_against_the_own_rhythm(self) -> None:
        days = {0: [100, 95, 90], 1: [200, 140, 80], 2: [80], 3: []}  # gaps 5 and 60; the usual is 32.5
        rows = [(user, NOW - DAY_SECONDS * d) for user, ages in days.items() for d in ages]
        user, when = np.array([r[0] for r in rows], np.int32), np.array([r[1] for r in rows])
        history = rfm(user, when, np.ones(len(user)), 4, NOW)
        # 0: silent 90 > max(15, 30). 1: 80 < 180. 2: 80 < 97.5. 3 never ordered.
        assert churned(history).tolist() == [True, False, False, False]
        assert churned(history, factor=2.0).tolist() == [True, False, True, False]


def four_heaps() -> np.ndarray:
    rng = np.random.default_rng(1)
    heaps = (([0, 0], 40), ([5, 0], 30), ([0, 5], 20), ([5, 5], 10))
    return np.concatenate([rng.normal(middle, 0.1, (n, 2)) for middle, n in heaps])


class TestClusters:
    points = four_heaps()

    def test_finds_as_many_groups_as_there_are(self) -> None:
        result = cluster(self.points, np.random.default_rng(0), ks=range(2, 8))
        assert result.k == 4
        assert result.sizes.tolist() == [40, 30, 20, 10]
        assert max(result.silhouettes, key=lambda k: result.silhouettes[k]) == 4
        assert result.silhouette > 0.8
        np.testing.assert_allclose(result.centres_in_units()[0], [0, 0], atol=0.1)

    def test_others_are_labelled_as_their_like(self) -> None:
        result = cluster(self.points, np.random.default_rng(0))
        copy = Clustering.from_arrays(result.arrays())
        np.testing.assert_array_equal(copy.assign(self.points), result.labels)

    def test_units_do_not_decide(self) -> None:
        result = cluster(self.points, np.random.default_rng(0))
        scaled = cluster(self.points * [1.0, 1e6] - [0.0, 3e6], np.random.default_rng(0))
        np.testing.assert_array_equal(scaled.labels, result.labels)

    def test_money_is_log_scaled(self) -> None:
        spent = np.exp(np.random.default_rng(0).normal(3, 1.5, (200, 1)))
        result = cluster(spent, np.random.default_rng(0))
        assert result.logged.tolist() == [True]
        assert (result.centres_in_units() > 0).all()

    def test_people_who_are_all_alike_are_one_group(self) -> None:
        result = cluster(np.ones((50, 3)), np.random.default_rng(0))
        assert result.k == 1
        assert result.sizes.tolist() == [50]

    @pytest.mark.parametrize(
        "features, message", [(np.ones((0, 2)), "nobody"), (np.array([[np.nan]]), "finite")]
    )
    def test_what_cannot_be_clustered_is_said(self, features: np.ndarray, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            cluster(features, np.random.default_rng(0))


class TestPropensity:
    def test_learns_which_feature_matters(self) -> None:
        rng = np.random.default_rng(0)
        features = np.column_stack([rng.normal(50, 20, 400), rng.normal(0, 1, 400), np.ones(400)])
        happened = rng.random(400) < 1 / (1 + np.exp(-(features[:, 0] - 50) / 10))
        model = fit_propensity(features, happened)
        assert abs(model.coefficients[0]) > 5 * abs(model.coefficients[1])
        low, high = model.predict(np.array([[10.0, 0.0, 1.0], [90.0, 0.0, 1.0]]))
        assert low < 0.1 < 0.9 < high
        assert model.predict(features).mean() == pytest.approx(happened.mean(), abs=0.01)
        assert model.reasons(features)[:, 2].tolist() == [0.0] * 400
        copy = Propensity.from_arrays(model.arrays())
        np.testing.assert_array_equal(copy.predict(features), model.predict(features))

    def test_needs_both_outcomes(self) -> None:
        with pytest.raises(ValueError, match="both outcomes"):
            fit_propensity(np.ones((3, 1)), np.ones(3, np.bool_))


class TestStatistics:
    def test_wilson(self) -> None:
        # Newcombe 1998, table: 81 of 263 has 0.2553 to 0.3662.
        interval = wilson(81, 263)
        assert (round(interval.low, 4), round(interval.high, 4)) == (0.2553, 0.3662)
        assert wilson(0, 0).high == 1.0

    def test_difference_of_two_proportions(self) -> None:
        # Newcombe 1998, table II (a): 56/70 against 48/80, method 10: 0.0524 to 0.3339.
        interval = two_proportions(56, 70, 48, 80)
        assert interval.estimate == pytest.approx(0.2)
        assert (round(interval.low, 4), round(interval.high, 4)) == (0.0524, 0.3339)

    def test_uplift_is_relative_to_the_control(self) -> None:
        interval = uplift(30, 1000, 20, 1000)
        assert interval is not None
        assert interval.estimate == pytest.approx(0.5)
        # log ratio 0.4055 ± 1.96 √(1/30 - 1/1000 + 1/20 - 1/1000)
        assert interval.low == pytest.approx(
            1.5 * np.exp(-1.959964 * np.sqrt(1 / 30 + 1 / 20 - 0.002)) - 1, rel=1e-6
        )
        assert uplift(3, 10, 0, 10) is None
        with pytest.raises(ValueError, match="successes"):
            uplift(11, 10, 1, 10)

    def test_bootstrap_covers_the_mean(self) -> None:
        values = np.random.default_rng(0).normal(2.0, 1.0, 400)
        interval = bootstrap_mean(values, np.random.default_rng(1))
        half = 1.96 * values.std() / 20
        assert interval.low == pytest.approx(values.mean() - half, abs=0.02)
        assert interval.high == pytest.approx(values.mean() + half, abs=0.02)
        assert bootstrap_mean(values[:0], np.random.default_rng(1)).high == np.inf

    def test_pairs_are_resampled_together(self) -> None:
        old = np.random.default_rng(0).random(300)
        interval = paired_relative_difference(old * 1.1, old, np.random.default_rng(1))
        assert interval.low == pytest.approx(0.1)
        assert interval.high == pytest.approx(0.1)

    def test_cases_that_do_not_count_are_left_out_of_both(self) -> None:
        new, old = np.array([1.0, np.nan, 0.5]), np.array([0.5, 3.0, 0.25])
        assert paired_relative_difference(new, old, np.random.default_rng(0)).estimate == pytest.approx(1.0)

    def test_against_nothing_any_gain_is_infinite(self) -> None:
        nothing, some = np.zeros(3), np.array([0.0, 0.0, 1.0])
        assert paired_relative_difference(some, nothing, np.random.default_rng(0)).estimate == np.inf
        assert paired_relative_difference(nothing, nothing, np.random.default_rng(0)).high == 0.0


class TestTrainingData:
    def test_the_shop_is_sound(self) -> None:
        data = shop()
        data.validate()
        assert data.n_sessions == data.session.max() + 1
        first = slice(data.session_offsets[3], data.session_offsets[4])
        assert set(data.session[first].tolist()) == {3}
        assert data.session_user[3] == data.user[first][0]

    @pytest.mark.parametrize(
        "column, values, message",
        [
            ("item", [0, 9], "item must lie in 0..1"),
            ("user", [0, -1], "user must lie in 0..0"),
            ("weight", [1.0, 0.0], "weight must be finite"),
            ("weight", [1.0, np.nan], "weight must be finite"),
            ("session", [1, 0], "sorted by session"),
            ("timestamp", [2.0, 1.0], "sorted by session"),
            ("basket", [-1], "basket has 1 rows"),
        ],
    )
    def test_unsound_data_is_refused(self, column: str, values: list, message: str) -> None:
        columns = {
            "user": np.zeros(2, np.int32), "item": np.arange(2, dtype=np.int32), "timestamp": np.arange(2.0),
            "weight": np.ones(2, np.float32), "session": np.zeros(2, np.int32), "basket": np.full(2, -1, np.int32),
        }  # fmt: skip
        columns[column] = np.array(values, columns[column].dtype)
        with pytest.raises(ValueError, match=message):
            TrainingData(**columns, n_users=1, n_items=2, now=NOW).validate()

    def test_a_session_of_two_people_is_refused(self) -> None:
        data = shop()
        user = data.user.copy()
        user[0] += 1
        with pytest.raises(ValueError, match="one user"):
            TrainingData(
                user, data.item, data.timestamp, data.weight, data.session, data.basket, 99, 30, NOW
            ).validate()
