"""Where products stand among their like: price bands and margins within the main category. For calibrating shelves and for value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np

from algorithms.calibration import bands, group_quantiles
from algorithms.types import Float64, Int32
from recommendations.serving.assortment import Assortment, Standing

PRICE_BANDS: Final = 5
"""As many as training's features have: the fifth of its main category that a product's price falls into."""
MARGIN_STEPS: Final = 20
UNKNOWN_MARGIN: Final = 0.5
"""Where no cost is known a product is neither pushed nor held back."""


@dataclass(frozen=True, eq=False)
class Traits:
    """`mains` numbers the main category of each category code of `codes` (ascending), 0 = none. Bounds have a row for each number."""

    codes: Int32
    mains: Int32
    prices: Float64  # (g, PRICE_BANDS - 1) minor units
    margins: Float64  # (g, MARGIN_STEPS - 1) minor units

    def main(self, assortment: Assortment, places: Int32) -> Int32:
        """(c,): the number of each place's main category."""
        category = assortment.category[places]
        found = np.searchsorted(self.codes, category).clip(max=len(self.codes) - 1)
        return np.asarray(np.where(self.codes[found] == category, self.mains[found], 0), np.int32)

    def price_band(self, assortment: Assortment, places: Int32, main: Int32 | None = None) -> Int32:
        """(c,) 0 (cheapest fifth) to 4. `main` spares working out what is known already."""
        own = self.main(assortment, places) if main is None else main
        return bands(assortment.price[places], own, self.prices)

    def margin_percentile(self, assortment: Assortment, places: Int32) -> Float64:
        """(c,) 0 (earns least of its main category) to 1 (earns most)."""
        margin = assortment.price[places] - assortment.cost[places]
        step = bands(np.nan_to_num(margin), self.main(assortment, places), self.margins)
        return np.where(np.isnan(margin), UNKNOWN_MARGIN, step / (MARGIN_STEPS - 1.0))


_traits: WeakKeyDictionary[Standing, Traits] = WeakKeyDictionary()


def traits_of(assortment: Assortment) -> Traits:
    """Worked out once for a standing, as that is: a price or a stock that changes moves no bounds until products come or go."""
    known = _traits.get(assortment.standing)
    if known is None:
        known = _traits.setdefault(assortment.standing, _work_out(assortment))
    return known


def _work_out(assortment: Assortment) -> Traits:
    paths = assortment.taxonomy.paths
    names = sorted({path.partition("/")[0] for path in paths.values()})
    number = {name: n for n, name in enumerate(names, start=1)}
    codes = np.array(sorted({-1, *paths}), np.int32)
    mains = np.array(
        [number[paths[code].partition("/")[0]] if code in paths else 0 for code in codes.tolist()], np.int32
    )
    blank = Traits(codes, mains, np.empty((0, 0)), np.empty((0, 0)))
    sold = np.flatnonzero(assortment.price > 0).astype(np.int32)
    main = blank.main(assortment, sold)
    margin = assortment.price[sold] - assortment.cost[sold]
    known = ~np.isnan(margin)
    return Traits(
        codes,
        mains,
        group_quantiles(assortment.price[sold], main, len(names) + 1, PRICE_BANDS),
        group_quantiles(margin[known], main[known], len(names) + 1, MARGIN_STEPS),
    )
