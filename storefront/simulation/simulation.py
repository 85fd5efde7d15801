"""The whole of it: a crowd, its days, and their messages in the order in which they happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from storefront.simulation.bots import Bot, bots, crawls
from storefront.simulation.browsing import browse
from storefront.simulation.calendar import Visit, visits_by_day
from storefront.simulation.messages import Message, Messenger
from storefront.simulation.shoppers import Answer, Persona, Shopper, crowd
from storefront.simulation.world import World, WorldProduct

MESSAGE_ID_PREFIX: Final = "sim"
BADLY_BUILT: Final = 5


@dataclass(frozen=True)
class Choice:
    """A shopper's answer to the banner (or a withdrawal), to be recorded before what follows it."""

    anonymous_id: str
    answer: Answer
    at: datetime
    shopper: Shopper | None
    is_withdrawal: bool = False


@dataclass
class Simulation:
    """`days` days that end at `now`. The same products, arguments and seed give the same shoppers and messages.

    `is_control` says who is in the control group, once `assign_groups` is called.
    """

    products: Sequence[WorldProduct]
    shopper_count: int
    days: int
    seed: int
    now: datetime
    personas: Sequence[Persona] = ()
    world: World = field(init=False)
    shoppers: list[Shopper] = field(init=False)
    bots: list[Bot] = field(init=False)
    visits: list[list[Visit]] = field(init=False)
    messenger: Messenger = field(init=False)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        start = (self.now - timedelta(days=self.days - 1)).date()
        self.world = World.of(self.products, start=start, days=self.days, rng=self._rng)
        prefix = f"{MESSAGE_ID_PREFIX}{self.seed}"
        self.shoppers = crowd(self.world, self.shopper_count, prefix, self._rng, self.personas)
        self.bots = bots(self.shopper_count, self.days, self._rng)
        self.visits = visits_by_day(self.world, self.shoppers, days=self.days, rng=self._rng)
        self.messenger = Messenger(self.world, self._rng, prefix, self.now)

    def assign_groups(self, is_control: Callable[[Shopper], bool]) -> None:
        for shopper in self.shoppers:
            shopper.is_control = is_control(shopper)

    def choices(self) -> list[Choice]:
        """Every answer to the banner, in order of time: each browser's at its first visit, and withdrawals."""
        found: list[Choice] = []
        asked: set[str] = set()
        for visit in (visit for day in self.visits for visit in day if visit.started_at < self.now):
            shopper = visit.shopper
            anonymous_id = shopper.anonymous_ids[visit.device]
            before = visit.started_at - timedelta(seconds=2)
            if anonymous_id not in asked:
                asked.add(anonymous_id)
                found.append(Choice(anonymous_id, shopper.answer, before, shopper))
            elif (
                shopper.withdraws_on is not None
                and visit.day >= shopper.withdraws_on
                and f"-{anonymous_id}" not in asked
            ):
                asked.add(f"-{anonymous_id}")
                found.append(Choice(anonymous_id, shopper.answer, before, shopper, is_withdrawal=True))
        first = self.now - timedelta(days=self.days)
        found.extend(Choice(bot.anonymous_id, Answer.ACCEPT, first, None) for bot in self.bots)
        return sorted(found, key=lambda choice: choice.at)

    def messages_of_day(self, day: int) -> list[Message]:
        """What happened on a day, in order of time. Days must be asked for in order: shoppers remember."""
        appeal = self.world.appeal_of_day(day)
        messages: list[Message] = []
        for visit in self.visits[day]:
            if visit.started_at < self.now:
                steps = browse(self.world, visit, appeal, days=self.days, rng=self._rng)
                messages.extend(
                    message for message in self.messenger.of_visit(visit, steps) if _is_sent(visit, message)
                )
        for bot in self.bots:
            crawled = crawls(self.world, bot, day, prefix=self.messenger.prefix, rng=self._rng)
            messages.extend(message for message in crawled if message["timestamp"] < self.now)
        messages.extend(self.messenger.refunds_of(day))
        messages.sort(key=lambda message: (message["timestamp"], message["messageId"]))
        return messages

    def messages(self, progress: Callable[[int], Any] = lambda day: None) -> Iterator[Message]:
        """Everything, day after day. `progress` is called with each day that is done."""
        for day in range(self.days):
            yield from self.messages_of_day(day)
            progress(day)


def _is_sent(visit: Visit, message: Message) -> bool:
    """Whoever has said no is not tracked by the page: only what the shop's server must tell of a sale leaves the shop.

    Some pages send all the same, as badly built shops do; the gate is there for them.
    """
    if visit.is_tracked or message.get("event") == "Order Completed":
        return True
    return is_badly_built(visit.shopper) and message["type"] == "track"


def is_badly_built(shopper: Shopper) -> bool:
    """Whether the shopper's pages disregard a refusal."""
    return shopper.index % BADLY_BUILT == 0
