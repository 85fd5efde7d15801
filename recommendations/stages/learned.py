"""After the blend: the live version's learned correction, where one did better than the blend (`algorithms/learned_reranker.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from algorithms.candidate_features import ItemFacts
from algorithms.learned_reranker import Corrected, LearnedReranker
from algorithms.types import Float32, Int32
from recommendations.models import Placement
from recommendations.stages.context import Context

ASKED_BY_PAGE: Final = frozenset({Placement.Kind.PRODUCT, Placement.Kind.CART})
"""Kinds of shelves that ask with the page's product: corrections were learned from, and measured on, histories alone."""


def corrected(context: Context, scores: Mapping[str, Float32], total: Float32) -> Corrected | None:
    """`scores` (n,) by strategy and `total` (n,), what the blend made of them; None where nothing is to be corrected."""
    reranker = reranker_for(context)
    return None if reranker is None else reranker.corrected(context.query, scores, total, _facts(context))


def corrected_among(
    context: Context, places: Int32, normalised: Mapping[str, Float32], total: Float32
) -> Corrected | None:
    """The same where only `places` (c,) were blended; see `LearnedReranker.corrected_among`."""
    reranker = reranker_for(context)
    if reranker is None:
        return None
    return reranker.corrected_among(context.query, places, normalised, total, _facts(context))


def _facts(context: Context) -> ItemFacts:
    assortment = context.snapshot.assortment
    return ItemFacts(
        popularity=assortment.standing.values,
        created=assortment.published,
        category=assortment.category,
        brand=assortment.brand,
        price=assortment.price,
    )


def reranker_for(context: Context) -> LearnedReranker | None:
    """That of shelves which repeat, or do not repeat, what was seen: each was measured on its own."""
    placement, model = context.placement, context.snapshot.model
    if (
        model is None
        or not placement.uses_learned_reranker
        or placement.is_about_page
        or placement.kind in ASKED_BY_PAGE
        or not len(context.query.items)
        or not _is_blended(context)
    ):
        return None
    return model.rerankers.get("unseen" if placement.excludes_viewed else "all")


def _is_blended(context: Context) -> bool:
    """Whether several strategies speak. Where one alone does, its order is what the shelf promises: "Recently viewed" has the newest
    first, and corrections were learned from blends."""
    return sum(weight > 0 for weight in context.weights.by_strategy.values()) > 1
