"""Reranking by hand: variety, caps, calibrated bands, kept places, chance, and factors of scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algorithms.calibration import band_targets, bands, group_quantiles
from algorithms.rerank import Wish, choose, explore, fatigue, reserve, shrink, slot_ranks, value_factor


def codes(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def free(n: int) -> np.ndarray:
    return np.full(n, -1, np.int32)


class TestChoose:
    def test_of_two_almost_as_good_the_unlike_comes_first(self) -> None:
        relevance = np.array([1.0, 0.9, 0.8])
        category = codes(1, 1, 2)
        plain = choose(relevance, free(3), free(3), category, 3)
        assert plain.order.tolist() == [0, 1, 2]
        # After 0: 1 gives 0.7 · 0.9 - 0.3 · 1 = 0.33, 2 gives 0.7 · 0.8 - 0 = 0.56.
        assert choose(relevance, free(3), free(3), category, 3, diversity=0.3).order.tolist() == [0, 2, 1]

    def test_a_shared_brand_counts_for_less_than_a_shared_category(self) -> None:
        # Beside 0 (category 1, brand 1): item 1 shares the category, cosine 1 / 1.36 = 0.735; item 2 the brand, 0.36 / 1.36 = 0.265.
        # Gains at diversity 0.5: 0.5 · 0.9 - 0.5 · 0.735 = 0.082 and 0.5 · 0.7 - 0.5 · 0.265 = 0.218.
        relevance = np.array([1.0, 0.9, 0.7])
        order = choose(relevance, free(3), codes(1, 2, 1), codes(1, 1, 2), 2, diversity=0.5).order
        assert order.tolist() == [0, 2]

    def test_caps_hold_until_places_would_stay_empty(self) -> None:
        relevance = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
        brand = codes(1, 1, 1, 1, 2, -1)
        chosen = choose(relevance, free(6), brand, free(6), 6, max_per_brand=2)
        assert chosen.order.tolist() == [0, 1, 4, 5, 2, 3]
        assert chosen.within == 4
        both = choose(
            relevance, free(6), brand, codes(7, 8, 8, 8, 8, 8), 4, max_per_brand=2, max_per_category=1
        )
        assert both.order.tolist()[:2] == [0, 1]
        assert both.within == 2

    def test_of_a_family_only_the_best_whatever_it_costs(self) -> None:
        chosen = choose(np.array([0.9, 0.8, 0.7]), codes(4, 4, -1), free(3), free(3), 3)
        assert chosen.order.tolist() == [0, 2]

    def test_what_stands_already_counts_and_is_not_given_back(self) -> None:
        relevance = np.array([0.0, 0.9, 0.8, 0.7])
        chosen = choose(
            relevance, codes(5, 5, -1, -1), codes(1, 2, 1, 2), free(4), 3, max_per_brand=1, standing=1
        )
        # 1 is of the family that stands there, 2 of the brand: 3 comes first, then the cap gives way for 2.
        assert chosen.order.tolist() == [3, 2]
        assert chosen.within == 1

    def test_nothing_to_choose_from(self) -> None:
        assert choose(np.empty(0), codes(), codes(), codes(), 5).order.tolist() == []
        assert choose(np.array([1.0]), free(1), free(1), free(1), 0).order.tolist() == []

    def test_shares_must_be_shares(self) -> None:
        with pytest.raises(ValueError, match=r"diversity must lie in 0\.\.1, not 1\.5"):
            choose(np.ones(1), free(1), free(1), free(1), 1, diversity=1.5)
        with pytest.raises(ValueError, match="calibration"):
            choose(np.ones(1), free(1), free(1), free(1), 1, calibration=-0.1)


class TestCalibration:
    def test_the_first_choice_by_hand(self) -> None:
        """Target 3/4 cheap, 1/4 dear. First item cheap: q̃ = (0.99 + 0.0075, 0.0025): KL = .75 ln(.75/.9975) + .25 ln(.25/.0025) = 0.9375.
        Dear: q̃ = (0.0075, 0.9925): KL = .75 ln 100 + .25 ln(.25/.9925) = 3.1092. The dear one is 2.1717 worse off."""
        wish = Wish(codes(1, 0), codes(0, 0), np.array([[0.75, 0.25]]))
        cheap = 0.75 * math.log(0.75 / 0.9975) + 0.25 * math.log(0.25 / 0.0025)
        dear = 0.75 * math.log(0.75 / 0.0075) + 0.25 * math.log(0.25 / 0.9925)
        assert dear - cheap == pytest.approx(2.1717, abs=1e-4)
        # (1 - λ) · 1 against (1 - λ) · 0.5 + λ · 2.1717: the cheap one wins from λ = 0.5 / 2.6717 = 0.1872 on.
        relevance = np.array([1.0, 0.5])
        for calibration, first in ((0.18, 0), (0.19, 1)):
            order = choose(relevance, free(2), free(2), free(2), 1, wish=wish, calibration=calibration).order
            assert order.tolist() == [first]

    def test_the_shelf_takes_the_shares_of_the_history(self) -> None:
        """Ten of each of two bands, the dear ones all better; wished for are 60 % cheap: 3 of the first 5, 6 of 10."""
        relevance = np.linspace(1.0, 0.5, 20)
        band = np.repeat([1, 0], 10).astype(np.int32)
        wish = Wish(band, np.zeros(20, np.int32), np.array([[0.6, 0.4]]))
        untouched = choose(relevance, free(20), free(20), free(20), 10, wish=wish, calibration=0.0).order
        assert band[untouched].tolist() == [1] * 10
        calibrated = choose(relevance, free(20), free(20), free(20), 10, wish=wish, calibration=1.0).order
        assert (band[calibrated[:5]] == 0).sum() == 3
        assert (band[calibrated] == 0).sum() == 6

    def test_categories_are_not_played_off_against_each_other(self) -> None:
        """Group 1 has a sharp wish, group 0 a flat one. Each item is the best band of its group: relevance alone decides."""
        targets = np.array([[0.5, 0.5], [0.99, 0.01]])
        wish = Wish(codes(0, 0), codes(0, 1), targets)
        assert choose(
            np.array([1.0, 0.9]), free(2), free(2), free(2), 1, wish=wish, calibration=0.5
        ).order.tolist() == [0]

    def test_bands_are_fifths_of_the_group(self) -> None:
        prices = np.array([10.0, 20.0, 30.0, 40.0, 50.0, 1000.0, 2000.0])
        groups = codes(0, 0, 0, 0, 0, 2, 2)
        bounds = group_quantiles(prices, groups, 3, 5)
        # Quintiles of 10..50 at 0.8, 1.6, 2.4 and 3.2 steps: 18, 26, 34, 42. Group 1 has nothing.
        assert bounds[0] == pytest.approx([18.0, 26.0, 34.0, 42.0])
        assert np.isinf(bounds[1]).all()
        assert bands(prices, groups, bounds).tolist() == [0, 1, 2, 3, 4, 0, 4]
        assert bands(np.array([99.0]), codes(1), bounds).tolist() == [0]
        for group in (0, 2):
            own = prices[groups == group]
            assert bounds[group] == pytest.approx(np.quantile(own, [0.2, 0.4, 0.6, 0.8]))

    def test_a_history_becomes_shares_and_little_leans_on_the_whole(self) -> None:
        """Group 7: three weights in band 0, one in band 1. Whole with prior 2 over 2 bands: (3 + 1, 1 + 1) / 6 = (2/3, 1/3).
        Group 7: (3 + 2 · 2/3, 1 + 2 · 1/3) / 6 = (0.7222, 0.2778). Group 9 has no history of its own: the whole."""
        targets = band_targets(codes(0, 1), codes(7, 7), np.array([3.0, 1.0]), codes(7, 9), 2)
        assert targets[0] == pytest.approx([(3 + 4 / 3) / 6, (1 + 2 / 3) / 6])
        assert targets[1] == pytest.approx([2 / 3, 1 / 3])


class TestFactors:
    def test_few_observations_count_for_less(self) -> None:
        assert shrink(np.array([0.0, 5.0, 45.0]), 5.0).tolist() == [0.0, 0.5, 0.9]

    def test_value_stays_within_its_bound_whoever_the_shopper_is(self) -> None:
        percentile = np.array([0.0, 0.5, 1.0])
        assert value_factor(percentile, 0.25) == pytest.approx([0.8, 1.0, 1.25])
        assert value_factor(percentile, 0.25, tilt=1.0) == pytest.approx([0.8, 1.0, 1.25])
        assert value_factor(percentile, 0.25, tilt=-1.0) == pytest.approx([1.0, 1.0, 1.0])
        # Three quarters up: half the exponent, and all of it for a shopper who tilts it to the full.
        assert value_factor(np.array([0.75]), 0.21, 0.0) == pytest.approx([1.1])
        assert value_factor(np.array([0.75]), 0.21, 1.0) == pytest.approx([1.21])

    def test_what_was_shown_in_vain_goes_down(self) -> None:
        assert fatigue(np.array([0.0, 2.0, 5.0]), 0.5).tolist() == [1.0, 0.5, 1 / 3.5]


class TestReserve:
    def test_kept_places_are_spread(self) -> None:
        assert slot_ranks(1, 12) == [6]
        assert slot_ranks(2, 12) == [4, 8]
        assert slot_ranks(3, 12) == [3, 6, 9]
        assert slot_ranks(5, 2) == [1, 1]

    def test_newcomers_push_out_the_end(self) -> None:
        # Two kept places of six: ranks 2 and 4; 5 and 6 go.
        assert reserve([1, 2, 3, 4, 5, 6], [8, 9, 7], 2, {7, 8, 9}, 6) == [1, 8, 2, 9, 3, 4]

    def test_who_is_new_and_stands_there_counts_and_stays(self) -> None:
        assert reserve([1, 2, 3, 8], [9, 7], 2, {7, 8, 9}, 4) == [1, 9, 2, 8]
        assert reserve([8, 9, 3, 4], [7], 2, {7, 8, 9}, 4) == [8, 9, 3, 4]

    def test_a_short_list_is_filled_first(self) -> None:
        assert reserve([1, 2], [8, 9], 2, {8, 9}, 5) == [8, 1, 9, 2]
        assert reserve([], [8, 9], 1, {8, 9}, 5) == [8]

    @given(
        st.lists(st.integers(0, 20), unique=True, max_size=12),
        st.sets(st.integers(0, 30), max_size=10),
        st.integers(0, 6),
        st.integers(1, 12),
    )
    def test_never_longer_never_twice_and_nobody_new_is_pushed_out(
        self, order: list[int], new: set[int], slots: int, k: int
    ) -> None:
        order = order[:k]
        kept = reserve(order, sorted(new), slots, new, k)
        assert len(kept) == len(set(kept)) <= k
        assert len(kept) >= len(order)
        assert {item for item in order if item in new} <= set(kept)
        assert sum(item in new for item in kept) >= min(slots, len(new), k)
        old = [item for item in kept if item not in new]
        assert old == [item for item in order if item not in new][: len(old)]


class TestExplore:
    POOL = np.arange(100, 112)

    def test_the_same_seed_the_same_places(self) -> None:
        once, again = (explore(12, self.POOL, 0.3, 7) for _ in range(2))
        assert once.takes.tolist() == again.takes.tolist()
        assert any(
            explore(12, self.POOL, 0.3, seed).takes.tolist() != once.takes.tolist() for seed in range(20)
        )

    def test_no_share_and_no_pool_leave_the_list_alone(self) -> None:
        for pool, share in ((self.POOL, 0.0), (self.POOL[:0], 0.5)):
            untouched = explore(5, pool, share, 1)
            assert untouched.takes.tolist() == [-1] * 5
            assert untouched.propensity.tolist() == [1.0] * 5

    def test_whole_share_takes_all_places_and_each_of_the_pool_once(self) -> None:
        explored = explore(12, self.POOL, 1.0, 3)
        assert sorted(explored.takes.tolist()) == list(range(12))
        assert explored.propensity == pytest.approx([1 / 12] * 12)

    def test_with_few_to_draw_from_only_the_last_places_are_open(self) -> None:
        explored = explore(5, self.POOL[:2], 0.9, 3)
        assert explored.takes[:3].tolist() == [-1, -1, -1]
        assert explored.propensity[:3].tolist() == [1.0, 1.0, 1.0]

    def test_propensities_are_the_frequencies(self) -> None:
        """Over 20,000 seeds: place 0 is explored in 20 % of them, and each of the pool stands there in 20 % / 4 = 5 %.
        Standard deviations 0.28 % and 0.15 %: six of them bound the test."""
        pool = np.array([3, 1, 4, 15])
        counts = np.zeros(5)
        for seed in range(20_000):
            explored = explore(4, pool, 0.2, seed)
            take = int(explored.takes[0])
            counts[take] += 1
            assert explored.propensity[0] == pytest.approx(0.8 if take < 0 else 0.05)
        shares = counts / 20_000
        assert shares[-1] == pytest.approx(0.8, abs=0.017)
        assert shares[:4] == pytest.approx([0.05] * 4, abs=0.0093)

    def test_a_share_must_be_a_share(self) -> None:
        with pytest.raises(ValueError, match="share"):
            explore(3, self.POOL, 1.5, 1)


@given(
    st.lists(
        st.tuples(st.floats(0.01, 1), st.integers(-1, 3), st.integers(-1, 3), st.integers(-1, 4)), max_size=40
    ),
    st.integers(0, 15),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.4, 1.0]),
    st.sampled_from([0.0, 0.5, 1.0]),
)
@settings(max_examples=150, deadline=None)
def test_a_choice_is_always_sound(
    items: list[tuple[float, int, int, int]], k: int, cap: int, diversity: float, calibration: float
) -> None:
    relevance = np.array([item[0] for item in items])
    family, brand, category = (np.array([item[n] for item in items], np.int32) for n in (1, 2, 3))
    wish = Wish(
        np.arange(len(items), dtype=np.int32) % 3, np.zeros(len(items), np.int32), np.array([[0.5, 0.3, 0.2]])
    )
    chosen = choose(
        relevance,
        family,
        brand,
        category,
        k,
        max_per_brand=cap,
        diversity=diversity,
        wish=wish,
        calibration=calibration,
    )
    order = chosen.order.tolist()
    families = [family[at] for at in order if family[at] >= 0]
    assert len(order) == len(set(order)) <= k
    assert len(families) == len(set(families))
    kinds = sum(family < 0) + len(set(family[family >= 0].tolist()))
    assert len(order) == min(k, kinds)
    if cap:
        within = brand[chosen.order[: chosen.within]]
        assert all((within == code).sum() <= cap for code in set(within.tolist()) - {-1})
