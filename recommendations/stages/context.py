"""First stage: who asks, where, and what is known of them, turned into places of the assortment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from scipy.sparse import csr_matrix

from algorithms.types import Int32, Query
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
    position, weights = snapshot.assortment.position, snapshot.configuration.event_weights
    rows = [
        (number, position[entry.product_id], entry)
        for number, entry in enumerate(profile.interactions)
        if entry.name in weights and entry.product_id in position and entry.product_id not in known.forgotten
    ]
    return Query(
        items=np.array([place for _, place, _ in rows], np.int32),
        weights=np.array([weights[entry.name] for _, _, entry in rows], np.float32),
        timestamps=np.array([entry.occurred_at for _, _, entry in rows], np.float64),
        session_start=sum(number < profile.session_start for number, _, _ in rows),
        purchased=np.array([entry.is_purchase for _, _, entry in rows], np.bool_),
        now=now,
        context_item=_context_item(request, snapshot),
        cart=snapshot.assortment.places(request.cart),
        user_features=_user_features(snapshot, known),
        seconds=looked_at(profile.interactions)[[number for number, _, _ in rows]],
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
    columns = snapshot.model.manifest.user_features
    names = (*known.features, *map(segment_feature, known.segments))
    known_columns = [columns.index(name) for name in names if name in columns]
    rows: Int32 = np.zeros(len(known_columns), np.int32)
    values = np.ones(len(known_columns), np.float32)
    return csr_matrix((values, (rows, known_columns)), shape=(1, len(columns)))
