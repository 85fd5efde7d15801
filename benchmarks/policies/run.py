"""What is estimated from what: each logged policy from the other's log, and ours from the random one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from algorithms import bandit
from algorithms.experiments import Interval, wilson
from algorithms.off_policy import Estimates, LoggedFeedback, evaluate
from algorithms.types import Float64
from benchmarks.policies.open_bandit import Campaign

LEARNING_DAYS: Final = 4
"""Of the week: what our policy learns from, before it is judged on the rest."""
WEIGHT_CAP: Final = 100.0
"""Rows that the logging policy hardly ever showed count at most so much: one row must not be the whole estimate."""


@dataclass(frozen=True)
class Comparison:
    """`truth`: clicks per row when the judged policy ran itself; None for a policy that never did. `logged`: of the log that was used."""

    campaign: str
    policy: str
    log: str
    rows: int
    logged: Interval
    truth: Interval | None
    estimates: Estimates

    def relative_error(self, estimate: Interval) -> float | None:
        """|estimate − truth| / truth."""
        if self.truth is None or not self.truth.estimate:
            return None
        return abs(estimate.estimate - self.truth.estimate) / self.truth.estimate


def run(
    campaigns: Iterable[Campaign],
    *,
    seed: int,
    resamples: int,
    progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> list[Comparison]:
    """Three comparisons for each campaign. The same seed gives the same figures."""
    found: list[Comparison] = []
    for campaign in progress(campaigns):
        for policy, log_name, log, table, truth in _tasks(campaign, seed):
            estimates = evaluate(log, table, np.random.default_rng(seed), cap=WEIGHT_CAP, resamples=resamples)
            found.append(Comparison(campaign.name, policy, log_name, len(log), _mean(log), truth, estimates))
    return found


def _tasks(campaign: Campaign, seed: int) -> list[tuple[str, str, LoggedFeedback, Float64, Interval | None]]:
    random, thompson = campaign.random, campaign.thompson
    contexts = int(max(random.contexts.max(), thompson.contexts.max())) + 1
    uniform = np.full((contexts, random.n_actions), 1.0 / random.n_actions)
    learning = campaign.random_days < LEARNING_DAYS
    ours = our_policy(_rows(random, learning), contexts, seed)
    return [
        ("Thompson sampling", "random", random, frequencies(thompson, contexts), _mean(thompson)),
        ("random", "Thompson sampling", thompson, uniform, _mean(random)),
        ("ours, learned on days 1–4", "random, days 5–7", _rows(random, ~learning), ours, None),
    ]


def frequencies(log: LoggedFeedback, contexts: int) -> Float64:
    """How often the log's policy showed each action in each context: its probabilities, where nothing else of the shopper counted.

    (The data tell a policy's probability of what it showed, not of what it did not show.)
    """
    shown = np.zeros((contexts, log.n_actions))
    np.add.at(shown, (log.contexts, log.actions), 1.0)
    return np.asarray(shown / shown.sum(axis=1, keepdims=True), np.float64)


def our_policy(log: LoggedFeedback, contexts: int, seed: int) -> Float64:
    """The shares that our Thompson sampling would give the actions after this log, the same in every context."""
    shown = np.bincount(log.actions, minlength=log.n_actions)
    clicked = np.bincount(log.actions, log.rewards, minlength=log.n_actions)
    tallies = [bandit.Tally(float(n), float(c)) for n, c in zip(shown, clicked, strict=True)]
    verdict = bandit.judge(tallies, bandit.Reward(), np.random.default_rng(seed))
    return np.tile(bandit.shares(verdict.best, minimum_share=0.1 / log.n_actions), (contexts, 1))


def _rows(log: LoggedFeedback, chosen: Any) -> LoggedFeedback:
    return LoggedFeedback(
        log.contexts[chosen],
        log.actions[chosen],
        log.rewards[chosen],
        log.propensities[chosen],
        log.n_actions,
    )


def _mean(log: LoggedFeedback) -> Interval:
    return wilson(int(log.rewards.sum()), len(log))
