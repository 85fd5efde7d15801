"""What a strategy needs of the data before it is worth training, and whether the data have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

FACTS: Final[Mapping[str, str]] = {
    "interactions": "interactions",
    "recent_interactions": "interactions of the last 28 days",
    "people_of_several": "people with two products or more",
    "items_of_several": "products that two people or more chose",
    "sessions_of_several": "visits to two products or more",
    "baskets_of_several": "orders of two products or more",
    "repurchases": "products that a person bought again in a later order",
    "repeats": "products that a person came back to",
    "items_with_text": "products described in words",
    "items_with_text_vectors": "products with word embeddings (optional: pip install -r requirements-embeddings.txt)",
    "items_with_picture_vectors": "products whose pictures were described (optional: pip install -r requirements-embeddings.txt)",
    "items_with_category": "products with a category",
    "items_with_features": "products that share an attribute, a brand or a category with another",
    "new_items": "products that came into the shop in the last 45 days",
    "people_of_groups": "people who are in a segment, or told something of themselves",
    "stated_interests": "customers who named an interest",
}
"""What needs speak of, in words: whole numbers, counted by `algorithms.data_facts` or by the shop's own tables."""


class Readiness(StrEnum):
    READY = "ready"
    THIN = "thin"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True)
class Need:
    """Below `least` the strategy has nothing to say; below `enough` it speaks, but chance speaks with it. Both are rules of
    thumb, to be overruled by `manage.py evaluate`. Raises ValueError for a fact that nobody counts."""

    fact: str
    least: int
    enough: int

    def __post_init__(self) -> None:
        if self.fact not in FACTS:
            raise ValueError(f"There is no fact {self.fact!r}: one of {', '.join(FACTS)}.")
        if not 0 < self.least <= self.enough:
            raise ValueError(f"0 < least <= enough, not {self.least} and {self.enough}.")


def judge(needs: Sequence[Need], facts: Mapping[str, int]) -> tuple[Readiness, list[str]]:
    """Whether data with these facts carry a strategy with these needs, and what they lack, in words. A fact that is not
    given counts as 0."""
    verdict, lacks = Readiness.READY, []
    for need in needs:
        found = facts.get(need.fact, 0)
        if found >= need.enough:
            continue
        if found < need.least:
            verdict = Readiness.IMPOSSIBLE
            lacks.append(f"{found:,} {FACTS[need.fact]}; needs {need.least:,}")
        else:
            verdict = verdict if verdict is Readiness.IMPOSSIBLE else Readiness.THIN
            lacks.append(f"{found:,} {FACTS[need.fact]}; {need.enough:,} would be enough")
    return verdict, lacks
