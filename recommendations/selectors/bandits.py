"""How a bandit stands: its arms with what shoppers did under each, and why each has the share that it has, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from algorithms.bandit import Tally, click_rate, order_rate
from algorithms.experiments import Interval
from recommendations.models import Bandit, BanditArm, BanditEpoch, BanditShare
from recommendations.services.bandit_update import learned, verdict_of


def bandits_to_count() -> QuerySet[Bandit]:
    """Of every store: those that run, and those that ended so lately that clicks may still come."""
    unsettled = Q(~Q(state=Bandit.State.ENDED)) | Q(epochs__is_settled=False)
    return Bandit.all_stores.filter(unsettled).distinct().select_related("store").order_by("pk")


@dataclass(frozen=True)
class ArmStanding:
    """`counts` are all shoppers since the last reset, `share` is that of now. `clicks`, `orders` and `value` are posterior means with
    95 % credible intervals of what counts now (faded, where the bandit forgets); `best`: the probability that the arm is the best."""

    arm: BanditArm
    share: float
    counts: Tally
    clicks: Interval
    orders: Interval
    value: Interval
    best: float


@dataclass(frozen=True)
class Standing:
    """Arms in their own order. `history` are the epochs with their shares, oldest first."""

    bandit: Bandit
    arms: tuple[ArmStanding, ...]
    history: tuple[tuple[BanditEpoch, dict[int, BanditShare]], ...]

    @property
    def epoch(self) -> BanditEpoch:
        return self.history[-1][0]

    @property
    def leader(self) -> ArmStanding:
        """The arm that is most probably the best."""
        return max(self.arms, key=lambda arm: (arm.best, -arm.arm.number))

    @property
    def shoppers(self) -> int:
        return int(sum(arm.counts.shoppers for arm in self.arms))


def standing_of(bandit: Bandit, now: datetime) -> Standing:
    """As counted last. Four queries, however many arms and epochs."""
    arms = list(bandit.arms.select_related("version").prefetch_related("version__weights"))
    rows = BanditShare.objects.for_store(bandit.store_id).filter(epoch__bandit=bandit)
    epochs: dict[int, tuple[BanditEpoch, dict[int, BanditShare]]] = {}
    for row in rows.select_related("epoch").order_by("epoch__number"):
        epochs.setdefault(row.epoch_id, (row.epoch, {}))[1][row.arm_id] = row
    history = tuple(epochs.values())
    known = learned(bandit, arms, now)
    verdict = verdict_of(bandit, known, history[-1][0].number + 1)
    return Standing(
        bandit,
        tuple(
            ArmStanding(
                arm=arm,
                share=history[-1][1][arm.pk].share,
                counts=_counts(history, arm, bandit.learns_from),
                clicks=click_rate(tally).interval(),
                orders=order_rate(tally).interval(),
                value=verdict.values[place],
                best=float(verdict.best[place]),
            )
            for place, (arm, tally) in enumerate(zip(arms, known, strict=True))
        ),
        history,
    )


def _counts(
    history: Sequence[tuple[BanditEpoch, dict[int, BanditShare]]], arm: BanditArm, since: int
) -> Tally:
    total = Tally()
    for epoch, shares in history:
        if epoch.number >= since and arm.pk in shares:
            row = shares[arm.pk]
            total += Tally(row.shoppers, row.clickers, row.buyers)
    return total


def explain(standing: Standing, of: ArmStanding) -> str:
    """Why the arm has its share, in a sentence or two that the figures bear out."""
    bandit, leader = standing.bandit, standing.leader
    begins = f"“{of.arm.name}” gets {of.share:.0%} of shoppers"
    if not standing.shoppers:
        return f"{begins}: nobody has been counted yet, so all arms have the same."
    did = _did(bandit, of)
    if bandit.state == Bandit.State.FROZEN:
        return f"{begins}: shares are frozen. {did} It is the best arm with a probability of {of.best:.0%}."
    if of is leader:
        others = [arm for arm in standing.arms if arm is not of]
        second = max(others, key=lambda arm: arm.value.estimate)
        return (
            f"{begins}. {did} It is the best arm with a probability of {of.best:.0%}; next is “{second.arm.name}” "
            f"with {_figure(bandit, second)}.{_pending(of)}"
        )
    least = f" {bandit.minimum_share:.0%} is what every arm keeps, so that a change of mind stays possible."
    at_least = of.best < 0.01 and bandit.minimum_share > 0
    return f"{begins}. {did} It is the best arm with a probability of {of.best:.0%}.{least if at_least else _pending(of)}"


def _pending(of: ArmStanding) -> str:
    """Shares are those of the epoch's beginning: what was counted since changes them with the next one."""
    return " The next epoch follows what was counted since." if abs(of.share - of.best) > 0.15 else ""


def _did(bandit: Bandit, of: ArmStanding) -> str:
    n = int(of.counts.shoppers)
    if not n:
        return "Nobody who saw it has been counted yet."
    who = f"Of {n:,} shoppers who saw it"
    clicked, bought = of.counts.clickers / n, of.counts.buyers / n
    if bandit.goal == Bandit.Goal.CLICKS:
        return f"{who} {clicked:.1%} clicked."
    if bandit.goal == Bandit.Goal.ORDERS:
        return f"{who} {bought:.1%} ordered what they had clicked."
    return f"{who} {clicked:.1%} clicked and {bought:.1%} ordered."


def _figure(bandit: Bandit, of: ArmStanding) -> str:
    n = of.counts.shoppers
    if not n:
        return "nobody counted yet"
    clicked, bought = of.counts.clickers / n, of.counts.buyers / n
    if bandit.goal == Bandit.Goal.CLICKS:
        return f"{clicked:.1%} of {int(n):,}"
    if bandit.goal == Bandit.Goal.ORDERS:
        return f"{bought:.1%} of {int(n):,}"
    return f"{clicked:.1%} and {bought:.1%} of {int(n):,}"
