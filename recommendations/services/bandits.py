"""A bandit on a placement: begun within the merchandiser's bounds, frozen, set back, ended, and its winner made the placement's weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts import auditing
from accounts.models import User
from recommendations.models import Bandit, BanditArm, BlendVersion, Placement
from recommendations.services.bandit_end import bandit_end
from recommendations.services.bandit_update import epoch_begin
from recommendations.services.blends import EVERYBODY, MAX_WEIGHT, BlendDraft, blend_publish, trial_save

MIN_ARMS, MAX_ARMS = 2, 6
MAX_HOURS: Final = 24 * 28

Bounds = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class ArmPlan:
    """An arm to be: its weights, or a version that has them already and that nobody can change."""

    name: str
    origin: str
    draft: BlendDraft
    version: BlendVersion | None = None

    def outside(self, bounds: Bounds) -> list[str]:
        """In words, where everybody's weights leave the bounds."""
        weights = self.draft.rows.get(EVERYBODY, {})
        return [
            f"“{self.name}” gives {strategy} {weights.get(strategy, 0.0):g}: your bounds are {low:g} to {high:g}."
            for strategy, (low, high) in bounds.items()
            if not low - 1e-9 <= weights.get(strategy, 0.0) <= high + 1e-9
        ]


@dataclass(frozen=True)
class BanditPlan:
    """What a merchandiser settles before a bandit begins. `bounds` are about the weights for everybody; a strategy without is free."""

    arms: Sequence[ArmPlan]
    goal: str = Bandit.Goal.CLICKS
    order_value: float = 10.0
    minimum_share: float = 0.05
    epoch_hours: int = 24
    reward_window_hours: int = 24
    half_life_days: float | None = None
    bounds: Bounds = field(default_factory=dict)

    def problems(self) -> dict[str, list[str]]:
        """Field → what is wrong there; empty for a plan that can begin."""
        found: dict[str, list[str]] = {}
        if not MIN_ARMS <= len(self.arms) <= MAX_ARMS:
            found["arms"] = [f"Choose {MIN_ARMS} to {MAX_ARMS} arms: there are {len(self.arms)}."]
        elif len({arm.name for arm in self.arms}) < len(self.arms):
            found["arms"] = ["Two arms have the same name."]
        elif doubled := _doubled(self.arms):
            found["arms"] = [
                f"“{doubled[0]}” and “{doubled[1]}” have the same weights: nothing could be learned."
            ]
        for strategy, (low, high) in self.bounds.items():
            if not (math.isfinite(low) and math.isfinite(high) and 0 <= low <= high <= MAX_WEIGHT):
                found.setdefault("bounds", []).append(
                    f"{strategy}: from {low:g} to {high:g}. Need 0 ≤ lowest ≤ highest ≤ {MAX_WEIGHT:g}."
                )
        if "bounds" not in found and (
            outside := [text for arm in self.arms for text in arm.outside(self.bounds)]
        ):
            found["bounds"] = outside
        return found | self._problems_of_numbers()

    def _problems_of_numbers(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        if self.goal not in Bandit.Goal.values:
            found["goal"] = [f"{self.goal!r} is none of {', '.join(Bandit.Goal.values)}."]
        if not (math.isfinite(self.order_value) and 0 < self.order_value <= 1000):
            found["order_value"] = ["More than 0, at most 1,000 clicks."]
        highest = 1 / max(len(self.arms), MIN_ARMS)
        if not 0 <= self.minimum_share <= highest:
            found["minimum_share"] = [f"From 0 to {highest:.0%}: the arms share all shoppers."]
        for name in ("epoch_hours", "reward_window_hours"):
            if not 1 <= getattr(self, name) <= MAX_HOURS:
                found[name] = [f"From 1 to {MAX_HOURS} hours."]
        if self.half_life_days is not None and not (
            math.isfinite(self.half_life_days) and 0.5 <= self.half_life_days <= 3650
        ):
            found["half_life_days"] = ["From half a day to ten years; empty: nothing is forgotten."]
        return found


def _doubled(arms: Sequence[ArmPlan]) -> tuple[str, str] | None:
    for place, arm in enumerate(arms):
        for other in arms[:place]:
            if other.draft == arm.draft:
                return other.name, arm.name
    return None


def running_bandit(placement: Placement) -> Bandit | None:
    return placement.bandits.exclude(state=Bandit.State.ENDED).first()


@transaction.atomic
def bandit_start(*, placement: Placement, plan: BanditPlan, user: User | None) -> Bandit:
    """Every arm begins with the same share. Raises ValidationError, with nothing changed, for a plan that cannot be, where a bandit
    runs already, and where nothing is published."""
    if problems := plan.problems():
        raise ValidationError(problems)
    locked = Placement.objects.for_store(placement.store_id).select_for_update().get(pk=placement.pk)
    if running_bandit(locked) is not None:
        raise ValidationError("A bandit runs on this placement already: end it first.")
    if not locked.versions.filter(state=BlendVersion.State.PUBLISHED).exists():
        raise ValidationError(
            "Nothing is published on this placement: shoppers outside of the bandit need weights."
        )
    bandit = Bandit.objects.create(
        store_id=locked.store_id,
        placement=locked,
        goal=plan.goal,
        order_value=plan.order_value,
        minimum_share=plan.minimum_share,
        epoch_hours=plan.epoch_hours,
        reward_window_hours=plan.reward_window_hours,
        half_life_days=plan.half_life_days,
        bounds={name: [float(low), float(high)] for name, (low, high) in plan.bounds.items()},
        created_by=user,
    )
    arms = [_arm_create(bandit, number, arm, user) for number, arm in enumerate(plan.arms, start=1)]
    equal = np.full(len(arms), 1 / len(arms))
    epoch_begin(bandit=bandit, arms=arms, given=equal, best=equal, draw=None, now=bandit.started_at)
    _record(bandit, user, "started", {"arms": [arm.version.number for arm in arms], "goal": bandit.goal})
    return bandit


def _arm_create(bandit: Bandit, number: int, plan: ArmPlan, user: User | None) -> BanditArm:
    version = plan.version
    if version is None or version.state == BlendVersion.State.DRAFT:
        # A draft goes on being edited: what is tried must not.
        version = trial_save(placement=bandit.placement, draft=plan.draft, name=plan.name, user=user)
    return BanditArm.objects.create(
        store_id=bandit.store_id,
        bandit=bandit,
        number=number,
        name=plan.name[:80],
        origin=plan.origin[:120],
        version=version,
    )


@transaction.atomic
def bandit_freeze(*, bandit: Bandit, user: User | None, reason: str = "") -> Bandit:
    """Shares stand still, and every shopper keeps their arm, until it is resumed. Clicks go on being counted.

    Raises ValidationError unless it learns.
    """
    return _change_state(bandit, Bandit.State.LEARNING, Bandit.State.FROZEN, "frozen", user, reason)


@transaction.atomic
def bandit_resume(*, bandit: Bandit, user: User | None, reason: str = "") -> Bandit:
    """It learns again, from the next epoch on. Raises ValidationError unless it is frozen."""
    return _change_state(bandit, Bandit.State.FROZEN, Bandit.State.LEARNING, "resumed", user, reason)


def _change_state(
    bandit: Bandit, before: Bandit.State, after: Bandit.State, verb: str, user: User | None, reason: str
) -> Bandit:
    locked = _locked(bandit)
    if locked.state != before:
        raise ValidationError(f"It is {locked.get_state_display().lower()}, not {before.label.lower()}.")
    locked.state = after
    locked.save(update_fields=["state"])
    _record(locked, user, verb, {}, reason)
    return locked


@transaction.atomic
def bandit_reset(*, bandit: Bandit, user: User | None, reason: str = "") -> Bandit:
    """Forget what was learned: equal shares from now on, lots drawn anew. What was counted before stays readable.

    Raises ValidationError for a bandit that has ended.
    """
    locked = _locked(bandit)
    if locked.state == Bandit.State.ENDED:
        raise ValidationError("It has ended: begin another one.")
    arms = list(locked.arms.all())
    equal = np.full(len(arms), 1 / len(arms))
    epoch = epoch_begin(bandit=locked, arms=arms, given=equal, best=equal, draw=None, now=timezone.now())
    locked.learns_from, locked.state = epoch.number, Bandit.State.LEARNING
    locked.save(update_fields=["learns_from", "state"])
    _record(locked, user, "reset", {"epoch": epoch.number}, reason)
    return locked


@transaction.atomic
def bandit_adopt(*, arm: BanditArm, user: User | None, reason: str = "") -> BlendVersion:
    """The arm's weights become the placement's, for everybody, and the bandit ends.

    Raises ValidationError where the bandit has ended before.
    """
    bandit = _locked(arm.bandit)
    if bandit.state == Bandit.State.ENDED:
        raise ValidationError("It has ended already: publish the arm's version from the list of versions.")
    bandit_end(bandit=bandit, user=user, outcome=f"“{arm.name}” was adopted.")
    version = arm.version
    version.refresh_from_db()
    if version.state == BlendVersion.State.PUBLISHED:
        return version
    return blend_publish(version=version, user=user, reason=reason or f"winner of a bandit: {arm.name}")


def _locked(bandit: Bandit) -> Bandit:
    rows = Bandit.objects.for_store(bandit.store_id).select_for_update(of=("self",))
    return rows.select_related("store", "placement").get(pk=bandit.pk)


def _record(
    bandit: Bandit, user: User | None, verb: str, details: Mapping[str, object], reason: str = ""
) -> None:
    auditing.record(
        store=bandit.store,
        actor=user,
        action=f"bandit.{verb}",
        target=f"placement:{bandit.placement_id}",
        reason=reason,
        details={"bandit": bandit.pk, **details},
    )
