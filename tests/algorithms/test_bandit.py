"""Thompson sampling: posteriors by hand, shares, lots, and a simulated shop."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta

from algorithms.bandit import (
    Reward,
    Tally,
    arm_at,
    click_rate,
    expected_value,
    judge,
    order_rate,
    point_of,
    remember,
    sample_values,
    shares,
)


def test_posteriors_by_hand() -> None:
    """20 shoppers, 5 clicked, 2 of those ordered. Clicks: Beta(1 + 5, 1 + 15), mean 6/22. Orders: Beta(½ + 2, 1½ + 18), mean 2.5/22."""
    tally = Tally(20, 5, 2)
    clicks, orders = click_rate(tally), order_rate(tally)
    assert (clicks.successes, clicks.failures) == (6.0, 16.0)
    assert (orders.successes, orders.failures) == (2.5, 19.5)
    assert clicks.mean == pytest.approx(6 / 22)
    assert expected_value(tally, Reward(1.0, 10.0)) == pytest.approx(6 / 22 + 10 * 2.5 / 22)
    interval = clicks.interval()
    assert (interval.low, interval.high) == (
        pytest.approx(beta.ppf(0.025, 6, 16)),
        pytest.approx(beta.ppf(0.975, 6, 16)),
    )


def test_nothing_seen_is_a_flat_prior() -> None:
    assert click_rate(Tally()).interval().estimate == 0.5
    assert click_rate(Tally()).interval().low == pytest.approx(0.025)


def test_draws_have_the_posteriors_mean_and_orders_are_never_likelier_than_clicks() -> None:
    tally, rng = Tally(400, 40, 12), np.random.default_rng(1)
    clicks = sample_values(tally, Reward(1.0, 0.0), np.random.default_rng(3), 200_000)
    both = sample_values(tally, Reward(1.0, 1.0), np.random.default_rng(3), 200_000)
    orders = both - clicks
    assert clicks.mean() == pytest.approx(41 / 402, rel=0.005)
    assert orders.mean() == pytest.approx(12.5 / 402, rel=0.01)
    assert (orders <= clicks).all()
    assert np.corrcoef(clicks, orders)[0, 1] > 0.2  # more who click, more who order
    # By themselves, orders are distributed as their marginal says.
    alone = sample_values(tally, Reward(0.0, 1.0), rng, 200_000)
    assert np.quantile(alone, [0.025, 0.975]) == pytest.approx(
        beta.ppf([0.025, 0.975], 12.5, 389.5), rel=0.02
    )


@pytest.mark.parametrize("counts", [(5, 6, 0), (5, 2, 3), (-1, 0, 0)])
def test_counts_that_cannot_be_are_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="buyers"):
        Tally(*counts)


def test_what_is_old_fades() -> None:
    """100 of two half-lives ago count 25, 10 of today count 10."""
    assert remember([(28.0, Tally(100, 20, 4)), (0.0, Tally(10, 1, 0))], half_life_days=14.0) == Tally(
        35.0, 6.0, 1.0
    )
    assert remember([(28.0, Tally(100, 20, 4)), (0.0, Tally(10, 1, 0))]) == Tally(110, 21, 4)
    assert remember([]) == Tally()


def test_probability_of_being_best_by_hand() -> None:
    """Beta(2, 1) against Beta(1, 1): P(X > Y) = E[X] = 2/3. One shopper who clicked, one arm that nobody saw."""
    verdict = judge([Tally(1, 1), Tally()], Reward(), np.random.default_rng(0), draws=200_000)
    assert verdict.best == pytest.approx([2 / 3, 1 / 3], abs=0.005)
    assert verdict.values[0].estimate == pytest.approx(2 / 3)


def test_arms_that_nobody_saw_are_exactly_alike() -> None:
    verdict = judge([Tally()] * 3, Reward(), np.random.default_rng(0))
    assert verdict.best.tolist() == [1 / 3] * 3
    with pytest.raises(ValueError, match="at least one"):
        judge([], Reward(), np.random.default_rng(0))


def test_every_arm_keeps_its_least_share() -> None:
    """Three arms, 10 % each for certain; the other 70 % by the probability of being best."""
    assert shares(np.array([0.9, 0.1, 0.0]), 0.1) == pytest.approx([0.73, 0.17, 0.10])
    assert shares(np.array([0.9, 0.1, 0.0])).sum() == pytest.approx(1.0)
    with pytest.raises(ValueError, match="40%"):
        shares(np.array([0.9, 0.1, 0.0]), 0.4)


def test_lots_hang_on_their_parts_alone() -> None:
    assert point_of("arm", 7, 1, "v:12") == point_of("arm", 7, 1, "v:12")
    assert point_of("arm", 7, 1, "v:12") != point_of("arm", 7, 2, "v:12")
    points = np.array([point_of("arm", 7, 1, f"v:{n}") for n in range(20_000)])
    assert (points >= 0).all()
    assert (points < 1).all()
    counts = np.bincount([arm_at([0.61, 0.05, 0.34], point) for point in points], minlength=3) / len(points)
    assert counts == pytest.approx([0.61, 0.05, 0.34], abs=0.015)


def test_shares_that_end_below_one_lose_nobody() -> None:
    assert arm_at([0.5, 0.4999999, 0.0], 0.99999999) == 1


def test_less_is_lost_than_by_equal_shares() -> None:
    """Sixty epochs of 500 shoppers, three arms of 4, 5 and 7 %: rewards of each epoch are known one epoch late."""
    rates, reward, rng = np.array([0.04, 0.05, 0.07]), Reward(), np.random.default_rng(5)
    told, waiting = [Tally()] * 3, [Tally()] * 3
    given, lost = np.full(3, 1 / 3), 0.0
    for _ in range(60):
        shown = rng.multinomial(500, given)
        lost += float(shown @ (rates.max() - rates))
        told = [known + late for known, late in zip(told, waiting, strict=True)]
        waiting = [Tally(int(n), int(rng.binomial(n, rate))) for n, rate in zip(shown, rates, strict=True)]
        given = shares(judge(told, reward, rng, draws=2000).best, 0.02)
        assert given.sum() == pytest.approx(1.0)
        assert given.min() >= 0.02 - 1e-9
    equal = 60 * 500 * float((rates.max() - rates).mean())
    assert lost < 0.35 * equal
    assert given.argmax() == 2
    assert given[2] > 0.9
