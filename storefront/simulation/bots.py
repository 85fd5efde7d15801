"""Crawlers: many pages, no purchase, a user agent that says what they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

import numpy as np

from storefront.simulation.messages import LIBRARY
from storefront.simulation.shoppers import new_uuid
from storefront.simulation.world import World

USER_AGENTS: Final = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
)
SHARE_OF_SHOPPERS: Final = 0.006
CRAWLS_A_MONTH: Final = 2
PAGES: Final = (30, 110)


@dataclass(frozen=True)
class Bot:
    """A scripted browser that clicked "accept" like everything else on the page."""

    anonymous_id: str
    user_agent: str
    days: frozenset[int]


def bots(shoppers: int, days: int, rng: np.random.Generator) -> list[Bot]:
    """One at least, and each comes at least once."""
    made = []
    for index in range(max(1, round(shoppers * SHARE_OF_SHOPPERS))):
        crawls = 1 + int(rng.poisson(CRAWLS_A_MONTH * days / 30))
        crawl_days = frozenset(int(day) for day in rng.integers(0, days, crawls))
        made.append(Bot(new_uuid(rng), USER_AGENTS[index % len(USER_AGENTS)], crawl_days))
    return made


def crawls(
    world: World, bot: Bot, day: int, *, prefix: str, rng: np.random.Generator
) -> Iterator[dict[str, Any]]:
    """A bot's messages on a day; mostly none."""
    if day not in bot.days:
        return
    at = datetime.combine(world.start + timedelta(days=day), time(int(rng.integers(0, 24))), tzinfo=UTC)
    context = {"library": LIBRARY, "userAgent": bot.user_agent}
    for number in range(int(rng.integers(*PAGES))):
        at += timedelta(seconds=float(rng.uniform(1, 4)))
        yield {
            "type": "track",
            "event": "Product Viewed",
            "properties": world.properties(int(rng.integers(world.size))),
            "anonymousId": bot.anonymous_id,
            "messageId": f"{prefix}-bot-{bot.anonymous_id[:8]}-{day}-{number}",
            "timestamp": at,
            "context": context,
        }
