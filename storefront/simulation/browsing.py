"""What somebody does in one visit, step by step: looks, compares, comes back to what was seen, and sometimes buys."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import numpy as np

from storefront.simulation.calendar import Visit
from storefront.simulation.shelves import ShownShelf, home_shelf, similar_shelf
from storefront.simulation.world import Floats, World

# Tuned against traits.TARGETS.
LENGTH_MEDIAN: Final = 3.9
LENGTH_SIGMA: Final = 0.77
MAX_LENGTH: Final = 60
REPEAT: Final = 0.39
RELATED_NEXT: Final = 0.45
FAME: Final = 0.6
FAVOURITE: Final = 6.0
# Nobody buys the same tent twice; these one does buy again.
REBOUGHT: Final = frozenset({"mugs", "t-shirts", "hats", "flasks", "cushions", "planters", "totes"})
ALREADY_HAD: Final = 0.1
STAY: Final = 0.66
STAY_IN_SUBCATEGORY: Final = 0.5
SAME_CATEGORY_AS_LAST_VISIT: Final = 0.45
CART: Final = 0.038
CHECKOUT: Final = 0.62
ORDER: Final = 0.74
BUNDLE: Final = 0.42
SHELF_SEEN_ON_PRODUCT_PAGE: Final = 0.22


class Step(NamedTuple):
    """One thing done. `kind` is a word of `messages`; `item` indexes the world's products, -1 for none."""

    kind: str
    at: datetime
    item: int = -1
    shelf: ShownShelf | None = None
    rank: int = 0
    text: str = ""
    items: tuple[int, ...] = ()
    seconds: float = 0.0


@dataclass
class Browsing:
    """A visit while it goes on."""

    world: World
    visit: Visit
    liking: Floats
    interest: Floats
    rng: np.random.Generator
    now: datetime
    steps: list[Step] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)
    has_clicked_shelf: bool = False

    def wait(self, median_seconds: float) -> float:
        """Let time pass; gives the seconds. Never so long that the visit would end."""
        seconds = min(float(self.rng.lognormal(np.log(median_seconds), 0.8)), 900.0)
        self.now += timedelta(seconds=seconds)
        return seconds

    def step(self, kind: str, **details: object) -> None:
        self.steps.append(Step(kind, self.now, **details))  # type: ignore[arg-type]

    def view(self, item: int) -> None:
        self.step("view", item=item)
        self.seen.append(item)
        at, seconds = self.now, self.wait(24)
        if self.rng.random() < 0.5:
            self.steps.append(
                Step("left", self.now, item=item, seconds=min(seconds, (self.now - at).total_seconds()))
            )

    def choose(self, weights: Floats) -> int:
        """An index, by weight; -1 where nothing has any."""
        total = np.cumsum(weights)
        return (
            int(np.searchsorted(total, self.rng.random() * total[-1], side="right")) if total[-1] > 0 else -1
        )


def browse(world: World, visit: Visit, appeal: Floats, *, days: int, rng: np.random.Generator) -> list[Step]:
    """The steps of a visit in order of time. `appeal`: (n,) of the day. Remembers on the shopper what lasts beyond the visit."""
    shopper = visit.shopper
    liking = appeal * (shopper.taste(visit.day, days) @ world.styles)
    if shopper.favourites:
        liking = liking * np.where(np.isin(world.main, shopper.favourites), FAVOURITE, 1.0)
    had = [item for item in shopper.bought if world.slug_of(item) not in REBOUGHT]
    liking[had] *= ALREADY_HAD
    # What somebody cares for, apart from what is put in front of everybody.
    interest = liking / world.popularity**FAME
    browsing = Browsing(world, visit, liking, interest, rng, visit.started_at)
    length = int(np.clip(np.round(rng.lognormal(np.log(LENGTH_MEDIAN), LENGTH_SIGMA)), 1, MAX_LENGTH))
    wanted = _arrive(browsing)
    while len(browsing.seen) < length:
        item = wanted if wanted >= 0 else _next_item(browsing)
        wanted = -1
        if item < 0:
            break
        browsing.view(item)
        if rng.random() < SHELF_SEEN_ON_PRODUCT_PAGE:
            shelf = similar_shelf(world, item, browsing.interest, browsing.seen, shopper.is_control, rng)
            wanted = _look_at_shelf(browsing, shelf, _interest_beside(world, item, browsing.interest))
    shopper.last_main = int(world.main[browsing.seen[-1]]) if browsing.seen else shopper.last_main
    if browsing.seen:
        _maybe_buy(browsing)
    return browsing.steps


def _arrive(browsing: Browsing) -> int:
    """Home, a search or a category first. Gives the product that somebody went to from there, or -1."""
    way = browsing.rng.random()
    if way < 0.58:
        browsing.step("home")
        browsing.wait(6)
        shopper = browsing.visit.shopper
        shelf = home_shelf(
            browsing.world, browsing.interest, shopper.bought, shopper.is_control, browsing.rng
        )
        return _look_at_shelf(browsing, shelf, browsing.interest)
    if way < 0.76:
        item = browsing.choose(browsing.liking)
        browsing.step("search", item=item, text=_query_for(browsing, item))
        browsing.wait(12)
        return item
    item = browsing.choose(browsing.liking)
    if way < 0.92:
        browsing.step("list", item=item)
        browsing.wait(14)
    return item


def _query_for(browsing: Browsing, item: int) -> str:
    """Words of the product's kind or brand, now and then with a slip."""
    product = browsing.world.products[item]
    kind = product.category_path.split("/")[-1].replace("-", " ")
    text = f"{product.brand} {kind}".lower() if browsing.rng.random() < 0.25 else kind
    if browsing.rng.random() < 0.08 and len(text) > 4:
        cut = int(browsing.rng.integers(1, len(text) - 1))
        text = text[:cut] + text[cut + 1 :]
    return text


def _interest_beside(world: World, item: int, interest: Floats) -> Floats:
    """Who looks at a product cares for its like: more for its subcategory, less for the rest of the shop."""
    beside: Floats = interest * np.where(
        world.sub == world.sub[item], 12.0, np.where(world.main == world.main[item], 3.0, 0.4)
    )
    return beside


def _look_at_shelf(browsing: Browsing, shelf: ShownShelf, interest: Floats) -> int:
    """Each product on it is seen, one may be clicked. Gives the clicked product or -1."""
    if not shelf.items:
        return -1
    chances = shelf.click_chances(interest)
    for rank in range(1, len(shelf.items) + 1):
        browsing.step("shelf_seen", item=shelf.items[rank - 1], shelf=shelf, rank=rank)
    browsing.wait(4)
    draws = browsing.rng.random(len(shelf.items)) < chances
    if not draws.any():
        return -1
    rank = int(np.argmax(draws)) + 1
    browsing.step("shelf_clicked", item=shelf.items[rank - 1], shelf=shelf, rank=rank)
    browsing.has_clicked_shelf = True
    return shelf.items[rank - 1]


def _next_item(browsing: Browsing) -> int:
    rng, world, seen = browsing.rng, browsing.world, browsing.seen
    liking = browsing.liking
    if not seen:
        shopper = browsing.visit.shopper
        if shopper.last_main >= 0 and rng.random() < SAME_CATEGORY_AS_LAST_VISIT:
            liking = liking * (world.main == shopper.last_main)
        return browsing.choose(liking)
    last = seen[-1]
    if rng.random() < REPEAT:
        return _seen_before(browsing)
    fresh = liking.copy()
    fresh[seen] = 0
    if rng.random() < RELATED_NEXT:
        related = world.related[last]
        place = browsing.choose(np.sqrt(fresh[related]))
        if place >= 0:
            return int(related[place])
    if rng.random() < STAY:
        near = (
            world.sub == world.sub[last]
            if rng.random() < STAY_IN_SUBCATEGORY
            else world.main == world.main[last]
        )
    else:
        near = world.main != world.main[last]
    item = browsing.choose(fresh * near)
    return item if item >= 0 else browsing.choose(fresh)


def _seen_before(browsing: Browsing) -> int:
    """Something seen in this visit, the more recent the likelier, but not the page that is open, unless it is the only one."""
    seen = browsing.seen
    distinct = list(dict.fromkeys(reversed(seen)))
    if len(distinct) == 1:
        return distinct[0]
    weights: Floats = 0.6 ** np.arange(len(distinct) - 1, dtype=np.float64)
    return distinct[1 + browsing.choose(weights)]


def _maybe_buy(browsing: Browsing) -> None:
    shopper, rng, world = browsing.visit.shopper, browsing.rng, browsing.world
    keen = (
        min(shopper.intent, 6.0)
        * (1.5 if browsing.has_clicked_shelf else 1.0)
        * min(len(browsing.seen), 12) ** 0.4
    )
    if rng.random() > CART * keen:
        if rng.random() < 0.03:
            browsing.step("wished", item=browsing.seen[-1])
        return
    items = [_favourite(browsing)]
    again = [item for item in shopper.bought if world.slug_of(item) in REBOUGHT]
    if again and rng.random() < 0.3:
        items.append(again[int(rng.integers(len(again)))])
    while rng.random() < BUNDLE and len(items) < 6:
        items.append(int(rng.choice(world.partners[items[0]])))
    # Neither what is not in the shop yet, nor what stands at home.
    had = {item for item in shopper.bought if world.slug_of(item) not in REBOUGHT}
    items = [item for item in items if browsing.liking[item] > 0 and item not in had]
    basket = [item for item in dict.fromkeys(items) if world.products[item].is_available]
    for item in basket:
        if item not in browsing.seen:
            browsing.view(item)
        browsing.wait(9)
        browsing.step("added", item=item)
    if not basket:
        return
    browsing.wait(20)
    browsing.step("cart", items=tuple(basket))
    if len(basket) > 1 and rng.random() < 0.12:
        browsing.step("removed", item=basket.pop())
    if rng.random() > CHECKOUT:
        return
    browsing.wait(25)
    browsing.step("checkout", items=tuple(basket))
    if rng.random() > ORDER:
        return
    browsing.wait(90)
    browsing.step("order", items=tuple(basket))
    shopper.bought.extend(basket)


def _favourite(browsing: Browsing) -> int:
    """Of what was seen, what is liked and was looked at again."""
    distinct, counts = np.unique(browsing.seen, return_counts=True)
    weights = np.sqrt(browsing.liking[distinct]) * counts.astype(float) ** 1.5
    return int(distinct[max(browsing.choose(weights), 0)])
