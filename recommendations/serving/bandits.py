"""Running bandits as serving reads them: the arms of a placement with their shares, held in memory with the configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from algorithms.bandit import arm_at, point_of
from recommendations.models import BanditShare, BlendVersion
from recommendations.models.bandit import Bandit
from recommendations.shelf import DrawnArm

if TYPE_CHECKING:
    from recommendations.serving.configuration import BlendSettings


@dataclass(frozen=True, slots=True)
class ArmSettings:
    """`share` is the probability with which a shopper gets the arm in this epoch."""

    pk: int
    name: str
    share: float
    blend: BlendSettings


@dataclass(frozen=True, slots=True)
class BanditSettings:
    """The open epoch of a running bandit. While `draw` stands, a shopper keeps their arm."""

    pk: int
    epoch: int
    draw: int
    arms: tuple[ArmSettings, ...]

    def arm_of(self, shopper_key: str) -> ArmSettings:
        """A matter of the key, the bandit and the draw alone: nothing is stored, and no request changes it."""
        point = point_of("arm", self.pk, self.draw, shopper_key)
        return self.arms[arm_at([arm.share for arm in self.arms], point)]

    def drawn(self, arm: ArmSettings) -> DrawnArm:
        return DrawnArm(arm.pk, arm.name, arm.share, self.epoch)


def read_bandits(
    store_id: int, settings_of: Callable[[BlendVersion], BlendSettings]
) -> Mapping[int, BanditSettings]:
    """Placement's primary key → its running bandit. One query, and one more while a bandit runs."""
    rows = (
        BanditShare.objects.for_store(store_id)
        .filter(epoch__ended_at=None)
        .exclude(epoch__bandit__state=Bandit.State.ENDED)
        .select_related("epoch__bandit", "arm__version")
        .prefetch_related("arm__version__weights")
        .order_by("arm__number")
    )
    arms: dict[int, list[ArmSettings]] = {}
    epochs = {}
    for row in rows:
        placement_id = row.epoch.bandit.placement_id
        epochs[placement_id] = row.epoch
        arms.setdefault(placement_id, []).append(
            ArmSettings(row.arm_id, row.arm.name, row.share, settings_of(row.arm.version))
        )
    return {
        placement_id: BanditSettings(epoch.bandit_id, epoch.number, epoch.draw, tuple(arms[placement_id]))
        for placement_id, epoch in epochs.items()
    }
