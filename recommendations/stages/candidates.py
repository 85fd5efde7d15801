"""Second stage: every strategy that has weight scores every product, and what may not stand on the shelf drops out."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from algorithms.types import Bool, Float32
from recommendations.serving.deadline import Deadline
from recommendations.stages.context import Context
from recommendations.stages.shop_strategies import SHOP_STRATEGIES


def score_candidates(
    context: Context, mask: Bool, deadline: Deadline, milliseconds: dict[str, float]
) -> dict[str, Float32]:
    """(n,) scores of each strategy with weight that has an opinion on an eligible product; 0 outside of `mask`.

    The loudest strategies come first. Raises DeadlineExceeded. Times are noted in `milliseconds`.
    """
    scores: dict[str, Float32] = {}
    for name in sorted(context.weights.by_strategy, key=lambda name: -context.weights.by_strategy[name]):
        deadline.check()
        started = perf_counter()
        opinion = _score(context, name)
        if opinion is not None:
            opinion *= mask
            if opinion.any():
                scores[name] = opinion
        milliseconds[name] = (perf_counter() - started) * 1000
    deadline.check()
    return scores


def _score(context: Context, name: str) -> Float32 | None:
    """None for a strategy that neither the live model nor the shop has. A fresh array of n places."""
    if name in SHOP_STRATEGIES:
        return SHOP_STRATEGIES[name](context)
    model = context.snapshot.model
    if model is None or name not in model.strategies:
        return None
    of_model = model.strategies[name].score(context.query)
    n = len(context.snapshot.assortment)
    if len(of_model) == n:
        return np.array(of_model, np.float32)
    scores = np.zeros(n, np.float32)
    scores[: len(of_model)] = of_model
    return scores
