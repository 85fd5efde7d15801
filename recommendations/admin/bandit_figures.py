"""A bandit's standing as its page shows it: sentences, a table, intervals on one scale, shares over time, weights side by side."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts.display.charts import Estimate, LineChart, Series
from algorithms.experiments import Interval
from recommendations.admin.strategies import StrategyText, text_of
from recommendations.models import Bandit, BanditArm
from recommendations.selectors.bandits import ArmStanding, Standing, explain
from recommendations.services.blends import EVERYBODY

CHART_EPOCHS = 90


@dataclass(frozen=True)
class Row:
    """An arm of the table. `rate` is about the bandit's goal; intervals share one scale."""

    standing: ArmStanding
    colour: int
    rate: Estimate
    explanation: str
    is_leader: bool

    @property
    def share_percent(self) -> str:
        return f"{100 * self.standing.share:.1f}"

    @property
    def best_percent(self) -> str:
        return f"{100 * self.standing.best:.1f}"


@dataclass(frozen=True)
class WeightRow:
    """A strategy's weight for everybody under each arm, and whether it differs from the first arm's."""

    text: StrategyText
    cells: list[tuple[float, bool]]
    bounds: str


def figures_of(standing: Standing) -> dict[str, Any]:
    """For `bandit.html`."""
    bandit = standing.bandit
    rates = [_rate(bandit, arm) for arm in standing.arms]
    scale = max(rate.high for rate in rates)
    leader = standing.leader
    rows = [
        Row(
            arm,
            place,
            _estimate(bandit, arm.arm.name, rate, scale),
            explain(standing, arm),
            arm is leader and bool(standing.shoppers),
        )
        for place, (arm, rate) in enumerate(zip(standing.arms, rates, strict=True))
    ]
    epoch = standing.epoch
    return {
        "standing": standing,
        "rows": rows,
        "by_share": sorted(rows, key=lambda row: -row.standing.share),
        "rate_label": _RATES[Bandit.Goal(bandit.goal)],
        "chart": _shares(standing),
        "weights": _weights(bandit, [arm.arm for arm in standing.arms]),
        "epoch": epoch,
        "epoch_ends_at": epoch.began_at + timedelta(hours=bandit.epoch_hours),
    }


_RATES = {
    Bandit.Goal.CLICKS: "Shoppers who click",
    Bandit.Goal.ORDERS: "Shoppers who order what they clicked",
    Bandit.Goal.BOTH: "Value of a shopper, in clicks",
}


def _rate(bandit: Bandit, arm: ArmStanding) -> Interval:
    match bandit.goal:
        case Bandit.Goal.CLICKS:
            return arm.clicks
        case Bandit.Goal.ORDERS:
            return arm.orders
    return arm.value


def _estimate(bandit: Bandit, name: str, rate: Interval, scale: float) -> Estimate:
    if bandit.goal == Bandit.Goal.BOTH:
        text = f"{rate.estimate:.3f} ({rate.low:.3f} to {rate.high:.3f})"
    else:
        text = f"{100 * rate.estimate:.2f} % ({100 * rate.low:.2f} % to {100 * rate.high:.2f} %)"
    return Estimate(name, rate.low, rate.estimate, rate.high, text, scale)


def _shares(standing: Standing) -> LineChart:
    history = standing.history[-CHART_EPOCHS:]
    labels = [timezone.localtime(epoch.began_at).strftime("%-d %b %H:%M") for epoch, _ in history]
    series = [
        Series(
            arm.arm.name,
            [100 * shares[arm.arm.pk].share if arm.arm.pk in shares else None for _, shares in history],
            place,
        )
        for place, arm in enumerate(standing.arms)
    ]
    return LineChart(
        "Share of shoppers, by epoch",
        labels,
        series,
        unit="%",
        decimals=1,
        note="Each point is an epoch from its beginning on: shares stand still within it.",
    )


def _weights(bandit: Bandit, arms: list[BanditArm]) -> list[WeightRow]:
    """Strategies that any arm or bound names, the loudest of today first."""
    weights = [_everybody(arm) for arm in arms]
    names = {name for row in weights for name in row} | set(bandit.bounds)
    ordered = sorted(names, key=lambda name: (-weights[0].get(name, 0.0), name))
    return [
        WeightRow(
            text_of(name),
            [(row.get(name, 0.0), row.get(name, 0.0) != weights[0].get(name, 0.0)) for row in weights],
            _bounds_text(bandit.bounds.get(name)),
        )
        for name in ordered
    ]


def _everybody(arm: BanditArm) -> dict[str, float]:
    segment, density = EVERYBODY
    for row in arm.version.weights.all():
        if (row.segment_id, row.density) == (segment, density):
            return dict(row.weights)
    return {}


def _bounds_text(bounds: list[float] | None) -> str:
    return "free" if bounds is None else f"{bounds[0]:g} to {bounds[1]:g}"
