"""Last stage: the shelf with its products, their reasons, and how it came about."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from uuid import uuid4

from django.utils.translation import gettext

from recommendations.shelf import Reason, Shelf, ShelfItem, Trace
from recommendations.stages.context import Context, Variant
from recommendations.stages.ranking import Ranked
from recommendations.stages.reasons import reasons_for


def presented(
    context: Context, ranked: Ranked, removed: Mapping[str, int], milliseconds: Mapping[str, float]
) -> Shelf:
    """`removed` counts products by the filter that took them, `milliseconds` are by strategy."""
    stands_in = not ranked.is_blended and context.variant is not Variant.CONTROL
    placement, model = context.placement, context.snapshot.model
    is_heading_true = not stands_in and not _is_impersonal_home(context)
    heading = placement.heading if is_heading_true else placement.fallback_heading
    return Shelf(
        request_id=uuid4(),
        placement=placement.slug,
        heading=gettext(heading) if heading else "",
        items=_items(context, ranked),
        model_version=None if model is None else model.number,
        variant=context.variant,
        fallback=ranked.fallback,
        personalised=context.is_personal and ranked.is_blended,
        stands_in=stands_in,
        is_optional=not placement.tops_up,
        trace=_trace(context, ranked, removed, milliseconds),
        arm=context.arm,
    )


def _is_impersonal_home(context: Context) -> bool:
    """ "For you" would be untrue where nobody is known."""
    nothing = (
        not len(context.query.items) and context.query.context_item is None and not len(context.query.cart)
    )
    return nothing and not context.known.interests


def _items(context: Context, ranked: Ranked) -> tuple[ShelfItem, ...]:
    contributions = [ranked.contributions_of(place) for place in ranked.places]
    reasons = reasons_for(context, ranked.places, contributions)
    return tuple(
        _item(context, ranked, rank, place, given, reason)
        for rank, (place, given, reason) in enumerate(
            zip(ranked.places, contributions, reasons, strict=True), start=1
        )
    )


def _item(
    context: Context, ranked: Ranked, rank: int, place: int, given: Mapping[str, float], reason: Reason
) -> ShelfItem:
    reranked = ranked.reranked
    return ShelfItem(
        product=context.snapshot.assortment.product(place),
        rank=rank,
        score=ranked.score_of(place),
        strategies=given,
        reason=reason,
        blended=sum(given.values()),
        rules=ranked.rules.names_for(place),
        learned=1.0 if ranked.correction is None else ranked.correction.factor(place),
        moves=() if reranked is None else reranked.moves.get(place, ()),
        rank_by_score=None if reranked is None else reranked.ranks.get(place),
        propensity=None if reranked is None else reranked.propensity.get(place),
    )


def _trace(
    context: Context, ranked: Ranked, removed: Mapping[str, int], milliseconds: Mapping[str, float]
) -> Trace:
    correction = ranked.correction
    return Trace(
        weights=context.weights.by_strategy,
        weights_source=context.weights.source,
        density=context.density.label,
        segments=_segment_names(context),
        known_interactions=len(context.query.items),
        filtered=removed,
        milliseconds=milliseconds,
        learned=None if correction is None else partial(correction.explain, ranked.places),
    )


def _segment_names(context: Context) -> tuple[str, ...]:
    blend_settings = context.placement.blend
    if blend_settings is None:
        return ()
    names = blend_settings.segment_names
    return tuple(names[pk] for pk in context.known.segments if pk in names)
