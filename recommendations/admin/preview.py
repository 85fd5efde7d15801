"""Shelves before and after: the published weights and a draft's, side by side, through the stages that serve shoppers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import time
from typing import Final

from accounts.display.charts import Slice, stack
from accounts.models import Store
from recommendations.admin.learned_features import loudest
from recommendations.admin.personas import Persona, personas
from recommendations.admin.strategies import text_of
from recommendations.models import Density, Placement
from recommendations.pipeline import open_context, serve
from recommendations.services.blends import EVERYBODY, Audience
from recommendations.serving import store_state, versions
from recommendations.serving.configuration import BlendSettings, PlacementSettings, placement_settings
from recommendations.serving.deadline import Deadline, DeadlineExceeded
from recommendations.serving.known import KnownShopper
from recommendations.serving.store_state import Snapshot
from recommendations.shelf import RecommendationRequest, Shelf, ShelfItem, Shopper
from recommendations.stages.context import Context, Variant, build_context

# A preview may take its time: what is shown must not depend on how busy the server is.
_PATIENCE_MS: Final = 10_000.0
PREVIEW_SIZE: Final = 8


class NotReady(RuntimeError):
    """The process is still loading the store; trying again in some seconds helps."""


@dataclass(frozen=True)
class Card:
    """A product on a previewed shelf. `move` is how many ranks it went up (> 0) or down against the other shelf; None: it is new there."""

    item: ShelfItem
    move: int | None
    slices: list[Slice]
    parts: list[tuple[str, float, float, int]]  # strategy, weight, contribution, colour
    dom_id: str
    learned: list[tuple[str, float]] = field(default_factory=list)  # the learned reranker's loudest features

    @property
    def movement(self) -> str:
        if self.move is None:
            return "new"
        return "up" if self.move > 0 else "down" if self.move < 0 else "same"

    @property
    def distance(self) -> int:
        return abs(self.move or 0)


@dataclass(frozen=True)
class Side:
    """One shelf. `source` says which weights applied; `note` why it is not what was asked for, if so."""

    cards: list[Card]
    source: str
    note: str


@dataclass(frozen=True)
class Comparison:
    """A shopper's shelf by the published weights (`before`) and by the draft (`after`).

    `follows`: the weights that are being edited are those of this shopper's shelf.
    """

    name: str
    story: str
    before: Side
    after: Side
    gone: int  # products of `before` that are not in `after`
    follows: bool = True

    @property
    def is_same(self) -> bool:
        return [card.item.product.pk for card in self.before.cards] == [
            card.item.product.pk for card in self.after.cards
        ]


def snapshot_of(store: Store) -> Snapshot:
    """What serving has in memory of the store. Raises NotReady while it is being read."""
    try:
        return store_state.of_store(store.pk).current(versions.read(store.pk), Deadline(_PATIENCE_MS))
    except DeadlineExceeded as late:
        raise NotReady("The shop is being loaded into memory: try again in some seconds.") from late


def compare_personas(
    store: Store, placement: Placement, draft: BlendSettings, *, audience: Audience = EVERYBODY
) -> list[Comparison]:
    """Every persona's shelf before and after, first of those whom the weights for `audience` are for.

    With weights for a segment they are all taken for its members. Raises NotReady.
    """
    snapshot = snapshot_of(store)
    settings = _settings(snapshot, placement)
    now = time()
    known = KnownShopper(may_personalise=True, key="persona", segments=(audience[0],) if audience[0] else ())
    edited = draft.rows.get((audience[0], Density(audience[1])))
    found = []
    for persona in personas(snapshot.assortment, now):
        before, after = (
            _context(store, snapshot, settings, persona, known, now, blend)
            for blend in (settings.blend, draft)
        )
        comparison = _compare(persona.name, persona.story, persona.slug, (before, after))
        found.append(replace(comparison, follows=after.weights.by_strategy is edited))
    return sorted(found, key=lambda comparison: not comparison.follows)


def persona_context(placement: Placement, slug: str) -> Context:
    """What the live weights are given for a persona. Raises NotReady, and NotReady too for a persona that there is not."""
    snapshot = snapshot_of(placement.store)
    settings, now = _settings(snapshot, placement), time()
    known = KnownShopper(may_personalise=True, key="persona")
    for persona in personas(snapshot.assortment, now):
        if persona.slug == slug:
            return _context(placement.store, snapshot, settings, persona, known, now, settings.blend)
    raise NotReady(f"There is no persona {slug!r}: choose one of those above.")


def _context(
    store: Store,
    snapshot: Snapshot,
    settings: PlacementSettings,
    persona: Persona,
    known: KnownShopper,
    now: float,
    blend: BlendSettings | None,
) -> Context:
    kind = settings.kind
    request = RecommendationRequest(
        store=store,
        placement=settings.slug,
        limit=min(PREVIEW_SIZE, settings.size),
        product_id=persona.context_product if kind == Placement.Kind.PRODUCT else None,
        cart=persona.cart if kind == Placement.Kind.CART else (),
        category=persona.category if kind == Placement.Kind.CATEGORY else None,
        now=now,
    )
    return build_context(
        request,
        replace(settings, blend=blend),
        snapshot,
        known,
        persona.profile,
        variant=Variant.PERSONALISED,
        now=now,
    )


def compare_customer(
    store: Store, placement: Placement, draft: BlendSettings, customer_id: str
) -> Comparison:
    """A real customer's shelf before and after, by the shop's customer id, as far as their consent allows.

    What they do not permit is not read: their shelf is then the one that they would get. Raises NotReady, RequestError.
    """
    settings = _settings(snapshot_of(store), placement)
    persona = personas(snapshot_of(store).assortment, time())
    first = persona[0] if persona else None
    request = RecommendationRequest(
        store=store,
        placement=placement.slug,
        shopper=Shopper(customer_id=customer_id),
        limit=min(PREVIEW_SIZE, settings.size),
        product_id=first.context_product if first and settings.kind == Placement.Kind.PRODUCT else None,
        cart=first.cart if first and settings.kind == Placement.Kind.CART else (),
        category=first.category if first and settings.kind == Placement.Kind.CATEGORY else None,
    )
    try:
        context, _ = open_context(request, keep_profile=True)
    except DeadlineExceeded as late:
        raise NotReady("The shopper's profile could not be read in time: try again.") from late
    notes = {
        Variant.NON_PERSONAL: "They do not permit personalisation: this is the shelf of everybody.",
        Variant.CONTROL: "They are in the control group and see popular products; this is what personal shelves would hold.",
        Variant.PERSONALISED: f"{len(context.query.items)} recent interactions are known.",
    }
    story = notes[context.variant]
    if context.arm is not None:
        story = f"{story} Today they see {context.arm.text}."
    if context.variant is Variant.CONTROL:
        context = replace(context, variant=Variant.PERSONALISED)
    # Who is in a bandit sees their arm today, not what is published.
    today = context if context.arm is not None else _with_blend(context, settings.blend)
    pair = [today, _with_blend(context, draft)]
    return _compare(f"Customer {customer_id}", story, "customer", pair)


def _with_blend(context: Context, blend: BlendSettings | None) -> Context:
    if blend is None:
        return context
    weights = blend.weights_for(context.known.segments, context.density)
    return replace(context, placement=replace(context.placement, blend=blend), weights=weights)


def _settings(snapshot: Snapshot, placement: Placement) -> PlacementSettings:
    """The placement as serving knows it; an inactive one as it would be."""
    found = snapshot.configuration.placements.get(placement.slug)
    if found is not None:
        return found
    return placement_settings(placement, None)


def _compare(name: str, story: str, slug: str, contexts: Sequence[Context]) -> Comparison:
    before, after = (serve(context, Deadline(_PATIENCE_MS)) for context in contexts)
    ranks_before, ranks_after = _ranks(before), _ranks(after)
    return Comparison(
        name,
        story,
        before=_side(before, ranks_after, f"{slug}-before", is_after=False),
        after=_side(after, ranks_before, f"{slug}-after", is_after=True),
        gone=len(ranks_before.keys() - ranks_after.keys()),
    )


def _ranks(shelf: Shelf) -> dict[int, int]:
    return {item.product.pk: item.rank for item in shelf.items}


def _side(shelf: Shelf, other: Mapping[int, int], prefix: str, *, is_after: bool) -> Side:
    weights = shelf.trace.weights if shelf.trace else {}
    full = max((sum(item.strategies.values()) for item in shelf.items), default=0.0)
    learned = shelf.trace.learned() if shelf.trace and shelf.trace.learned else [{} for _ in shelf.items]
    cards = [
        replace(
            _card(item, other, weights, full, f"{prefix}-{item.rank}", is_after), learned=loudest(factors)
        )
        for item, factors in zip(shelf.items, learned, strict=True)
    ]
    return Side(
        cards,
        shelf.trace.weights_source if shelf.trace else "",
        _FALLBACKS.get(shelf.fallback or "", shelf.fallback or ""),
    )


_FALLBACKS: Final = {
    "no_model": "No model is live: strategies that need one are silent.",
    "no_weights": "No strategy has a weight: popular products stand in.",
    "nothing_known": "No strategy has an opinion here: popular products stand in.",
    "deadline": "It took too long: popular products stand in.",
    "shopper_unreadable": "The shopper could not be read: popular products stand in.",
}


def _card(
    item: ShelfItem,
    other: Mapping[int, int],
    weights: Mapping[str, float],
    full: float,
    dom_id: str,
    is_after: bool,
) -> Card:
    ordered = sorted(item.strategies.items(), key=lambda part: -part[1])
    parts = [
        (text_of(name).label, weights.get(name, 0.0), value, text_of(name).colour) for name, value in ordered
    ]
    slices = stack(
        [(label, value, f"{label}: {value:.3f}") for label, _, value, _ in parts],
        full,
        {label: colour for label, _, _, colour in parts},
    )
    before = other.get(item.product.pk)
    move = None if before is None else (before - item.rank if is_after else 0)
    return Card(item, move, slices, parts, dom_id)
