"""When shoppers come: a first visit, returns that cluster while somebody is deciding, evenings and weekends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final

import numpy as np

from storefront.simulation.shoppers import WITHDRAWING_SHARE, Shopper
from storefront.simulation.world import World

# Share of visits by hour of the day.
_HOURS: Final = np.array(
    [1, 0.5, 0.3, 0.2, 0.2, 0.4, 1, 2, 3, 4, 4.5, 5, 5.5, 5, 4.5, 4.5, 4.5, 5, 6, 7.5, 9, 9, 6, 3]
)
_WEEKDAYS: Final = np.array([1.0, 0.95, 0.95, 1.0, 0.95, 1.15, 1.3])
RETURN_SOON_SHARE: Final = 0.4
MINIMUM_GAP: Final = timedelta(hours=3)


@dataclass(frozen=True)
class Visit:
    """One coming. `device` indexes the shopper's browsers; `number` counts the shopper's visits from 0."""

    shopper: Shopper
    started_at: datetime
    day: int
    device: int
    number: int

    @property
    def is_tracked(self) -> bool:
        """Whether the browser lets itself be recognised on this visit."""
        withdraws_on = self.shopper.withdraws_on
        return self.shopper.is_tracked and (withdraws_on is None or self.day < withdraws_on)


def visits_by_day(
    world: World, shoppers: list[Shopper], *, days: int, rng: np.random.Generator
) -> list[list[Visit]]:
    """For each day its visits in order of time. Two visits of one shopper are at least three hours apart."""
    by_day: list[list[Visit]] = [[] for _ in range(days)]
    weights = np.array([_WEEKDAYS[(world.start + timedelta(days=day)).weekday()] for day in range(days)])
    growth = np.linspace(0.8, 1.2, days)
    for shopper in shoppers:
        chosen = _days_of(shopper, weights * growth, days, rng)
        if shopper.is_tracked and rng.random() < WITHDRAWING_SHARE and len(chosen) > 2:
            shopper.withdraws_on = int(chosen[len(chosen) // 2])
        last = datetime.min.replace(tzinfo=UTC)
        number = 0
        for day in chosen:
            moment = _moment(world, int(day), rng)
            if moment - last < MINIMUM_GAP:
                moment = last + MINIMUM_GAP + timedelta(minutes=float(rng.exponential(40)))
            index = (moment.date() - world.start).days
            if index >= days:
                break
            device = int(rng.integers(len(shopper.anonymous_ids))) if number else 0
            by_day[index].append(Visit(shopper, moment, index, device, number))
            last, number = moment, number + 1
    for visits in by_day:
        visits.sort(key=lambda visit: (visit.started_at, visit.shopper.index))
    return by_day


def _days_of(shopper: Shopper, weights: np.ndarray, days: int, rng: np.random.Generator) -> np.ndarray:
    """The days on which a shopper comes, sorted; a day may come twice."""
    first = (
        shopper.first_day
        if shopper.first_day is not None
        else int(rng.choice(days, p=weights / weights.sum()))
    )
    # Who comes often has mostly come from early on.
    if shopper.first_day is None and shopper.visits > 4:
        first = min(first, int(rng.choice(days, p=weights / weights.sum())))
    chosen = [min(first, days - 1)]
    for _ in range(shopper.visits - 1):
        if rng.random() < RETURN_SOON_SHARE:
            chosen.append(min(chosen[int(rng.integers(len(chosen)))] + int(rng.geometric(0.45)), days - 1))
        else:
            chosen.append(int(rng.integers(chosen[0], days)))
    return np.sort(np.array(chosen))


def _moment(world: World, day: int, rng: np.random.Generator) -> datetime:
    hour = int(rng.choice(24, p=_HOURS / _HOURS.sum()))
    start = datetime.combine(world.start + timedelta(days=day), time(hour), tzinfo=UTC)
    return start + timedelta(seconds=float(rng.uniform(0, 3600)))
