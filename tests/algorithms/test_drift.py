"""Drift on histograms worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from algorithms.drift import edges_of, histogram, mass_bins, overlap_at, psi, psi_by_chance


def test_psi_by_hand() -> None:
    # Shares 0.5, 0.5 → 0.75, 0.25: 0.25 · ln 1.5 + (−0.25) · ln 0.5 = 0.25 · (0.405 + 0.693) = 0.2747.
    assert psi(np.array([50, 50]), np.array([75, 25])) == pytest.approx(0.2746531)
    assert psi(np.array([50, 50]), np.array([500, 500])) == 0.0


def test_psi_is_the_same_both_ways_and_finite_for_an_empty_bin() -> None:
    one, other = np.array([90, 10, 0]), np.array([40, 40, 20])
    assert psi(one, other) == pytest.approx(psi(other, one))
    assert np.isfinite(psi(one, other))
    assert psi(np.array([0, 0]), np.array([1, 2])) == 0.0
    with pytest.raises(ValueError, match="same bins"):
        psi(np.array([1, 2]), np.array([1, 2, 3]))


def test_what_chance_does() -> None:
    # χ² with 9 degrees of freedom stays below 27.88 with 99.9 %; 1/100 + 1/300 = 0.01333.
    assert psi_by_chance(100, 300, 10) == pytest.approx(27.877 * (1 / 100 + 1 / 300), rel=1e-4)
    assert np.isinf(psi_by_chance(0, 300, 10))
    rng = np.random.default_rng(1)
    bound = psi_by_chance(300, 300, 10)
    draws = [psi(rng.multinomial(300, [0.1] * 10), rng.multinomial(300, [0.1] * 10)) for _ in range(500)]
    assert np.mean(np.array(draws) < bound) > 0.99


def test_bins_of_equal_numbers() -> None:
    values = np.arange(100, dtype=np.float64)
    edges = edges_of(values)
    assert len(edges) == 9
    assert histogram(values, edges).tolist() == [10] * 10
    assert histogram(np.array([-5.0, 500.0]), edges).tolist() == [1, *[0] * 8, 1]
    # All alike: one edge is left, and everything lies above it.
    assert edges_of(np.ones(50)).tolist() == [1.0]
    assert histogram(np.ones(50), edges_of(np.ones(50))).tolist() == [0, 50]
    assert not len(edges_of(np.empty(0)))


def test_bins_of_equal_mass() -> None:
    # 20 in all, two bins of 10: the first item alone fills the first one.
    assert mass_bins(np.array([10, 4, 6, 0]), bins=2).tolist() == [0, 1, 1, 2]
    assert mass_bins(np.array([0, 0]), bins=2).tolist() == [2, 2]


def test_overlap_of_the_most_wanted() -> None:
    before, now = np.array([9, 8, 7, 0, 0]), np.array([0, 5, 6, 7, 0])
    # The two most wanted were 0 and 1, and are 3 and 2; of the three most wanted, 1 and 2 stay.
    assert overlap_at(before, now, 2) == 0.0
    assert overlap_at(before, now, 3) == pytest.approx(2 / 3)
    assert overlap_at(before, np.zeros(5, np.int64), 3) == 1.0
