"""What the catalogue says of products, as matrices: category, brand, price band, attributes and tags; texts; age."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
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


@dataclass(frozen=True)
class ItemFeatures:
    """`matrix` (n_items, F) one-hots by `names`; `category` and `brand` (n_items,) a number each, -1 = none; `price` in minor units."""

    matrix: csr_matrix
    names: tuple[str, ...]
    texts: list[str]
    category: Int32
    created: Float64
    brand: Int32
    price: Float64


def item_features(items: Sequence[CatalogueItem]) -> ItemFeatures:
    bands = _price_bands(items)
    named = [[*_features(item), f"price:{band}"] for item, band in zip(items, bands, strict=True)]
    counts = Counter(name for row in named for name in set(row))
    names = tuple(sorted(name for name, count in counts.items() if count >= MIN_PRODUCTS))
    columns = {name: n for n, name in enumerate(names)}
    rows = [sorted({columns[name] for name in row if name in columns}) for row in named]
    offsets = np.cumsum([0, *map(len, rows)])
    indices = np.array([column for row in rows for column in row], np.int32)
    return ItemFeatures(
        matrix=csr_matrix(
            (np.ones(len(indices), np.float32), indices, offsets), shape=(len(items), max(len(names), 1))
        ),
        names=names,
        texts=[f"{item.name} {item.name} {item.description}".strip() for item in items],
        category=_numbered([item.category_path for item in items]),
        created=np.array([item.created_at for item in items], np.float64),
        brand=_numbered([item.brand for item in items]),
        price=np.array([item.price_minor_units for item in items], np.float64),
    )


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


def _price_bands(items: Sequence[CatalogueItem]) -> list[int]:
    """Fifth of its main category that a product's price falls into, 0 the cheapest: dear for a kettle is cheap for a tent."""
    prices = np.array([item.price_minor_units for item in items], np.float64)
    mains = np.array([item.category_path.partition("/")[0] for item in items])
    bands = np.zeros(len(items), np.int64)
    for main in np.unique(mains):
        own = mains == main
        bounds = np.quantile(prices[own], np.linspace(0, 1, PRICE_BANDS + 1)[1:-1])
        bands[own] = np.searchsorted(bounds, prices[own], side="left")
    return bands.tolist()
