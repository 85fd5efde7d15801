"""Off-policy estimators: by hand on a few rows, and on logs whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from algorithms.off_policy import LoggedFeedback, evaluate, importance_weights, smoothed_rates
from algorithms.types import Float64

NOTHING = {"resamples": 10, "folds": 2}


def log_of(
    actions: list[int], rewards: list[float], propensities: list[float], n_actions: int = 2
) -> LoggedFeedback:
    return LoggedFeedback(
        np.zeros(len(actions), np.int32), np.array(actions, np.int32), np.array(rewards), np.array(propensities), n_actions
    )  # fmt: skip


def test_weighted_means_by_hand() -> None:
    """The log showed the first action with 3/4. A policy that shows it with 1/4 weighs its rows 1/3, those of the other 3.

    Rewards 1, 0, 0, 1: inverse propensity (1/3 + 3) / 4 = 5/6; self-normalised (10/3) / (1/3 · 3 + 3) = 5/6.
    """
    log = log_of([0, 0, 0, 1], [1, 0, 0, 1], [0.75, 0.75, 0.75, 0.25])
    policy = np.array([[0.25, 0.75]])
    assert importance_weights(log, policy) == pytest.approx([1 / 3, 1 / 3, 1 / 3, 3])
    assert importance_weights(log, policy, cap=2.0) == pytest.approx([1 / 3, 1 / 3, 1 / 3, 2])
    found = evaluate(log, policy, np.random.default_rng(0), **NOTHING)
    assert found.inverse_propensity.estimate == pytest.approx(5 / 6)
    assert found.self_normalised.estimate == pytest.approx(5 / 6)
    assert found.effective_rows == pytest.approx(16 / (3 / 9 + 9))
    assert found.largest_weight == pytest.approx(3)


def test_rates_are_drawn_to_the_mean() -> None:
    """2 of 4 rows bring 1. The first action: 2 of 2, with 2 rows at the mean of 0.5 more: 3/4. One never shown: the mean."""
    rates = smoothed_rates(np.array([0, 0, 1, 1], np.int32), np.array([1.0, 1, 0, 0]), 3, prior_rows=2)
    assert rates == pytest.approx([0.75, 0.25, 0.5])


def test_a_policy_judged_from_its_own_log_gets_the_logs_mean() -> None:
    rng = np.random.default_rng(1)
    actions = rng.choice(2, 500, p=[0.7, 0.3]).astype(np.int32)
    rewards = rng.binomial(1, np.where(actions == 0, 0.2, 0.5)).astype(float)
    log = LoggedFeedback(np.zeros(500, np.int32), actions, rewards, np.where(actions == 0, 0.7, 0.3), 2)
    found = evaluate(log, np.array([[0.7, 0.3]]), rng, resamples=50)
    assert found.inverse_propensity.estimate == pytest.approx(rewards.mean())
    assert found.self_normalised.estimate == pytest.approx(rewards.mean())
    assert found.effective_rows == pytest.approx(500)


def world(rng: np.random.Generator, n: int) -> tuple[LoggedFeedback, Float64, float]:
    """Two contexts, three actions; the log mostly shows what does badly. Gives a policy that does the reverse, and its true value."""
    rates = np.array([[0.05, 0.10, 0.30], [0.25, 0.10, 0.05]])
    logging = np.array([[0.6, 0.3, 0.1], [0.1, 0.3, 0.6]])
    policy = np.array([[0.1, 0.2, 0.7], [0.7, 0.2, 0.1]])
    contexts = rng.integers(2, size=n).astype(np.int32)
    actions = np.array([rng.choice(3, p=logging[c]) for c in contexts], np.int32)
    rewards = rng.binomial(1, rates[contexts, actions]).astype(float)
    log = LoggedFeedback(contexts, actions, rewards, logging[contexts, actions], 3)
    return log, policy, float((policy * rates).sum(axis=1).mean())


def test_the_truth_is_found_where_it_is_known() -> None:
    """The reward model knows nothing of contexts, so that the direct method is wrong; what is weighted by propensities is not."""
    rng = np.random.default_rng(8)
    log, policy, truth = world(rng, 20_000)
    found = evaluate(log, policy, rng, resamples=200)
    assert log.rewards.mean() < 0.65 * truth
    for estimate in (found.inverse_propensity, found.self_normalised, found.doubly_robust):
        assert estimate.estimate == pytest.approx(truth, rel=0.1)
        assert estimate.low < truth < estimate.high
    assert abs(found.direct.estimate - truth) > 0.2 * truth


def test_doubly_robust_stays_right_with_wrong_propensities_where_the_model_is_right() -> None:
    """One context: rates by action are all there is to know. Propensities that are told 1.5 times too high mislead weighting alone."""
    rng = np.random.default_rng(9)
    rates, logging = np.array([0.1, 0.4]), np.array([0.5, 0.5])
    actions = rng.choice(2, 20_000, p=logging).astype(np.int32)
    rewards = rng.binomial(1, rates[actions]).astype(float)
    told = np.full(len(actions), 0.75)
    log = LoggedFeedback(np.zeros(len(actions), np.int32), actions, rewards, told, 2)
    policy, truth = np.array([[0.2, 0.8]]), 0.2 * 0.1 + 0.8 * 0.4
    found = evaluate(log, policy, rng, resamples=50)
    assert found.inverse_propensity.estimate == pytest.approx(truth / 1.5, rel=0.05)
    assert found.doubly_robust.estimate == pytest.approx(truth, rel=0.05)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """Sixty logs of 600 rows: 95 % intervals of the doubly robust estimate miss at most a few."""
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(60):
        log, policy, truth = world(rng, 600)
        found = evaluate(log, policy, rng, resamples=100).doubly_robust
        hits += found.low <= truth <= found.high
    assert hits >= 51


def test_the_same_seed_gives_the_same_figures() -> None:
    log, policy, _ = world(np.random.default_rng(1), 300)
    first, second = (evaluate(log, policy, np.random.default_rng(4), resamples=20) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (np.array([[0.5, 0.6]]), "add up"),
        (np.array([[1.2, -0.2]]), "add up"),
        (np.array([[1.0]]), "a column"),
        (np.array([0.5, 0.5]), "a row"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(policy: Float64, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(log_of([0, 1], [0, 1], [0.5, 0.5]), policy, np.random.default_rng(0))


def test_logs_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="probability 0"):
        log_of([0], [1], [0.0])
    with pytest.raises(ValueError, match="one length"):
        log_of([0, 1], [1], [0.5, 0.5])
