"""What we think a shopper likes, in words they can check."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from accounts.models import Store
from recommendations.pipeline import open_context
from recommendations.serving.deadline import DeadlineExceeded
from recommendations.shelf import RecommendationRequest, RequestError, ShelfProduct, Shopper
from recommendations.stages.context import Context, Variant
from segments.models import Segment

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Liking:
    """`share` 0..1 of all that was seen of the shopper; counts of what it rests on."""

    name: str
    share: float
    views: int
    purchases: int


@dataclass(frozen=True)
class Taste:
    """`is_permitted` is false where shelves may not be made for the shopper: then nothing else is known either."""

    is_permitted: bool
    is_paused: bool = False
    categories: tuple[Liking, ...] = ()
    brands: tuple[Liking, ...] = ()
    segments: tuple[str, ...] = ()
    interactions: int = 0
    is_control: bool = False


def taste_of(store: Store, shopper: Shopper) -> Taste:
    """For a page: what cannot be read in time is not shown."""
    try:
        return taste_read(store, shopper)
    except DeadlineExceeded:
        return Taste(is_permitted=False)


def taste_read(store: Store, shopper: Shopper) -> Taste:
    """The same for whoever can try again. Raises DeadlineExceeded where it could not be read in time."""
    if shopper.has_paused:
        return Taste(is_permitted=False, is_paused=True)
    try:
        context, _deadline = open_context(
            RecommendationRequest(store=store, placement="home", shopper=shopper), keep_profile=True
        )
    except RequestError:
        return Taste(is_permitted=False)
    if not context.known.may_personalise:
        return Taste(is_permitted=False)
    return Taste(
        is_permitted=True,
        categories=_likings(context, "category_name"),
        brands=_likings(context, "brand_name"),
        segments=tuple(_segment_names(store, context)),
        interactions=len(context.query.items),
        is_control=context.variant is Variant.CONTROL,
    )


def _likings(context: Context, name_of: str) -> tuple[Liking, ...]:
    weight: dict[str, float] = defaultdict(float)
    views: dict[str, int] = defaultdict(int)
    purchases: dict[str, int] = defaultdict(int)
    for product, strength, bought in _touched(context):
        name = getattr(product, name_of)
        if name:
            weight[name] += strength
            (purchases if bought else views)[name] += 1
    total = sum(weight.values())
    best = sorted(weight, key=lambda name: (-weight[name], name))[:SHOWN]
    return tuple(Liking(name, weight[name] / total, views[name], purchases[name]) for name in best)


def _touched(context: Context) -> Iterator[tuple[ShelfProduct, float, bool]]:
    query = context.query
    for place, strength, bought in zip(
        query.items.tolist(), query.weights.tolist(), query.purchased.tolist(), strict=True
    ):
        product = context.snapshot.assortment.products[place]
        if product is not None:
            yield product, strength, bought


def _segment_names(store: Store, context: Context) -> list[str]:
    names = dict(
        Segment.objects.for_store(store).filter(pk__in=context.known.segments).values_list("pk", "name")
    )
    return [names[pk] for pk in context.known.segments if pk in names]
