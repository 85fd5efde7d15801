"""Which strategies a version holds and with which parameters."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import algorithms
from algorithms import image_vectors, text_embeddings
from algorithms.types import Strategy

Recipe = Mapping[str, Mapping[str, Any]]

DENSE_EASE_ITEMS: Final = 5_000
"""Above it EASE is regressed on neighbours: a dense table of n² floats would be memory that every web process maps."""

DEFAULT_RECIPE: Final[Recipe] = MappingProxyType(
    {
        "popular": {},
        "trending": {"half_life_days": 7.0},
        "popular_in_category": {},
        "popular_in_segment": {},
        "item_knn": {},
        "viewed_next": {},
        "bought_together": {},
        "session_knn": {},
        "user_knn": {},
        "item_vectors": {},
        "als": {},
        "ease": {"dense_items": DENSE_EASE_ITEMS},
        "content": {},
        "new_items": {},
        **({"text_embeddings": {}} if text_embeddings.is_installed() else {}),
        **({"image_vectors": {}} if image_vectors.is_installed() else {}),
        "recently_viewed": {},
        "reminder": {},
        "repurchase": {},
        "lightfm": {
            "threads": 0
        },  # all cores where its build has OpenMP: its embeddings then differ a little each time
    }
)


def build(recipe: Recipe) -> dict[str, Strategy]:
    """Unfitted strategies. Raises ValueError for a name that there is not."""
    unknown = set(recipe) - set(algorithms.STRATEGIES)
    if unknown:
        known = ", ".join(algorithms.STRATEGIES)
        raise ValueError(f"There is no strategy {', '.join(sorted(unknown))}: choose among {known}.")
    return {name: algorithms.STRATEGIES[name](**parameters) for name, parameters in recipe.items()}
