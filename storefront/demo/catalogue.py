"""The demo shop's catalogue, made from `catalogue.toml` and a seed: the same seed makes the same shop."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import gcd
from pathlib import Path
from random import Random
from typing import Any, Final

from storefront.demo.drawing import draw
from storefront.selectors.listing import FEATURED_TAG
from storefront.selectors.navigation import COVER_TAG

SEED: Final = 20
SIZE: Final = 400
SOLD_OUT_SHARE: Final = 0.06
SCARCE_SHARE: Final = 0.1
REDUCED_SHARE: Final = 0.15
NEW_SHARE: Final = 0.12
NEW_DAYS: Final = 75

# What looks well beside a colour: the second colour of a picture is one of these.
ACCENTS: Final = {
    "pine": ("ochre", "cream", "rust"),
    "moss": ("cream", "rust", "ochre"),
    "sage": ("pine", "rust", "cream"),
    "ochre": ("ink", "cream", "brick"),
    "rust": ("cream", "ink", "sand"),
    "brick": ("cream", "ochre", "ink"),
    "rose": ("plum", "cream", "brick"),
    "plum": ("rose", "ochre", "cream"),
    "ink": ("ochre", "cream", "rust"),
    "sky": ("ink", "cream", "ochre"),
    "slate": ("ochre", "cream", "rust"),
    "fog": ("ink", "rust", "pine"),
    "sand": ("pine", "rust", "ink"),
    "cream": ("ink", "rust", "pine"),
    "charcoal": ("ochre", "copper", "cream"),
    "copper": ("cream", "ink", "charcoal"),
    "oak": ("pine", "ink", "brick"),
    "walnut": ("cream", "ochre", "sage"),
}


@dataclass(frozen=True)
class DemoCategory:
    """`parent` is None for a main category; `path` joins the slugs."""

    slug: str
    name: str
    path: str
    position: int
    parent: str | None


@dataclass(frozen=True)
class DemoProduct:
    """A product before it is stored. Money in cents; `age_days` is how long ago it came into the shop."""

    external_id: str
    name: str
    description: str
    category_path: str
    brand_slug: str
    price_minor_units: int
    list_price_minor_units: int | None
    cost_minor_units: int
    stock: int
    attributes: dict[str, str]
    tags: tuple[str, ...]
    variant_group: str
    age_days: int
    drawing: str
    shape_seed: str
    accent: str

    @property
    def colour(self) -> str:
        return self.attributes["colour"]

    def picture(self) -> str:
        """The SVG of this product and no other."""
        return draw(
            self.drawing, colour=self.colour, accent=self.accent, shape_seed=self.shape_seed, title=self.name
        )


@cache
def source() -> dict[str, Any]:
    with (Path(__file__).parent / "catalogue.toml").open("rb") as file:
        return tomllib.load(file)


def brands() -> dict[str, str]:
    """{slug: name}."""
    return {brand["slug"]: brand["name"] for brand in source()["brands"]}


def categories() -> list[DemoCategory]:
    """Parents before children."""
    found = []
    for position, main in enumerate(source()["categories"]):
        found.append(DemoCategory(main["slug"], main["name"], main["slug"], position, None))
        for child_position, child in enumerate(main["children"]):
            path = f"{main['slug']}/{child['slug']}"
            found.append(DemoCategory(child["slug"], child["name"], path, child_position, main["slug"]))
    return found


def products(size: int = SIZE, seed: int = SEED) -> list[DemoProduct]:
    """`size` products. Raises ValueError for more than the families can carry with three colours each."""
    rng = Random(seed)
    families = list(_families(rng))
    counts = _variant_counts(rng, [len(family.child["colours"]) for family in families], size)
    numbers = rng.sample(range(1000, 1000 + size * 3), size)
    made: list[DemoProduct] = []
    for family, count in zip(families, counts, strict=True):
        made.extend(_variants(rng, family, count, numbers[len(made) : len(made) + count]))
    return made


@dataclass(frozen=True)
class _Family:
    """One model: variants share its shape, text and price and differ in colour and stock."""

    main_slug: str
    child: dict[str, Any]
    position: int
    brand: dict[str, Any]
    model: str
    material: str
    season: str
    spec: dict[str, str]
    price: int


def _families(rng: Random) -> Iterator[_Family]:
    by_slug = {brand["slug"]: brand for brand in source()["brands"]}
    for main in source()["categories"]:
        for child in main["children"]:
            models = rng.sample(source()["models"], child["families"])
            for position, model in enumerate(models):
                brand = by_slug[child["brands"][position % len(child["brands"])]]
                share = (position + rng.random()) / child["families"]
                spec = _spec(rng, child, share)
                price = _price(rng, child["price"], share, brand["price"])
                material, season = rng.choice(child["materials"]), rng.choice(child["season"])
                yield _Family(main["slug"], child, position, brand, model, material, season, spec, price)


def _spec(rng: Random, child: dict[str, Any], share: float) -> dict[str, str]:
    """What makes a product dearer grows with its place in the price band, the rest is drawn."""
    size = child.get("size")
    steps = len(child["spec"][size]) if size else 0
    rank = min(int(share * steps), steps - 1)
    spec = {}
    for name, values in child["spec"].items():
        spec[name] = values[rank] if size and len(values) == steps else rng.choice(values)
    return spec


def _price(rng: Random, band: list[int], share: float, brand_factor: float) -> int:
    """Within the band, later families dearer; a price that a shop would print."""
    low, high = band
    euros = (low + (high - low) * share**1.5) * brand_factor * rng.uniform(0.94, 1.06)
    if euros < 50:
        return round(euros) * 100 - 10
    step = 5 if euros < 200 else 10
    return round(euros / step) * step * 100 - 100


def _variant_counts(rng: Random, limits: list[int], size: int) -> list[int]:
    counts = [1] * len(limits)
    if not len(counts) <= size <= sum(min(limit, 3) for limit in limits):
        raise ValueError(
            f"The catalogue can have {len(counts)} to {sum(min(limit, 3) for limit in limits)} products, not {size}."
        )
    open_families = [index for index, limit in enumerate(limits) for _ in range(min(limit, 3) - 1)]
    for index in rng.sample(open_families, size - len(counts)):
        counts[index] += 1
    return counts


def _variants(rng: Random, family: _Family, count: int, numbers: list[int]) -> Iterator[DemoProduct]:
    child, words = family.child, {**family.spec, "material": family.material}
    noun = child["noun"].format(**words)
    name = f"{family.model} {noun}"
    text = _description(rng, family, words | {"name": name})
    group = f"{child['slug']}-{family.model.lower()}" if count > 1 else ""
    age_days = rng.randint(2, NEW_DAYS) if rng.random() < NEW_SHARE else rng.randint(150, 900)
    is_reduced = rng.random() < REDUCED_SHARE and age_days > NEW_DAYS
    list_price = family.price if is_reduced else None
    price = _reduced(rng, family.price) if is_reduced else family.price
    is_featured = rng.random() < 0.12
    for index, (number, colour) in enumerate(zip(numbers, _colours(family, count), strict=True)):
        is_cover = family.position == 0 and index == 0 and child is _first_child(family.main_slug)
        tags = [
            tag for tag, holds in ((FEATURED_TAG, is_featured and index == 0), (COVER_TAG, is_cover)) if holds
        ]
        yield DemoProduct(
            external_id=f"WF-{number}",
            name=f"{name}, {colour}" if count > 1 else name,
            description=text,
            category_path=f"{family.main_slug}/{child['slug']}",
            brand_slug=family.brand["slug"],
            price_minor_units=price,
            list_price_minor_units=list_price,
            cost_minor_units=round(family.price * rng.uniform(0.38, 0.62)),
            stock=max(_stock(rng), 12) if is_cover else _stock(rng),
            attributes={
                "colour": colour,
                "material": family.material,
                "season": family.season,
                **family.spec,
            },
            tags=tuple(tags),
            variant_group=group,
            age_days=age_days,
            drawing=child["drawing"],
            shape_seed=f"{child['slug']}/{family.model}/{family.position}",
            accent=rng.choice([accent for accent in ACCENTS[colour] if accent != colour]),
        )


def _colours(family: _Family, count: int) -> list[str]:
    """Neighbours in a subcategory begin with different colours, so that a shelf is not all moss."""
    colours: list[str] = family.child["colours"]
    step = next(step for step in (2, 3, 5, 7) if gcd(step, len(colours)) == 1)
    return [colours[(family.position + index * step) % len(colours)] for index in range(count)]


def _first_child(main_slug: str) -> dict[str, Any]:
    main = next(main for main in source()["categories"] if main["slug"] == main_slug)
    child: dict[str, Any] = main["children"][0]
    return child


def _reduced(rng: Random, price: int) -> int:
    reduced = price * (1 - rng.choice([0.1, 0.15, 0.2, 0.3]))
    return round(reduced / 100) * 100 - (10 if reduced < 5000 else 100)


def _stock(rng: Random) -> int:
    luck = rng.random()
    if luck < SOLD_OUT_SHARE:
        return 0
    return rng.randint(1, 5) if luck < SOLD_OUT_SHARE + SCARCE_SHARE else rng.randint(9, 140)


def _description(rng: Random, family: _Family, words: dict[str, str]) -> str:
    sentences = [
        rng.choice(family.child["openings"]),
        *rng.sample(family.child["details"], 2),
        family.brand["line"],
    ]
    written = [sentence.format(**words) for sentence in sentences]
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in written)
