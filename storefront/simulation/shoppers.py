"""Who the simulated shoppers are: tastes, habits, and what they allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import numpy as np

from storefront.simulation.world import STYLES, Floats, World

# Visits in ninety days: many come once, some live here. Tuned so that 14 % of visits are somebody's first.
VISITS_MEDIAN: Final = 3.1
VISITS_SIGMA: Final = 1.35
MAX_VISITS: Final = 80
ACCOUNT_SHARE: Final = 0.42
SECOND_DEVICE_SHARE: Final = 0.2

_WEBKIT: Final = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5"
_CHROME: Final = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0"
# Share, user agent.
DEVICES: Final = (
    (0.47, f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) {_WEBKIT} Mobile/15E148 Safari/604.1"),
    (0.17, f"Mozilla/5.0 (Linux; Android 15; Pixel 9) {_CHROME} Mobile Safari/537.36"),
    (0.21, f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME} Safari/537.36"),
    (0.10, f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_WEBKIT} Safari/605.1.15"),
    (0.05, f"Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) {_WEBKIT} Mobile/15E148 Safari/604.1"),
)
PLACES: Final = (
    (0.22, "DE", "Berlin"), (0.14, "DE", "Hamburg"), (0.14, "DE", "München"), (0.10, "DE", "Köln"), (0.06, "DE", "Leipzig"),
    (0.06, "AT", "Wien"), (0.04, "AT", "Graz"), (0.06, "CH", "Zürich"), (0.07, "FR", "Paris"), (0.04, "FR", "Lyon"),
    (0.04, "NL", "Utrecht"), (0.03, "GB", "Leeds"),
)  # fmt: skip


class Answer(Enum):
    """What a shopper says to the banner."""

    ACCEPT = "accept"
    ANALYTICS_ONLY = "analytics_only"
    PERSONAL_ONLY = "personal_only"
    REJECT = "reject"
    GPC = "gpc"


_ANSWERS: Final = (
    (0.64, Answer.ACCEPT),
    (0.07, Answer.ANALYTICS_ONLY),
    (0.06, Answer.PERSONAL_ONLY),
    (0.20, Answer.REJECT),
    (0.03, Answer.GPC),
)
TRACKED: Final = frozenset({Answer.ACCEPT, Answer.ANALYTICS_ONLY, Answer.PERSONAL_ONLY})
WITHDRAWING_SHARE: Final = 0.03


@dataclass
class Shopper:
    """A person. `taste_from` and `taste_to` are mixtures of styles at the first and the last day: tastes drift.

    `intent` scales how often a visit ends in an order; `withdraws_on` is the day on which consent is taken back.
    `favourites` are main categories that a persona cares for beyond their styles. `customer_id` is None without an
    account. What a shopper has bought and last cared for is remembered here.
    """

    index: int
    anonymous_ids: tuple[str, ...]
    customer_id: str | None
    email: str
    user_agents: tuple[str, ...]
    country: str
    city: str
    birth_year: int
    gender: str
    taste_from: Floats
    taste_to: Floats
    visits: int
    intent: float
    answer: Answer
    withdraws_on: int | None
    account_age_days: int
    first_day: int | None = None
    is_control: bool = False
    identified: set[str] = field(default_factory=set)
    bought: list[int] = field(default_factory=list)
    last_main: int = -1
    favourites: tuple[int, ...] = ()
    hunts_bargains: bool = False
    cart: list[int] = field(default_factory=list)

    @property
    def is_tracked(self) -> bool:
        return self.answer in TRACKED

    def taste(self, day: int, days: int) -> Floats:
        share = min(max(day / max(days, 1), 0.0), 1.0)
        taste: Floats = self.taste_from * (1 - share) + self.taste_to * share
        return taste


@dataclass(frozen=True)
class Persona:
    """A shopper with a name, whom people can be in the demo: fixed id, tastes by main category, and number of visits."""

    customer_id: str
    email: str
    tastes: tuple[str, ...]
    visits: int
    birth_year: int
    gender: str
    country: str
    city: str


def crowd(
    world: World, count: int, prefix: str, rng: np.random.Generator, personas: Sequence[Persona] = ()
) -> list[Shopper]:
    """`count` shoppers, whose customer ids begin with `prefix`, after the personas, who accept everything and come early."""
    shoppers = [_persona(index, persona, world, rng) for index, persona in enumerate(personas)]
    shoppers += [_shopper(index, prefix, rng) for index in range(len(shoppers), len(shoppers) + count)]
    return shoppers


def _shopper(index: int, prefix: str, rng: np.random.Generator) -> Shopper:
    taste = rng.dirichlet(np.full(STYLES, 0.18))
    drift = rng.dirichlet(np.full(STYLES, 0.18))
    has_account = rng.random() < ACCOUNT_SHARE
    devices = 2 if has_account and rng.random() < SECOND_DEVICE_SHARE else 1
    _, country, city = PLACES[_pick(rng, [share for share, *_ in PLACES])]
    visits = int(np.clip(np.round(rng.lognormal(np.log(VISITS_MEDIAN), VISITS_SIGMA)), 1, MAX_VISITS))
    return Shopper(
        index=index,
        anonymous_ids=tuple(new_uuid(rng) for _ in range(devices)),
        customer_id=f"{prefix}-{index:05d}" if has_account else None,
        email=f"{prefix}-{index:05d}@simulated.example",
        user_agents=tuple(DEVICES[_pick(rng, [share for share, _ in DEVICES])][1] for _ in range(devices)),
        country=country,
        city=city,
        birth_year=int(np.clip(rng.normal(1984, 13), 1940, 2006)),
        gender=str(rng.choice(["female", "male", ""], p=[0.49, 0.42, 0.09])),
        taste_from=taste,
        taste_to=0.7 * taste + 0.3 * drift,
        visits=visits,
        intent=float(rng.gamma(0.7, 1 / 0.7)) * (1.25 if has_account else 0.75),
        answer=_ANSWERS[_pick(rng, [share for share, _ in _ANSWERS])][1],
        withdraws_on=None,
        account_age_days=int(rng.integers(0, 900)),
        hunts_bargains=bool(rng.random() < 0.12),
    )


def _persona(index: int, persona: Persona, world: World, rng: np.random.Generator) -> Shopper:
    mains = [world.main_names.index(name) for name in persona.tastes if name in world.main_names]
    liking = np.array([world.styles[style][np.isin(world.main, mains)].sum() for style in range(STYLES)])
    taste = (liking / liking.sum()) ** 4
    taste /= taste.sum()
    shopper = _shopper(index, "", rng)
    shopper.anonymous_ids, shopper.user_agents = shopper.anonymous_ids[:1], (DEVICES[2][1],)
    shopper.customer_id, shopper.email = persona.customer_id, persona.email
    shopper.country, shopper.city = persona.country, persona.city
    shopper.birth_year, shopper.gender = persona.birth_year, persona.gender
    shopper.taste_from = shopper.taste_to = taste
    shopper.favourites = tuple(mains)
    shopper.visits, shopper.intent, shopper.answer = persona.visits, 2.6, Answer.ACCEPT
    shopper.first_day = 3
    return shopper


def _pick(rng: np.random.Generator, shares: Sequence[float]) -> int:
    return int(np.searchsorted(np.cumsum(shares), rng.random() * sum(shares)))


def new_uuid(rng: np.random.Generator) -> str:
    """A random UUID (version 4) as text."""
    digits = rng.bytes(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"
