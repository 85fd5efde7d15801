"""Parameters worth trying for a shop: few, cheap, and only those that no default suits all shops in.

How fast tastes turn differs from grocery to garden furniture; whether a visit or a person is the sequence differs from
browsing to reviews. Everything else has wide optima. Chosen on a validation slice, strategy by strategy, before weights are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from algorithms.evaluation import Mode, TestCase
from algorithms.registry import STRATEGIES
from algorithms.tuning import gather, measure
from algorithms.types import JSON, TrainingData

Parameters = Mapping[str, JSON]

VARIANTS: Mapping[str, Sequence[Parameters]] = {
    "trending": [{"half_life_days": days} for days in (7.0, 2.0, 3.5, 14.0, 30.0, 90.0)],
    "user_knn": [
        {"half_life_days": days, "neighbours": k}
        for days in (14.0, 7.0, 30.0, 90.0, 1000.0)
        for k in (300, 100)
    ],
    "session_knn": [{"unit": "session"}, {"unit": "user"}, {"unit": "user", "query_decay": 0.75}],
    "viewed_next": [
        {"unit": "session"},
        {"unit": "user"},
        {"unit": "user", "window": 15, "query_decay": 0.75, "popularity_power": 0.08},
    ],
    "item_vectors": [{"unit": "session"}, {"unit": "user"}],
    "item_knn": [{"weighting": "bm25"}, {"weighting": "cosine"}, {"query_decay": 0.9}],
    "repurchase": [{"half_life_days": days} for days in (90.0, 30.0, 180.0, 365.0)],
    "als": [{"decay": 0.7}, {"decay": 0.5}, {"decay": 0.9, "regularization": 30.0}],
    "ease": [{}, {"half_life_days": 1000.0}, {"regularization": 300.0, "half_life_days": 1000.0}],
}
"""The first of each is the default."""


def choose(
    name: str,
    data: TrainingData,
    cases: Sequence[TestCase],
    *,
    mode: Mode,
    seed: int,
    metric: str = "ndcg@10",
    base: Parameters | None = None,
    progress: Callable[[Iterable[Parameters]], Iterable[Parameters]] = iter,
) -> dict[str, Any]:
    """The variant of a strategy that ranks the validation cases best; the first of equals. `base` holds for all."""
    variants = VARIANTS.get(name, [{}])
    best: tuple[float, dict[str, Any]] = (-1.0, dict(base or {}))
    if len(variants) == 1:
        return best[1] | dict(variants[0])
    for variant in progress(variants):
        parameters = dict(base or {}) | dict(variant)
        strategy = STRATEGIES[name](**parameters).fit(data, np.random.default_rng(seed))
        values = measure(gather({name: strategy}, cases, mode=mode, depth=50), {name: 1.0}, metric)
        value = float(values.mean()) if len(values) else 0.0
        if value > best[0]:
            best = value, parameters
    return best[1]
