"""First stage: who asks, where, and what is known of them, turned into places of the assortment."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

import numpy as np
from scipy.sparse import csr_matrix

from algorithms.types import Int32, Query
from profiles.events import PURCHASE
from profiles.fold import EMPTY, Profile
from recommendations.models import Density
from recommendations.serving.configuration import PlacementSettings, Weights, density_of
from recommendations.serving.known import NOBODY_KNOWN, KnownShopper
from recommendations.serving.store_state import Snapshot
from recommendations.shelf import DrawnArm, RecommendationRequest, UnknownCategory, UnknownProduct
from recommendations.stages.control import in_control_group
from recommendations.stages.taste import interest_products, looked_at
from recommendations.training.customer_features import segment_feature


class Variant(StrEnum):
    PERSONALISED = "personalised"
    CONTROL = "control"
    NON_PERSONAL = "non_personal"


@dataclass(frozen=True)
class Context:
    """What all later stages read. Places index into `snapshot.assortment`."""

    request: RecommendationRequest
    placement: PlacementSettings
    snapshot: Snapshot
    known: KnownShopper
    profile: Profile
    query: Query
    variant: Variant
    density: Density
    weights: Weights
    limit: int
    categories: frozenset[int] | None  # primary keys that the shelf is restricted to
    now: float
    arm: DrawnArm | None = None  # whose weights `weights` and `placement.blend` are, where a bandit drew

    @property
    def is_personal(self) -> bool:
        return self.variant is Variant.PERSONALISED


def decide_variant(snapshot: Snapshot, store_id: int, known: KnownShopper) -> Variant:
    if not known.may_personalise:
        return Variant.NON_PERSONAL
    if in_control_group(store_id, known.key, snapshot.configuration.holdout_share):
        return Variant.CONTROL
    return Variant.PERSONALISED


def build_context(
    request: RecommendationRequest,
    placement: PlacementSettings,
    snapshot: Snapshot,
    known: KnownShopper,
    profile: Profile,
    *,
    variant: Variant,
    now: float,
    keep_profile: bool = False,
) -> Context:
    """Raises UnknownProduct and UnknownCategory. Without a personal variant, `known` and `profile` are left unread, but for
    the control group's if `keep_profile`."""
    if variant is not Variant.PERSONALISED and not (keep_profile and variant is Variant.CONTROL):
        known, profile = NOBODY_KNOWN, EMPTY
    # About the page: what the shopper did, and said, before does not count there.
    profile_read, interests = (EMPTY, ()) if placement.is_about_page else (profile, known.interests)
    query = _query(request, snapshot, known, profile_read, now, interests)
    density = density_of(len(query.items))
    placement, arm = _with_arm(placement, known, variant)
    blend = placement.blend
    weights = (
        blend.weights_for(known.segments, density)
        if blend
        else Weights({}, "nobody: no weights are published")
    )
    if arm is not None:
        weights = replace(weights, source=f"{arm.text}; {weights.source}")
    return Context(
        request=request,
        placement=placement,
        snapshot=snapshot,
        known=known,
        profile=profile,
        query=query,
        variant=variant,
        density=density,
        weights=weights,
        limit=request.limit or placement.size,
        categories=_categories(request, snapshot),
        now=now,
        arm=arm,
    )


def _with_arm(
    placement: PlacementSettings, known: KnownShopper, variant: Variant
) -> tuple[PlacementSettings, DrawnArm | None]:
    """The placement with the weights of the shopper's arm. Arms are drawn only where what comes of it may be counted; the control
    group and everybody who is not known get what is published."""
    bandit = placement.bandit
    if bandit is None or variant is not Variant.PERSONALISED or not known.may_be_measured:
        return placement, None
    arm = bandit.arm_of(known.key)
    return replace(placement, blend=arm.blend), bandit.drawn(arm)


def _categories(request: RecommendationRequest, snapshot: Snapshot) -> frozenset[int] | None:
    if request.category is None:
        return None
    found = snapshot.assortment.taxonomy.primary_keys_below(request.category)
    if not found:
        raise UnknownCategory(
            f"There is no category {request.category!r}: give a path such as camping/tents.",
            field="category",
            code="unknown_category",
        )
    return found


def _query(
    request: RecommendationRequest, snapshot: Snapshot, known: KnownShopper, profile: Profile, now: float,
    interests: Sequence[tuple[str, str]],
) -> Query:  # fmt: skip
    """Products that the shopper told us to forget, and events that weigh nothing, say nothing about taste."""
    position, weights, forgotten = (
        snapshot.assortment.position,
        snapshot.configuration.event_weights,
        known.forgotten,
    )
    kept = [
        (number, place, weight, entry.occurred_at, entry.name == PURCHASE)
        for number, entry in enumerate(profile.interactions)
        if (weight := weights.get(entry.name)) is not None
        and (place := position.get(entry.product_id)) is not None
        and entry.product_id not in forgotten
    ]
    numbers, places, event_weights, moments, purchased = zip(*kept, strict=True) if kept else [()] * 5
    return Query(
        items=np.array(places, np.int32),
        weights=np.array(event_weights, np.float32),
        timestamps=np.array(moments, np.float64),
        session_start=bisect_left(numbers, profile.session_start),
        purchased=np.array(purchased, np.bool_),
        now=now,
        context_item=_context_item(request, snapshot),
        cart=snapshot.assortment.places(request.cart),
        user_features=_user_features(snapshot, known),
        seconds=looked_at(profile.interactions)[np.array(numbers, np.intp)],
        interests=interest_products(snapshot.assortment, interests),
    )


def _context_item(request: RecommendationRequest, snapshot: Snapshot) -> int | None:
    if request.product_id is None:
        return None
    place = snapshot.assortment.position.get(request.product_id)
    if place is None or snapshot.assortment.products[place] is None:
        raise UnknownProduct(
            f"There is no product {request.product_id!r} in the catalogue.",
            field="product_id",
            code="unknown_product",
        )
    return place


def _user_features(snapshot: Snapshot, known: KnownShopper) -> csr_matrix | None:
    """(1, G): a row of the matrix that the live model was trained with; features that it did not know are left out."""
    if snapshot.model is None or not snapshot.model.manifest.user_features:
        return None
    names = (*known.features, *map(segment_feature, known.segments))
    return _feature_row(snapshot.model.manifest.user_features, names)


@lru_cache(maxsize=1024)
def _feature_row(columns: tuple[str, ...], names: tuple[str, ...]) -> csr_matrix:
    """Many shoppers have the same features, and making a sparse row takes as long as reading a profile. Read it only."""
    place = {name: column for column, name in enumerate(columns)}
    known_columns = [place[name] for name in names if name in place]
    rows: Int32 = np.zeros(len(known_columns), np.int32)
    values = np.ones(len(known_columns), np.float32)
    return csr_matrix((values, (rows, known_columns)), shape=(1, len(columns)))
