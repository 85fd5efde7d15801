"""How items have been wanted of late, told so coarsely that no item can be known by it.

An exact popularity is as good as an item's name: what is learned with it in one week is about that week's items. What carries over to
the next week is whether an item is wanted by more people than before, and whether those who choose it choose it for the first time.

    growth     ln((n_7 + 1) / (n_28 / 4 + 1)),  n_d = interactions with the item in the last d days
    newcomers  ln((f_14 / 2 + 1) / (f_56 / 8 + 1)),  f_d = people who first chose it in the last d days
    first      f_28 / (n_28 + 1)
    fresh      ⌊log2(1 + f_28)⌋

Rounded to quarters, `first` to twentieths; nothing is said of an item that fewer than `LEAST_PEOPLE` have ever chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np

from algorithms.types import Array, Float32, Float64, Int32, TrainingData

DAY_SECONDS: Final = 86_400.0
LEAST_PEOPLE: Final = 3


@dataclass(frozen=True)
class ItemDemand:
    """(n_items,) each."""

    growth: Float32
    newcomers: Float32
    first: Float32
    fresh: Float32

    @classmethod
    def at(cls, data: TrainingData, now: float) -> Self:
        """As of `now` (Unix seconds): later rows do not count."""
        known = data.timestamp < now
        item, age = data.item[known], (now - data.timestamp[known]) / DAY_SECONDS
        is_first = _first_of_person(data.user[known], item, age)

        def chosen(days: float) -> Float64:
            return np.bincount(item[age <= days], minlength=data.n_items).astype(np.float64)

        def began(days: float) -> Float64:
            return np.bincount(item[is_first & (age <= days)], minlength=data.n_items).astype(np.float64)

        said = began(np.inf) >= LEAST_PEOPLE
        growth = np.log((chosen(7) + 1.0) / (chosen(28) / 4.0 + 1.0))
        newcomers = np.log((began(14) / 2.0 + 1.0) / (began(56) / 8.0 + 1.0))
        return cls(
            _told(np.round(4.0 * growth) / 4.0, said),
            _told(np.round(4.0 * newcomers) / 4.0, said),
            _told(np.round(20.0 * began(28) / (chosen(28) + 1.0)) / 20.0, said),
            _told(np.floor(np.log2(1.0 + began(28))), said),
        )

    @property
    def n_items(self) -> int:
        return len(self.growth)

    def of(self, items: Int32) -> Float32:
        """(c, 4) for some items; zeros for those that came later."""
        known = items < self.n_items
        columns = np.zeros((len(items), len(fields(self))), np.float32)
        for column, field in enumerate(fields(self)):
            columns[known, column] = getattr(self, field.name)[items[known]]
        return columns

    def arrays(self) -> dict[str, Array]:
        return {f"demand_{field.name}": getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        return cls(*(np.asarray(arrays[f"demand_{field.name}"]) for field in fields(cls)))


def _told(values: Float64, said: Array) -> Float32:
    return np.where(said, values, 0.0).astype(np.float32)


def _first_of_person(user: Array, item: Array, age: Float64) -> Array:
    """Which rows are the person's first with that item; of rows at one moment only one."""
    order = np.lexsort((-age, item, user))
    begins = np.ones(len(order), np.bool_)
    begins[1:] = (np.diff(user[order]) != 0) | (np.diff(item[order]) != 0)
    first = np.zeros(len(order), np.bool_)
    first[order[begins]] = True
    return first
