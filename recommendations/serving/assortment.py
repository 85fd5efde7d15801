"""The products of a store as aligned arrays, one place each: what filters, rules, blending and reranking index into.

The first `n_model` places are the items of the live model in the model's own order, so that its score rows need no
translation; products that came later follow. A place whose product is gone stays, unavailable.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from algorithms.types import Bool, Float32, Float64, Int32
from recommendations.shelf import ShelfProduct


@dataclass(frozen=True)
class Taxonomy:
    """Categories and brands by primary key; a category's path joins slugs from the root: `camping/tents`."""

    paths: dict[int, str]
    names: dict[int, str]
    brands: dict[str, int]  # slug → primary key

    def primary_keys_below(self, path: str) -> frozenset[int]:
        """The category at `path` and all below it; empty where there is none."""
        return frozenset(pk for pk, p in self.paths.items() if p == path or p.startswith(f"{path}/"))

    def below(self, primary_key: int) -> frozenset[int]:
        path = self.paths.get(primary_key)
        return frozenset() if path is None else self.primary_keys_below(path)

    def named(self, slug_or_path: str) -> frozenset[int]:
        """Categories with this path or slug, and all below them."""
        roots = [p for p in self.paths.values() if p == slug_or_path or p.rsplit("/", 1)[-1] == slug_or_path]
        return frozenset().union(*map(self.primary_keys_below, roots))


@dataclass(frozen=True, eq=False)
class Standing:
    """How wanted products are of late. `order` lists all n places, the most wanted first; among equals the best seller, then the newest.

    `values` (n,) are in 0..1, 0 = nobody wanted it; `category_rank` (n,) counts from 1 within the product's category.
    """

    values: Float32
    order: Int32
    category_rank: Int32

    @classmethod
    def of(cls, wanted: Float32, best_sellers: Float32, published: Float64, category: Int32) -> Standing:
        """`wanted` (n,) ≥ 0 by the live model, all 0 where there is none: then sales decide."""
        values = wanted if wanted.any() else best_sellers
        top = values.max(initial=0.0)
        order = np.lexsort((-published, -best_sellers, -values)).astype(np.int32)
        rank = np.empty(len(order), np.int32)
        by_category = order[np.argsort(category[order], kind="stable")]
        starts = np.flatnonzero(np.diff(category[by_category], prepend=-2))
        lengths = np.diff(np.append(starts, len(by_category)))
        rank[by_category] = np.arange(len(by_category)) - np.repeat(starts, lengths) + 1
        return cls((values / top if top > 0 else values).astype(np.float32), order, rank)


@dataclass(frozen=True, eq=False)
class Assortment:
    """Immutable; `with_changes` gives the next one. n places; codes are primary keys, -1 where there is none.

    Two are equal only if they are the same: caches of what was computed for one hang on it weakly.
    """

    products: tuple[ShelfProduct | None, ...]
    position: dict[str, int]  # external id → place
    n_model: int
    taxonomy: Taxonomy
    standing: Standing
    wanted: Float32  # (n,) what the live model says of late demand, ≥ 0
    best_sellers: Float32  # (n,) units sold lately, ≥ 0
    available: Bool  # (n,) active and in stock
    category: Int32  # (n,)
    brand: Int32  # (n,)
    family: Int32  # (n,) variant families numbered from 0, -1 = no family
    price: Float64  # (n,) minor units
    cost: Float64  # (n,) minor units, NaN where it is not known
    published: Float64  # (n,) Unix seconds
    families: dict[str, int]

    def __len__(self) -> int:
        return len(self.products)

    @classmethod
    def build(
        cls,
        products: Iterable[ShelfProduct],
        model_items: Sequence[str],
        taxonomy: Taxonomy,
        units_sold: dict[str, float],
        wanted: Float32 | None = None,
    ) -> Assortment:
        """`model_items` are external ids in model order, `wanted` their late demand; further products follow by primary key."""
        by_id = {product.external_id: product for product in products}
        known = set(model_items)
        later = sorted(
            (p for external_id, p in by_id.items() if external_id not in known), key=lambda p: p.pk
        )
        places: list[ShelfProduct | None] = [by_id.get(external_id) for external_id in model_items]
        places.extend(later)
        position = {external_id: place for place, external_id in enumerate(model_items)}
        position.update({product.external_id: len(model_items) + n for n, product in enumerate(later)})
        families: dict[str, int] = {}
        columns = _columns(places, families)
        sold = _best_sellers(position, units_sold)
        demand = np.zeros(len(places), np.float32) if wanted is None else _lengthened(wanted, len(places))
        return cls(
            products=tuple(places),
            position=position,
            n_model=len(model_items),
            taxonomy=taxonomy,
            standing=Standing.of(demand, sold, columns["published"], columns["category"]),
            wanted=demand,
            best_sellers=sold,
            families=families,
            **columns,
        )

    def with_changes(self, changed: Sequence[ShelfProduct]) -> Assortment:
        """The same places with `changed` products in them; new ones are added at the end."""
        products = list(self.products)
        position = self.position
        families = dict(self.families)
        new = [product for product in changed if product.external_id not in position]
        if new:
            position = dict(position)
            for product in new:
                position[product.external_id] = len(products)
                products.append(product)
        columns = {name: _lengthened(getattr(self, name), len(products)) for name in _COLUMN_TYPES}
        for product in changed:
            place = position[product.external_id]
            products[place] = product
            for name, values in _columns([product], families).items():
                columns[name][place] = values[0]
        sold, wanted = _lengthened(self.best_sellers, len(products)), _lengthened(self.wanted, len(products))
        # Prices and stock change all the time and leave the standing as it is; sorting a large shop takes 20 ms.
        standing = (
            Standing.of(wanted, sold, columns["published"], columns["category"]) if new else self.standing
        )
        return Assortment(
            products=tuple(products),
            position=position,
            n_model=self.n_model,
            taxonomy=self.taxonomy,
            standing=standing,
            wanted=wanted,
            best_sellers=sold,
            families=families,
            **columns,
        )

    def product(self, place: int) -> ShelfProduct:
        """Raises KeyError for a place whose product is gone."""
        product = self.products[place]
        if product is None:
            raise KeyError(place)
        return product

    def places(self, external_ids: Iterable[str]) -> Int32:
        """Places of the ids that are known, in their order; unknown ids are left out."""
        found = [
            place for external_id in external_ids if (place := self.position.get(external_id)) is not None
        ]
        return np.array(found, np.int32)


_COLUMN_TYPES: dict[str, type[np.generic]] = {
    "available": np.bool_,
    "category": np.int32,
    "brand": np.int32,
    "family": np.int32,
    "price": np.float64,
    "cost": np.float64,
    "published": np.float64,
}


def _columns(places: Sequence[ShelfProduct | None], families: dict[str, int]) -> dict[str, np.ndarray]:
    """Adds families it meets to `families`."""
    rows = [_row(product, families) for product in places]
    values = list(zip(*rows, strict=True)) if rows else [()] * len(_COLUMN_TYPES)
    return {
        name: np.array(column, kind)
        for (name, kind), column in zip(_COLUMN_TYPES.items(), values, strict=True)
    }


def _row(
    product: ShelfProduct | None, families: dict[str, int]
) -> tuple[bool, int, int, int, float, float, float]:
    if product is None:
        return False, -1, -1, -1, 0.0, math.nan, 0.0
    group = product.variant_group
    return (
        product.is_available,
        -1 if product.category_id is None else product.category_id,
        -1 if product.brand_id is None else product.brand_id,
        families.setdefault(group, len(families)) if group else -1,
        float(product.price_minor_units),
        math.nan if product.cost_minor_units is None else float(product.cost_minor_units),
        product.published_at,
    )


def _lengthened(values: np.ndarray, length: int) -> np.ndarray:
    """A copy with room for `length` entries, zero where new."""
    longer = np.zeros(length, values.dtype)
    longer[: len(values)] = values
    return longer


def _best_sellers(position: dict[str, int], units_sold: dict[str, float]) -> Float32:
    units = np.zeros(len(position), np.float32)
    for external_id, sold in units_sold.items():
        place = position.get(external_id)
        if place is not None:
            units[place] = sold
    return units
