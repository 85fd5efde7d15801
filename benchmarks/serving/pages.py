"""Who asks for what: the shelves of a placement, three placements in turn, and the pages of whole visits with their events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.ingestion.load import NewEvents
from benchmarks.serving.shop import PER_CATEGORY, SHOPPERS, Visits, make_visits, product_id, visitor_id
from profiles.events import CART_ADDED, LIST_VIEWED, PROFILE_EVENTS

PLACEMENTS = ("home", "product", "cart")
MIX = "mix"
"""The three in turn."""
VISIT = "visit"
"""All shelves of the pages that shoppers come by, in their order: what the goals are about."""

HOME_PAGE = ("home", "trending", "new", "recently-viewed")
CATEGORY_PAGE = ("category",)
PRODUCT_PAGE = ("bought-together", "similar", "viewed-next")
CART_PAGE = ("cart", "trending")
"""The shelves of the demo shop's pages (`templates/storefront/`)."""

VIEWED = "Product Viewed"
VISITS_SEED = 2


@dataclass(frozen=True)
class Shop:
    products: int
    store_id: int
    key: str
    first_shopper: int  # primary key
    version: int

    @property
    def headers(self) -> str:
        return f"Authorization: Bearer {self.key}\r\n"

    def paths(self, placement: str) -> tuple[str, ...]:
        """One for each shopper; product and cart pages of products that sell. For visits, those of `visits`."""
        if placement == VISIT:
            return self.visits()[0]
        if placement == MIX:
            return tuple(
                path for of_shopper in zip(*map(self.paths, PLACEMENTS), strict=True) for path in of_shopper
            )
        found = []
        for number in range(SHOPPERS):
            product = product_id((number * 131) % min(self.products, 40 * PER_CATEGORY))
            about = {"product": f"&product_id={product}", "cart": f"&cart={product}"}.get(placement, "")
            found.append(f"/api/v1/recommendations/{placement}/?visitor_id={visitor_id(number)}{about}")
        return tuple(found)

    def new_events(self, placement: str, valkey_url: str) -> NewEvents:
        """A view by the shopper of each path, of products as visits choose them; for visits, what they do in them."""
        if placement == VISIT:
            return self._visiting(valkey_url)
        each = len(PLACEMENTS) if placement == MIX else 1
        profiles = [self._profile(number) for number in range(SHOPPERS) for _ in range(each)]
        viewed = make_visits(self.products, 1_500, SHOPPERS, now=0.0, seed=1).product[:4_096].tolist()
        return NewEvents(valkey_url, tuple(profiles), tuple(product_id(product) for product in viewed))

    def _visiting(self, valkey_url: str) -> NewEvents:
        paths, events = self.visits()
        shoppers = [int(path.partition("bench-")[2].partition("&")[0]) for path in paths]
        return NewEvents(valkey_url, tuple(map(self._profile, shoppers)), (), events=events)

    def _profile(self, number: int) -> str:
        return f"etalage:{self.store_id}:profile:v:{self.first_shopper + number}"

    def visits(self) -> tuple[tuple[str, ...], tuple[str | None, ...]]:
        """Paths, and what the shopper does before each (a tail of a stored event), None where they did nothing since the last.

        A visit is the home page, a category, some of its products as visits choose them, and the cart; each page asks for all of its
        shelves, and what is done on it, such as looking at a product, is told before the first.
        """
        visits = make_visits(self.products, SHOPPERS, SHOPPERS, now=0.0, seed=VISITS_SEED)
        asked = [shelf for number in range(SHOPPERS) for shelf in self._visit(visits, number)]
        return tuple(path for path, _ in asked), tuple(event for _, event in asked)

    def _visit(self, visits: Visits, number: int) -> Iterator[tuple[str, str | None]]:
        numbers = visits.product[visits.offsets[number] : visits.offsets[number + 1]].tolist()
        viewed = [product_id(n) for n in numbers]
        category = f"category-{numbers[0] // PER_CATEGORY}"
        yield from self._page(number, HOME_PAGE, "", None)
        yield from self._page(
            number, CATEGORY_PAGE, f"&category={category}", _told(LIST_VIEWED, "", category)
        )
        for product in viewed:
            yield from self._page(number, PRODUCT_PAGE, f"&product_id={product}", _told(VIEWED, product))
        yield from self._page(number, CART_PAGE, f"&cart={viewed[-1]}", _told(CART_ADDED, viewed[-1]))

    def _page(
        self, number: int, shelves: tuple[str, ...], about: str, event: str | None
    ) -> Iterator[tuple[str, str | None]]:
        for shelf in shelves:
            of_shelf = about if shelf != "trending" else ""
            yield f"/api/v1/recommendations/{shelf}/?visitor_id={visitor_id(number)}{of_shelf}", event
            event = None


def _told(name: str, product: str, text: str = "") -> str:
    """An event as profiles hold it, without its id."""
    products = f'[["{product}",1.0]]' if product else "[]"
    return f'{PROFILE_EVENTS.index(name)},null,{products},"{text}"'
