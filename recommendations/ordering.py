"""A listing in the shopper's own order: the placement's blend without filters, caps and rules of a shelf."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accounts.models import Store
from algorithms.blend import blend
from recommendations.pipeline import open_context
from recommendations.serving.deadline import DeadlineExceeded
from recommendations.shelf import RecommendationRequest, RequestError, Shopper
from recommendations.stages.candidates import score_candidates


def order_for(store: Store, shopper: Shopper, product_ids: Sequence[str], placement: str) -> list[str]:
    """A permutation of `product_ids`; stable: what the blend has no opinion of keeps its order, after the rest."""
    given = list(product_ids)
    try:
        context, deadline = open_context(
            RecommendationRequest(store=store, placement=placement, shopper=shopper)
        )
        if not context.is_personal or not len(context.query.items):
            return given
        everything = np.ones(len(context.snapshot.assortment), np.bool_)
        scores = score_candidates(context, everything, deadline, {})
    except (RequestError, DeadlineExceeded):
        return given
    if not scores:
        return given
    settings = context.placement.blend
    total = blend(scores, context.weights.by_strategy, settings.normalisation if settings else "max").total
    position = context.snapshot.assortment.position
    liked = np.array([total[position[i]] if i in position else 0.0 for i in given])
    return [given[n] for n in np.argsort(-liked, kind="stable")]
