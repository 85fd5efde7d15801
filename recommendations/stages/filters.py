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
        taken = int(np.count_nonzero(mask[places]))
        # Who has seen nearly everything is shown it again rather than an empty shelf.
        if name == "viewed" and np.count_nonzero(mask) - taken < context.limit:
            taken, places = 0, places[:0]
        removed[name] = taken
        mask[places] = False
    return Eligible(mask, removed)


def _keep(mask: Bool, kept: Bool, name: str, removed: dict[str, int]) -> None:
    before = int(np.count_nonzero(mask))
    mask &= kept
    removed[name] = before - int(np.count_nonzero(mask))


def _unwanted(context: Context) -> Iterator[tuple[str, Int32]]:
    """Distinct places by filter. What the page shows already takes its variant family along."""
    assortment, request = context.snapshot.assortment, context.request
    shown = [*request.exclude, *request.cart, *([request.product_id] if request.product_id else [])]
    yield "shown", with_families(assortment, assortment.places(shown))
    yield "forgotten", np.unique(assortment.places(context.known.forgotten))
    if context.placement.excludes_purchased:
        yield (
            "purchased",
            np.unique(assortment.places([*context.profile.purchased, *context.known.purchased])),
        )
    if context.placement.excludes_viewed:
        yield "viewed", np.unique(context.query.items)


def with_families(assortment: Assortment, places: Int32) -> Int32:
    """Distinct places: these and all others of their variant families."""
    families = np.unique(assortment.family[places])
    families = families[families >= 0]
    if not len(families):
        return np.unique(places)
    return np.union1d(places, np.flatnonzero(np.isin(assortment.family, families))).astype(np.int32)
