"""Which products may stand on this shelf at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from algorithms.types import Bool, Int32
from recommendations.serving.assortment import Assortment
from recommendations.stages.context import Context


@dataclass(frozen=True)
class Eligible:
    """`mask` (n,) over the assortment. `removed` counts what each filter took that none before it had taken."""

    mask: Bool
    removed: dict[str, int]


def eligible(context: Context, hidden: Bool | None = None) -> Eligible:
    """`hidden` (n,) are products that rules take off the shelf."""
    assortment = context.snapshot.assortment
    mask = assortment.available.copy()
    removed = {"unavailable": len(mask) - int(np.count_nonzero(mask))}
    if context.categories is not None:
        _keep(mask, np.isin(assortment.category, list(context.categories)), "category", removed)
    if hidden is not None:
        _keep(mask, ~hidden, "hidden", removed)
    for name, places in _unwanted(context):
        # Who has seen nearly everything is shown it again rather than an empty shelf.
        removed[name] = (
            0 if name == "viewed" and _would_empty(mask, places, context.limit) else _take(mask, places)
        )
    return Eligible(mask, removed)


def _take(mask: Bool, places: Int32) -> int:
    """How many of `places`, of which some may stand there twice, were in the mask. They no longer are."""
    before = np.count_nonzero(mask[places])
    if not before:
        return 0
    distinct = int(np.count_nonzero(mask[np.unique(places)])) if before > 1 else 1
    mask[places] = False
    return distinct


def _would_empty(mask: Bool, places: Int32, limit: int) -> bool:
    left = int(np.count_nonzero(mask))
    if left - len(places) >= limit:
        return False
    return left - int(np.count_nonzero(mask[np.unique(places)])) < limit


def _keep(mask: Bool, kept: Bool, name: str, removed: dict[str, int]) -> None:
    before = int(np.count_nonzero(mask))
    mask &= kept
    removed[name] = before - int(np.count_nonzero(mask))


def _unwanted(context: Context) -> Iterator[tuple[str, Int32]]:
    """Places by filter; some may stand there twice. What the page shows already takes its variant family along."""
    assortment, request, known = context.snapshot.assortment, context.request, context.known
    shown = [*request.exclude, *request.cart, *([request.product_id] if request.product_id else [])]
    yield "shown", with_families(assortment, assortment.places(shown))
    yield "forgotten", assortment.places(known.forgotten)
    if context.placement.excludes_purchased:
        yield "purchased", assortment.places([*context.profile.purchased, *known.purchased])
    if context.placement.excludes_viewed:
        yield "viewed", context.query.items


def with_families(assortment: Assortment, places: Int32) -> Int32:
    """These and all others of their variant families."""
    families = {family for family in assortment.family[places].tolist() if family >= 0}
    if not families:
        return places
    return np.union1d(places, np.flatnonzero(np.isin(assortment.family, list(families)))).astype(np.int32)
