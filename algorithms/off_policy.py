"""What a policy would have brought, told from the log of another one that showed things with known probabilities.

Rows are (context, action, reward, propensity): in a context (a place on the page, a kind of shopper) the logging policy showed an
action with that probability. The policy to be judged is a table of probabilities.

- direct method: the mean of a reward model; no variance to speak of, as wrong as the model;
- inverse propensity (Horvitz and Thompson 1952): each reward weighs as much more as the new policy would have shown it; unbiased, noisy;
- self-normalised (Swaminathan and Joachims 2015): the same, divided by the sum of the weights; slightly biased, calmer;
- doubly robust (Dudík, Langford and Li 2011): the model, corrected by the weighted residuals; right if either is. The model is
  cross-fitted, so that no row is corrected by a model that has seen it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from algorithms.experiments import Interval
from algorithms.types import Float64, Int32


@dataclass(frozen=True)
class LoggedFeedback:
    """All (n,): context and action as numbers from 0, reward, and the probability > 0 with which the action was shown."""

    contexts: Int32
    actions: Int32
    rewards: Float64
    propensities: Float64
    n_actions: int

    def __post_init__(self) -> None:
        shapes = {len(self.contexts), len(self.actions), len(self.rewards), len(self.propensities)}
        if len(shapes) > 1 or not len(self.actions):
            raise ValueError(f"columns must have one length of at least 1, found {sorted(shapes)}")
        if not (self.propensities > 0).all():
            raise ValueError("an action that was shown cannot have had the probability 0")

    def __len__(self) -> int:
        return len(self.actions)


@dataclass(frozen=True)
class Estimates:
    """Mean reward of a row under the judged policy, each with the percentile interval of a bootstrap over rows.

    `effective_rows` is (Σw)² / Σw² (Kish 1965): how many rows of the judged policy the log is worth. `largest_weight` is the
    weight of the row that counts most, after the cap.
    """

    direct: Interval
    inverse_propensity: Interval
    self_normalised: Interval
    doubly_robust: Interval
    effective_rows: float
    largest_weight: float


def importance_weights(log: LoggedFeedback, policy: Float64, cap: float | None = None) -> Float64:
    """(n,) how much likelier the policy shows each row's action than the log's did; above `cap` it is cut to it."""
    weights = policy[log.contexts, log.actions] / log.propensities
    return weights if cap is None else np.minimum(weights, cap)


def smoothed_rates(
    actions: Int32, rewards: Float64, n_actions: int, prior_rows: float, row_weights: Float64 | None = None
) -> Float64:
    """(n_actions,) mean reward of each action, as if it had been shown `prior_rows` times more at the mean of all."""
    shown = np.bincount(actions, row_weights, minlength=n_actions)
    brought = np.bincount(
        actions, rewards if row_weights is None else rewards * row_weights, minlength=n_actions
    )
    mean = brought.sum() / max(shown.sum(), 1.0)
    return np.asarray((brought + prior_rows * mean) / (shown + prior_rows), np.float64)


def evaluate(
    log: LoggedFeedback,
    policy: Float64,
    rng: np.random.Generator,
    *,
    cap: float | None = None,
    folds: int = 5,
    prior_rows: float = 100.0,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Estimates:
    """`policy`: (n_contexts, n_actions) probabilities, each row adding up to 1.

    The bootstrap fits the reward model anew each time. Raises ValueError for a table that does not fit the log, or fewer than two folds.
    """
    _check(log, policy, folds)
    weights = importance_weights(log, policy, cap)
    fold = (rng.permutation(len(log)) % folds).astype(np.int32)
    point = _estimate(log, policy, weights, fold, folds, prior_rows, np.ones(len(log)))
    drawn = np.array(
        [
            _estimate(log, policy, weights, fold, folds, prior_rows, _resampled(len(log), rng))
            for _ in range(resamples)
        ]
    )
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    direct, inverse, normalised, robust = (
        Interval(float(point[i]), float(low[i]), float(high[i])) for i in range(4)
    )
    squares = float((weights**2).sum())
    return Estimates(
        direct,
        inverse,
        normalised,
        robust,
        effective_rows=float(weights.sum() ** 2 / squares) if squares else 0.0,
        largest_weight=float(weights.max()),
    )


def _check(log: LoggedFeedback, policy: Float64, folds: int) -> None:
    if policy.ndim != 2 or policy.shape[1] != log.n_actions or log.contexts.max() >= len(policy):
        raise ValueError(
            f"the policy's table is {policy.shape}: need a row for each of {log.contexts.max() + 1} contexts "
            f"and a column for each of {log.n_actions} actions"
        )
    if (policy < 0).any() or not np.allclose(policy.sum(axis=1), 1.0):
        raise ValueError("the policy's probabilities must add up to 1 in each context")
    if folds < 2:
        raise ValueError(f"cross-fitting needs at least 2 folds, not {folds}")


def _resampled(n: int, rng: np.random.Generator) -> Float64:
    """(n,) how often a bootstrap sample holds each row."""
    return np.bincount(rng.integers(n, size=n), minlength=n).astype(np.float64)


def _estimate(
    log: LoggedFeedback,
    policy: Float64,
    weights: Float64,
    fold: Int32,
    folds: int,
    prior_rows: float,
    counts: Float64,
) -> Float64:
    """(4,) direct, inverse propensity, self-normalised, doubly robust; `counts`: how often each row counts."""
    rates = np.stack(
        [
            smoothed_rates(
                log.actions, log.rewards, log.n_actions, prior_rows, np.where(fold == held_out, 0.0, counts)
            )
            for held_out in range(folds)
        ]
    )
    predicted = (rates @ policy.T)[fold, log.contexts]
    residuals = weights * (log.rewards - rates[fold, log.actions])
    total = counts.sum()
    weighted = float(counts @ (weights * log.rewards))
    return np.array(
        [
            counts @ predicted / total,
            weighted / total,
            weighted / max(float(counts @ weights), np.finfo(float).tiny),
            counts @ (predicted + residuals) / total,
        ]
    )
