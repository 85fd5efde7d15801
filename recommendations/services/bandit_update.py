"""What a running bandit learns, and when: clicks and orders counted again, and at the end of an epoch new shares by what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from django.db import transaction

from algorithms.bandit import Reward, Tally, Verdict, judge, remember, shares
from algorithms.types import Float64
from recommendations.models import Bandit, BanditArm, BanditEpoch, BanditShare
from recommendations.selectors.bandit_rewards import count_rewards
from recommendations.serving import versions
from recommendations.serving.versions import Part

LATE_EVENTS: Final = timedelta(days=1)
"""Browsers that were offline tell what they saw up to so much later; then an epoch's counts are settled."""


def reward_of(bandit: Bandit) -> Reward:
    """What the merchandiser wants, as values of a click and of an order."""
    match bandit.goal:
        case Bandit.Goal.ORDERS:
            return Reward(0.0, 1.0)
        case Bandit.Goal.BOTH:
            return Reward(1.0, bandit.order_value)
    return Reward(1.0, 0.0)


def learned(bandit: Bandit, arms: Sequence[BanditArm], now: datetime) -> list[Tally]:
    """What counts for each arm: every epoch since the last reset, faded by its age where the bandit forgets. One query."""
    rows = BanditShare.objects.for_store(bandit.store_id).filter(
        epoch__bandit=bandit, epoch__number__gte=bandit.learns_from
    )
    of_arm: dict[int, list[tuple[float, Tally]]] = {}
    for row in rows.select_related("epoch").order_by("epoch__number"):
        age = (now - (row.epoch.ended_at or now)) / timedelta(days=1)
        of_arm.setdefault(row.arm_id, []).append((age, Tally(row.shoppers, row.clickers, row.buyers)))
    return [remember(of_arm.get(arm.pk, []), bandit.half_life_days) for arm in arms]


def verdict_of(bandit: Bandit, tallies: Sequence[Tally], epoch: int) -> Verdict:
    """The same for the same counts: lots are drawn by the bandit and the epoch's number."""
    return judge(tallies, reward_of(bandit), np.random.default_rng([bandit.pk, epoch]))


@transaction.atomic
def bandit_update(*, bandit: Bandit, now: datetime) -> bool:
    """Count, and begin the next epoch if it is time. Gives whether one began.

    A frozen bandit's epochs follow each other with the same shares and the same lots, so that nobody's shelf changes and its counts
    still settle. One that has ended is only counted to the end.
    """
    bandit = (
        Bandit.objects.for_store(bandit.store_id)
        .select_for_update(of=("self",))
        .select_related("store")
        .get(pk=bandit.pk)
    )
    _count(bandit, now)
    epoch = bandit.epochs.filter(ended_at=None).first()
    if epoch is None or now < epoch.began_at + timedelta(hours=bandit.epoch_hours):
        return False
    arms = list(bandit.arms.all())
    if bandit.state == Bandit.State.FROZEN:
        kept = {row.arm_id: row for row in epoch.shares.all()}
        given = np.array([kept[arm.pk].share for arm in arms])
        best = np.array([kept[arm.pk].best for arm in arms])
        epoch_begin(bandit=bandit, arms=arms, given=given, best=best, draw=epoch.draw, now=now)
    else:
        verdict = verdict_of(bandit, learned(bandit, arms, now), epoch.number + 1)
        given = shares(verdict.best, bandit.minimum_share)
        epoch_begin(bandit=bandit, arms=arms, given=given, best=verdict.best, draw=None, now=now)
    return True


def _count(bandit: Bandit, now: datetime) -> None:
    open_epochs = list(bandit.epochs.filter(is_settled=False))
    found = count_rewards(bandit, open_epochs, now)
    for epoch in open_epochs:
        _write_counts(epoch, found)
        settles_at = (epoch.ended_at or now) + timedelta(hours=bandit.reward_window_hours) + LATE_EVENTS
        if epoch.ended_at is not None and now >= settles_at:
            epoch.is_settled = True
            epoch.save(update_fields=["is_settled"])
    bandit.counted_at = now
    bandit.save(update_fields=["counted_at"])


def _write_counts(epoch: BanditEpoch, found: Mapping[tuple[int, int], Tally]) -> None:
    changed = []
    for row in epoch.shares.all():
        tally = found.get((epoch.number, row.arm_id), Tally())
        counts = int(tally.shoppers), int(tally.clickers), int(tally.buyers)
        if counts != (row.shoppers, row.clickers, row.buyers):
            row.shoppers, row.clickers, row.buyers = counts
            changed.append(row)
    BanditShare.all_stores.bulk_update(changed, ["shoppers", "clickers", "buyers"])


def epoch_begin(
    *,
    bandit: Bandit,
    arms: Sequence[BanditArm],
    given: Float64,
    best: Float64,
    draw: int | None,
    now: datetime,
) -> BanditEpoch:
    """Close the open epoch and begin one with these shares; without a `draw` lots are drawn anew. In the caller's transaction."""
    newest = bandit.epochs.order_by("-number").values_list("number", flat=True).first() or 0
    bandit.epochs.filter(ended_at=None).update(ended_at=now)
    epoch = BanditEpoch.objects.create(
        store_id=bandit.store_id,
        bandit=bandit,
        number=newest + 1,
        draw=newest + 1 if draw is None else draw,
        began_at=now,
    )
    BanditShare.all_stores.bulk_create(
        BanditShare(
            store_id=bandit.store_id,
            epoch=epoch,
            arm=arm,
            share=min(1.0, float(share)),
            best=min(1.0, float(chance)),
        )
        for arm, share, chance in zip(arms, given, best, strict=True)
    )
    versions.bump(bandit.store_id, Part.BLEND)
    return epoch
