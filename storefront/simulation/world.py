"""The shop as its simulated shoppers see it: what is alike, what goes together, what is in season, what is talked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STYLES: Final = 10
POPULARITY_SIGMA: Final = 1.05
RELATED: Final = 6
PARTNERS: Final = 3

# What is bought with what, by subcategory: the bundles that "bought together" should find.
BUNDLES: Final = {
    "tents": ("sleeping-bags", "camp-stoves", "camp-chairs"),
    "sleeping-bags": ("tents", "camp-stoves"),
    "camp-stoves": ("flasks", "tents"),
    "camp-chairs": ("lanterns", "tents"),
    "hiking-packs": ("flasks", "walking-boots"),
    "day-packs": ("flasks", "hats"),
    "duffels": ("t-shirts", "sandals"),
    "totes": ("t-shirts", "sandals"),
    "jackets": ("hats", "knitwear"),
    "knitwear": ("hats", "jackets"),
    "t-shirts": ("totes", "sandals"),
    "hats": ("knitwear", "jackets"),
    "walking-boots": ("hiking-packs", "hats"),
    "trail-shoes": ("t-shirts", "day-packs"),
    "sandals": ("totes", "t-shirts"),
    "table-lamps": ("cushions", "armchairs"),
    "pendant-lamps": ("table-lamps", "clocks"),
    "lanterns": ("blankets", "camp-chairs"),
    "mugs": ("kettles", "mugs"),
    "kettles": ("mugs", "flasks"),
    "pots-pans": ("kettles", "mugs"),
    "flasks": ("day-packs", "mugs"),
    "armchairs": ("cushions", "blankets"),
    "cushions": ("blankets", "cushions"),
    "blankets": ("cushions", "mugs"),
    "clocks": ("table-lamps", "cushions"),
    "planters": ("watering-cans", "hand-tools"),
    "watering-cans": ("planters", "hand-tools"),
    "birdhouses": ("planters", "hand-tools"),
    "hand-tools": ("watering-cans", "planters"),
}

# Interest by month (January first) in what is made for a season.
_SEASONS: Final = {
    "winter": (1.8, 1.6, 1.1, 0.7, 0.5, 0.4, 0.4, 0.5, 0.8, 1.2, 1.6, 1.9),
    "summer": (0.4, 0.5, 0.8, 1.2, 1.6, 1.9, 1.8, 1.5, 0.9, 0.6, 0.4, 0.4),
    "spring": (0.7, 1.1, 1.7, 1.8, 1.5, 1.0, 0.8, 0.7, 0.8, 0.7, 0.6, 0.6),
    "autumn": (0.8, 0.7, 0.8, 0.8, 0.8, 0.7, 0.8, 1.1, 1.6, 1.8, 1.5, 1.1),
}


@dataclass(frozen=True)
class WorldProduct:
    """A product as the simulator needs it. `category_path` is `main/sub`; `published_on` None: always there."""

    product_id: str
    name: str
    category_path: str
    brand: str
    price: float
    season: str = ""
    family: str = ""
    published_on: date | None = None
    is_available: bool = True


@dataclass(frozen=True)
class World:
    """n products in arrays. `styles` (STYLES, n): how much each latent style likes a product; `related` (n, RELATED) and
    `partners` (n, PARTNERS): indices of what is alike and of what is bought along.
    """

    products: tuple[WorldProduct, ...]
    main: Ints
    sub: Ints
    popularity: Floats
    published_day: Floats
    season: Floats
    styles: Floats
    related: Ints
    partners: Ints
    hype_day: Floats
    hype_factor: Floats
    start: date
    main_names: tuple[str, ...]
    sub_names: tuple[str, ...]

    @property
    def size(self) -> int:
        return len(self.products)

    def slug_of(self, index: int) -> str:
        """The subcategory's own slug: `tents`."""
        return self.sub_names[self.sub[index]].rsplit("/", 1)[-1]

    def appeal_of_day(self, day: int) -> Floats:
        """(n,) how much each product draws on a day of the simulation, whoever looks; 0 before it is in the shop."""
        month = (self.start + timedelta(days=day)).month - 1
        since = day - self.hype_day
        hype = 1 + self.hype_factor * np.where(since >= 0, np.exp(-since / 9), 0)
        newness = 1 + 0.8 * np.exp(-np.maximum(day - self.published_day, 0) / 12) * (self.published_day > -20)
        appeal: Floats = self.popularity * self.season[month] * hype * newness * (self.published_day <= day)
        return appeal

    def properties(self, index: int) -> dict[str, Any]:
        product = self.products[index]
        return {
            "product_id": product.product_id,
            "name": product.name,
            "category": product.category_path,
            "brand": product.brand,
            "price": product.price,
            "currency": "EUR",
        }

    @classmethod
    def of(
        cls, products: Sequence[WorldProduct], *, start: date, days: int, rng: np.random.Generator
    ) -> World:
        """Raises ValueError for a shop with fewer than a handful of products: there is nothing to choose from."""
        if len(products) < RELATED + 2:
            raise ValueError(
                f"{len(products)} products are too few to simulate shoppers: run `manage.py seed_demo` first."
            )
        main_names = tuple(dict.fromkeys(product.category_path.split("/")[0] for product in products))
        sub_names = tuple(dict.fromkeys(product.category_path for product in products))
        main = np.array([main_names.index(product.category_path.split("/")[0]) for product in products])
        sub = np.array([sub_names.index(product.category_path) for product in products])
        price = np.log([max(product.price, 1.0) for product in products])
        published = np.array([_day_of(product.published_on, start) for product in products])
        styles = _styles(products, main, sub, price, rng)
        # Quantiles of a log-normal distribution in random order: as uneven as real shops are, whatever the seed.
        quantiles = (rng.permutation(len(products)) + 0.5) / len(products)
        popularity = np.exp(POPULARITY_SIGMA * ndtri(quantiles))
        popularity *= np.where([product.is_available for product in products], 1.0, 0.25)
        hyped = rng.random(len(products)) < 0.05
        return cls(
            products=tuple(products),
            main=main,
            sub=sub,
            popularity=popularity,
            published_day=published,
            season=_season_factors(products),
            styles=styles,
            related=_related(sub, main, price, products, rng),
            partners=_partners(sub, sub_names, styles, popularity, rng),
            hype_day=np.where(hyped, rng.integers(0, max(days, 1), len(products)), days + 1000.0),
            hype_factor=np.where(hyped, rng.uniform(2, 6, len(products)), 0.0),
            start=start,
            main_names=main_names,
            sub_names=sub_names,
        )


def _day_of(published_on: date | None, start: date) -> float:
    return -1000.0 if published_on is None else float((published_on - start).days)


def _season_factors(products: Sequence[WorldProduct]) -> Floats:
    """(12, n): the product's interest by month."""
    factors = np.ones((12, len(products)))
    for index, product in enumerate(products):
        named = [name for name in _SEASONS if name in product.season]
        if named:
            factors[:, index] = np.mean([_SEASONS[name] for name in named], axis=0)
    return factors


def _styles(
    products: Sequence[WorldProduct], main: Ints, sub: Ints, price: Floats, rng: np.random.Generator
) -> Floats:
    """Each style likes a few categories, some brands, and one end of the price band of a subcategory."""
    brands = sorted({product.brand for product in products})
    brand = np.array([brands.index(product.brand) for product in products])
    spread = np.zeros(len(products))
    for each in np.unique(sub):
        inside = sub == each
        spread[inside] = (price[inside] - price[inside].mean()) / (price[inside].std() + 1e-9)
    styles = np.empty((STYLES, len(products)))
    for style in range(STYLES):
        by_main = rng.gamma(0.45, 1.0, main.max() + 1) + 0.04
        # Every main category is somebody's favourite.
        by_main[style % (main.max() + 1)] += 2.0
        by_brand = rng.gamma(1.2, 1.0, len(brands)) + 0.15
        liking = by_main[main] * by_brand[brand] * np.exp(-((spread - rng.normal(0, 0.8)) ** 2) / 2.5)
        styles[style] = liking / liking.mean()
    return styles


def _related(
    sub: Ints, main: Ints, price: Floats, products: Sequence[WorldProduct], rng: np.random.Generator
) -> Ints:
    """Near in kind, price and family: what somebody compares a product with."""
    names = [product.family or product.product_id for product in products]
    families = np.unique(names, return_inverse=True)[1]
    related = np.empty((len(sub), RELATED), dtype=np.int64)
    for index in range(len(sub)):
        nearness = (
            3.0 * (sub == sub[index]) + 1.0 * (main == main[index]) + 1.0 * (families == families[index])
        )
        nearness = nearness - np.abs(price - price[index]) + rng.random(len(sub))
        nearness[index] = -np.inf
        related[index] = np.argsort(-nearness)[:RELATED]
    return related


def _partners(
    sub: Ints, sub_names: tuple[str, ...], styles: Floats, popularity: Floats, rng: np.random.Generator
) -> Ints:
    """For each product, the ones that it is bought with: of matching subcategories, liked by the same styles."""
    slugs = [name.split("/")[-1] for name in sub_names]
    partners = np.empty((len(sub), PARTNERS), dtype=np.int64)
    for index in range(len(sub)):
        wanted = [slugs.index(slug) for slug in BUNDLES.get(slugs[sub[index]], ()) if slug in slugs]
        fits = np.isin(sub, wanted) if wanted else np.ones(len(sub), dtype=bool)
        score = (styles.T @ styles[:, index]) * popularity * rng.gamma(2.0, 1.0, len(sub)) * fits
        score[index] = -1
        partners[index] = np.argsort(-score)[:PARTNERS]
    return partners
