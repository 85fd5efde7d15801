"""Thompson sampling over a few arms with rare, delayed rewards: who gets how large a share of the shoppers next.

An arm's trial is a shopper for an epoch; they click or not, and of those who click some order. Clicks have a flat prior,
Beta(1, 1); orders among clickers Jeffreys' Beta(½, ½). Together that is a Dirichlet over "nothing, a click, an order", so that an
order is never likelier than a click and both are sampled with the correlation that they have.

Rewards come late and are read in batches, so probabilities are worked out once an epoch and hold until the next: each shopper's
is known, and the same shopper gets the same arm as long as it lasts.

Thompson, "On the likelihood that one unknown probability exceeds another" (1933); Chapelle and Li, "An empirical evaluation of
Thompson sampling" (NIPS 2011), also for delay; Scott, "A modern Bayesian look at the multi-armed bandit" (2010), for shares by the
probability of being best.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import beta

from algorithms.experiments import Interval
from algorithms.types import Float64

DRAWS: Final = 20_000
"""Monte Carlo draws: a probability of 0.5 is then known to ± 0.007 (95 %)."""
CLICK_PRIOR: Final = 1.0
ORDER_PRIOR: Final = 0.5


@dataclass(frozen=True)
class Tally:
    """Shoppers who saw an arm, those of them who clicked, and those of them who ordered what they had clicked.

    Not whole once time has faded them. Raises ValueError unless 0 ≤ buyers ≤ clickers ≤ shoppers.
    """

    shoppers: float = 0.0
    clickers: float = 0.0
    buyers: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.buyers <= self.clickers <= self.shoppers:
            raise ValueError(
                f"need 0 ≤ buyers ≤ clickers ≤ shoppers, not {self.buyers}, {self.clickers}, {self.shoppers}"
            )

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.shoppers + other.shoppers, self.clickers + other.clickers, self.buyers + other.buyers
        )

    def faded(self, factor: float) -> Tally:
        return Tally(self.shoppers * factor, self.clickers * factor, self.buyers * factor)


@dataclass(frozen=True)
class Reward:
    """What a shopper who clicks is worth and what one who orders is worth on top. Only their ratio counts."""

    click_value: float = 1.0
    order_value: float = 0.0

    def __post_init__(self) -> None:
        if min(self.click_value, self.order_value) < 0 or self.click_value + self.order_value <= 0:
            raise ValueError("values must not be negative, and one must be above 0")


@dataclass(frozen=True)
class Rate:
    """A Beta posterior of a probability."""

    successes: float
    failures: float

    @property
    def mean(self) -> float:
        return self.successes / (self.successes + self.failures)

    def interval(self, confidence: float = 0.95) -> Interval:
        """Mean with the central credible interval."""
        low, high = beta.ppf([(1 - confidence) / 2, (1 + confidence) / 2], self.successes, self.failures)
        return Interval(self.mean, float(low), float(high))


def remember(tallies: Iterable[tuple[float, Tally]], half_life_days: float | None = None) -> Tally:
    """The sum of (age in days, tally): what is `half_life_days` old counts half. None: nothing is forgotten."""
    total = Tally()
    for age_days, tally in tallies:
        fade = 1.0 if half_life_days is None else 0.5 ** (max(0.0, age_days) / half_life_days)
        total += tally.faded(fade)
    return total


def click_rate(tally: Tally) -> Rate:
    """Of shoppers who see the arm, the share who click."""
    return Rate(CLICK_PRIOR + tally.clickers, CLICK_PRIOR + tally.shoppers - tally.clickers)


def order_rate(tally: Tally) -> Rate:
    """Of shoppers who see the arm, the share who order: the Dirichlet's marginal."""
    return Rate(ORDER_PRIOR + tally.buyers, 2 * CLICK_PRIOR - ORDER_PRIOR + tally.shoppers - tally.buyers)


def expected_value(tally: Tally, reward: Reward) -> float:
    """The posterior mean of what a shopper brings under the arm."""
    return reward.click_value * click_rate(tally).mean + reward.order_value * order_rate(tally).mean


def sample_values(tally: Tally, reward: Reward, rng: np.random.Generator, draws: int = DRAWS) -> Float64:
    """(draws,) values of a shopper, drawn from the arm's posterior."""
    clicks = click_rate(tally)
    theta = rng.beta(clicks.successes, clicks.failures, draws)
    if not reward.order_value:
        return reward.click_value * theta
    ordered = rng.beta(ORDER_PRIOR + tally.buyers, ORDER_PRIOR + tally.clickers - tally.buyers, draws)
    return np.asarray(theta * (reward.click_value + reward.order_value * ordered), np.float64)


@dataclass(frozen=True)
class Verdict:
    """Per arm: the probability of being best (they add up to 1), and the value of a shopper with its credible interval."""

    best: Float64
    values: tuple[Interval, ...]


def judge(
    tallies: Sequence[Tally],
    reward: Reward,
    rng: np.random.Generator,
    *,
    draws: int = DRAWS,
    confidence: float = 0.95,
) -> Verdict:
    """What is known of the arms. Arms that nobody has seen are alike, and told so exactly. Raises ValueError without arms."""
    if not tallies:
        raise ValueError("a bandit needs at least one arm")
    values = np.stack([sample_values(tally, reward, rng, draws) for tally in tallies])
    best = np.bincount(values.argmax(axis=0), minlength=len(tallies)) / draws
    if not any(tally.shoppers for tally in tallies):
        best = np.full(len(tallies), 1.0 / len(tallies))
    bounds = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2], axis=1)
    return Verdict(
        best,
        tuple(
            Interval(expected_value(tally, reward), float(low), float(high))
            for tally, low, high in zip(tallies, bounds[0], bounds[1], strict=True)
        ),
    )


def shares(best: Float64, minimum_share: float = 0.0) -> Float64:
    """(k,) shares of the shoppers, adding up to 1: `minimum_share` for each arm, the rest by the probability of being best.

    Raises ValueError where the arms' minimum shares together exceed 1.
    """
    k = len(best)
    if not 0 <= minimum_share * k <= 1:
        raise ValueError(f"{k} arms cannot each have {minimum_share:.0%} of the shoppers")
    given = minimum_share + (1 - k * minimum_share) * best
    return np.asarray(given / given.sum(), np.float64)


def point_of(*parts: object) -> float:
    """A number in [0, 1) that hangs on the parts alone and looks random: the same for the same parts, on every machine."""
    digest = hashlib.sha256(":".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def arm_at(given: Sequence[float], point: float) -> int:
    """The arm whose stretch of [0, 1) holds the point, the arms' shares laid end to end."""
    end = 0.0
    for arm, share in enumerate(given):
        end += share
        if point < end:
            return arm
    return max(arm for arm, share in enumerate(given) if share > 0)  # rounding: the shares end just below 1
