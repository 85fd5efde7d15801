"""Measures worked by hand, and what must hold of every ranking."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from algorithms import metrics
from algorithms.ranking import mean_ranks, top_k

scores = arrays(np.float32, st.integers(1, 30), elements=st.integers(0, 5).map(float))


def case(*ranks: float) -> tuple[np.ndarray, np.ndarray]:
    return np.array(ranks, float), np.zeros(len(ranks), np.int64)


class TestRanks:
    def test_equals_share_the_mean_of_their_places(self) -> None:
        row = np.array([[0.5, 0.9, 0.5, 0.1, 0.5]], np.float32)  # places 2, 3, 4 for 0.5
        ranks = mean_ranks(row, np.zeros(3, np.int64), np.array([0, 1, 3], np.int32))
        assert ranks.tolist() == [3.0, 1.0, 5.0]

    def test_items_left_out_do_not_stand_in_the_ranking(self) -> None:
        row = np.array([[0.5, 0.9, 0.7, 0.1]], np.float32)
        left_out = np.array([[False, True, False, False]])
        assert mean_ranks(row, np.zeros(1, np.int64), np.array([0], np.int32), left_out).tolist() == [2.0]

    def test_the_best_come_first_and_no_opinion_is_no_place(self) -> None:
        assert top_k(np.array([0.0, 2.0, 1.0, 2.0, 3.0], np.float32), 10).tolist() == [4, 1, 3, 2]
        assert top_k(np.array([0.0, 2.0, 1.0, 2.0, 3.0], np.float32), 2).tolist() == [4, 1]
        assert top_k(np.ones(4, np.float32), 0).tolist() == []

    @given(scores, st.integers(0, 40))
    def test_top_k_is_a_stable_sort(self, row: np.ndarray, k: int) -> None:
        expected = [i for i in np.argsort(-row, kind="stable") if row[i] > 0][:k]
        assert top_k(row, k).tolist() == expected

    @given(scores)
    def test_ranks_of_all_items_add_up(self, row: np.ndarray) -> None:
        n = len(row)
        ranks = mean_ranks(row[None], np.zeros(n, np.int64), np.arange(n, dtype=np.int32))
        assert ranks.sum() == n * (n + 1) / 2


class TestByHand:
    def test_recall_is_the_share_found(self) -> None:
        assert metrics.recall(*case(1, 4, 30, 10.5), 1, 10).tolist() == [0.5]

    def test_one_hit_is_enough(self) -> None:
        assert metrics.hit_rate(*case(10, 30), 1, 10).tolist() == [1.0]
        assert metrics.hit_rate(*case(11, 30), 1, 10).tolist() == [0.0]

    def test_reciprocal_rank_of_the_first(self) -> None:
        assert metrics.mrr(*case(4, 2, 9), 1, 10).tolist() == [0.5]
        assert metrics.mrr(*case(21), 1, 20).tolist() == [0.0]

    def test_ndcg(self) -> None:
        # Gains 1/log2(2) + 1/log2(5); ideal of three within 10: 1 + 1/log2(3) + 1/log2(4).
        expected = (1 + 1 / np.log2(5)) / (1 + 1 / np.log2(3) + 0.5)
        assert metrics.ndcg(*case(1, 4, 50), 1, 10)[0] == pytest.approx(expected)

    def test_a_case_without_relevant_items_does_not_count(self) -> None:
        ranks, cases = np.array([1.0, 3.0]), np.array([0, 2])
        for metric in (metrics.recall, metrics.hit_rate, metrics.mrr, metrics.ndcg):
            assert np.isnan(metric(ranks, cases, 3, 10)).tolist() == [False, True, False]

    def test_coverage_novelty_and_gini(self) -> None:
        exposure = np.array([3, 1, 0, 0])
        assert metrics.coverage(exposure) == 0.5
        # Shares with one added: 4/8, 2/8, 1/8, 1/8: 1, 2, 3, 3 bits.
        assert metrics.novelty(exposure, np.array([3, 1, 0, 0])) == pytest.approx((3 * 1 + 1 * 2) / 4)
        # Sorted 0, 0, 1, 3: Σ (2i - n - 1) x = 1·1 + 3·3 = 10, over n Σ x = 16.
        assert metrics.gini(exposure) == pytest.approx(10 / 16)
        assert metrics.gini(np.array([2, 2, 2])) == 0.0
        assert (
            metrics.novelty(np.zeros(3), np.ones(3))
            == metrics.gini(np.zeros(3))
            == metrics.coverage(np.zeros(0))
            == 0.0
        )

    def test_repeats_and_diversity(self) -> None:
        lists = np.array([[0, 1, 2], [3, -1, -1]], np.int32)
        seen = np.array([[True, False, False, False], [False, False, False, True]])
        assert metrics.repeat_share(lists, seen) == 0.5
        # Pairs of the first list: (0, 1) alike, the other two not; the second has no pair.
        assert metrics.diversity(lists, np.array([5, 5, 6, 6])) == pytest.approx(2 / 3)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8, unique=True), st.integers(1, 30))
def test_every_measure_lies_between_0_and_1_and_grows_when_an_item_rises(ranks: list[int], k: int) -> None:
    cases = np.zeros(len(ranks), np.int64)
    before = np.array(ranks, float)
    better = before.copy()
    better[better.argmax()] = next(r for r in range(1, 41) if r not in ranks or r == better.max())
    for metric in (metrics.recall, metrics.hit_rate, metrics.mrr, metrics.ndcg):
        low, high = metric(before, cases, 1, k)[0], metric(better, cases, 1, k)[0]
        assert 0.0 <= low <= 1.0 + 1e-9
        if better.max() <= before.max():
            assert high >= low - 1e-12


@given(st.integers(1, 20), st.integers(1, 20))
def test_a_perfect_ranking_has_ndcg_1(relevant: int, k: int) -> None:
    ranks = np.arange(1.0, relevant + 1)
    assert metrics.ndcg(ranks, np.zeros(relevant, np.int64), 1, k)[0] == pytest.approx(1.0)
