"""What reranking may use besides scores, out of the context: only what the placement asks for, only what the shopper permits."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Final

import numpy as np

from algorithms.new_items import NewItems
from algorithms.popularity import Popularity
from algorithms.types import Float32, Float64, Int32
from recommendations.serving.store_state import Snapshot
from recommendations.stages.context import Context
from recommendations.stages.reranking import DAY_SECONDS, NO_EVIDENCE, Evidence
from recommendations.stages.shop_strategies import new_arrivals

AHEAD: Final = 10.0
"""More than arrivals score by age and taste alone: what the strategy for new products has an opinion of stands before the others."""


def evidence_of(context: Context) -> Evidence:
    """Of a shopper without consent or in the control group the context holds nothing, so that nothing can be used here."""
    blend = context.placement.blend
    if blend is None or not blend.rerank.is_on:
        return NO_EVIDENCE
    settings = blend.rerank
    position = context.snapshot.assortment.position
    shown = context.profile.shown if settings.fatigue > 0 else {}
    return Evidence(
        now=context.now,
        items=context.query.items,
        weights=context.query.weights,
        shown={position[product]: times for product, times in shown.items() if product in position},
        shopper_value=context.known.value if settings.shopper_value else None,
        seed=daily_seed(context) if settings.exploration > 0 and context.is_personal else None,
        observations=observations(context.snapshot),
        newcomer_scores=partial(_newcomer_scores, context) if settings.new_slots else None,
    )


def daily_seed(context: Context) -> int | None:
    """The same for a shopper on a placement all day (UTC), so that shelves do not flicker; None for whom nobody knows."""
    if not context.known.key:
        return None
    day = int(context.now // DAY_SECONDS)
    named = f"explore:{context.request.store.pk}:{context.placement.pk}:{context.known.key}:{day}"
    return int.from_bytes(hashlib.blake2b(named.encode(), digest_size=8).digest())


def observations(snapshot: Snapshot) -> Float64 | None:
    """(n_model,) interactions of each product, weighted as training weighs them; None where the live model did not count them."""
    model = snapshot.model
    popular = None if model is None else model.strategies.get("popular")
    return popular.mass_ if isinstance(popular, Popularity) else None


def _newcomer_scores(context: Context, places: Int32) -> Float32:
    """(c,), higher is better; what the model's strategy has an opinion of stands before what only came lately."""
    by_age = new_arrivals(context)[places]
    model = context.snapshot.model
    strategy = None if model is None else model.strategies.get(NewItems.name)
    if not isinstance(strategy, NewItems):
        return by_age
    items, scores = strategy.score_new(context.query)
    by_item = dict(zip(items.tolist(), scores.tolist(), strict=True))
    liked = np.array([by_item.get(place, 0.0) for place in places.tolist()], np.float32)
    ahead = AHEAD + liked / max(float(liked.max(initial=0.0)), 1e-12)
    return np.asarray(np.where(liked > 0, ahead, by_age), np.float32)
