"""What the catalogue says of products, as matrices: category, brand, price band, attributes and tags; texts; age."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from algorithms.types import Float64, Int32

PRICE_BANDS = 5
MIN_PRODUCTS = 2
"""A feature that one product has alone says nothing about others."""
MAX_VALUE_LENGTH = 60


@dataclass(frozen=True, slots=True)
class CatalogueItem:
    """A product as training reads it. `category_path` joins slugs from the root; `created_at` in Unix seconds."""

    external_id: str
    name: str
    description: str
    category_path: str
    brand: str
    price_minor_units: int
    attributes: dict[str, Any]
    tags: Sequence[str]
    created_at: float
    image_url: str = ""


@dataclass(frozen=True)
class FeatureSpace:
    """What the columns of a version's feature matrix mean, kept with it: later products are described by the same.

    `price_bounds` are by main category the four prices between its fifths.
    """

    names: tuple[str, ...]
    price_bounds: Mapping[str, tuple[float, ...]]

    def matrix(self, items: Sequence[CatalogueItem]) -> csr_matrix:
        """(m, F) one-hots; features that the version does not know are left out."""
        return self.one_hots([_names_of(item, self.price_bounds) for item in items])

    def one_hots(self, named: Sequence[Sequence[str]]) -> csr_matrix:
        columns = {name: n for n, name in enumerate(self.names)}
        rows = [sorted({columns[name] for name in row if name in columns}) for row in named]
        offsets = np.cumsum([0, *map(len, rows)])
        indices = np.array([column for row in rows for column in row], np.int32)
        values = np.ones(len(indices), np.float32)
        return csr_matrix((values, indices, offsets), shape=(len(named), max(len(self.names), 1)))


@dataclass(frozen=True)
class ItemFeatures:
    """`matrix` (n_items, F) one-hots by `space.names`; `category` and `brand` (n_items,) a number each,
    -1 = none; `price` in minor units."""

    matrix: csr_matrix
    space: FeatureSpace
    texts: list[str]
    category: Int32
    created: Float64
    brand: Int32
    price: Float64


def item_features(items: Sequence[CatalogueItem]) -> ItemFeatures:
    bounds = _price_bounds(items)
    named = [_names_of(item, bounds) for item in items]
    counts = Counter(name for row in named for name in set(row))
    space = FeatureSpace(
        tuple(sorted(name for name, count in counts.items() if count >= MIN_PRODUCTS)), bounds
    )
    return ItemFeatures(
        matrix=space.one_hots(named),
        space=space,
        texts=[text_of(item) for item in items],
        category=_numbered([item.category_path for item in items]),
        created=np.array([item.created_at for item in items], np.float64),
        brand=_numbered([item.brand for item in items]),
        price=np.array([item.price_minor_units for item in items], np.float64),
    )


def text_of(item: CatalogueItem) -> str:
    """The name counts twice."""
    return f"{item.name} {item.name} {item.description}".strip()


def _numbered(names: Sequence[str]) -> Int32:
    """(n,) a number for each different name, -1 for none."""
    numbers = {name: n for n, name in enumerate(sorted(set(names) - {""}))}
    return np.array([numbers.get(name, -1) for name in names], np.int32)


def _features(item: CatalogueItem) -> Iterator[str]:
    path = item.category_path
    while path:
        yield f"category:{path}"
        path = path.rpartition("/")[0]
    if item.brand:
        yield f"brand:{item.brand}"
    for key, value in item.attributes.items():
        for single in value if isinstance(value, list) else [value]:
            if isinstance(single, str | int | float | bool):
                yield f"{key}:{single}"[:MAX_VALUE_LENGTH]
    yield from (f"tag:{tag}" for tag in item.tags)


def _names_of(item: CatalogueItem, bounds: Mapping[str, tuple[float, ...]]) -> list[str]:
    """With the fifth of its main category that the price falls into, 0 the cheapest: dear for a kettle is cheap for a tent."""
    names = list(_features(item))
    if (own := bounds.get(_main(item))) is not None:
        names.append(f"price:{np.searchsorted(own, item.price_minor_units, side='left')}")
    return names


def _main(item: CatalogueItem) -> str:
    return item.category_path.partition("/")[0]


def _price_bounds(items: Sequence[CatalogueItem]) -> dict[str, tuple[float, ...]]:
    prices = np.array([item.price_minor_units for item in items], np.float64)
    mains = np.array([_main(item) for item in items])
    fifths = np.linspace(0, 1, PRICE_BANDS + 1)[1:-1]
    return {
        str(main): tuple(np.quantile(prices[mains == main], fifths).tolist()) for main in np.unique(mains)
    }
