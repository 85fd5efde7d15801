"""From a request to a shelf: context → candidates → filter → blend → rules → rerank → explain.

Stages are plain functions of frozen values; this module is their order, and what happens where one cannot do its part.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from time import perf_counter, time
from uuid import uuid4

import structlog
from django.db import DatabaseError
from django.utils.translation import get_language
from prometheus_client import Counter, Histogram

from accounts.models import Store
from accounts.throttling import TooManyRequests, Window
from algorithms.blend import BlendResult, blend
from algorithms.learned_reranker import Corrected
from algorithms.types import Bool, Float32
from profiles.fold import EMPTY, Profile
from profiles.reading import StoredProfile, folded
from recommendations.metrics import SHELF_SECONDS, SHELVES
from recommendations.serving import shelf_cache, store_state, subjects
from recommendations.serving.configuration import PlacementSettings
from recommendations.serving.deadline import Deadline, DeadlineExceeded
from recommendations.serving.history import profile_of
from recommendations.serving.known import NOBODY_KNOWN, KnownShopper
from recommendations.serving.startup import shelf_while_starting
from recommendations.serving.store_state import Snapshot
from recommendations.shelf import (
    MAX_LIMIT,
    NOBODY,
    InvalidLimit,
    Reason,
    RecommendationRequest,
    Shelf,
    ShelfItem,
    Shopper,
    Trace,
    UnknownPlacement,
)
from recommendations.stages.candidates import score_candidates
from recommendations.stages.context import Context, Variant, build_context, decide_variant
from recommendations.stages.evidence import evidence_of
from recommendations.stages.few import Few, blend_few
from recommendations.stages.filters import eligible
from recommendations.stages.learned import corrected
from recommendations.stages.reasons import reason_for, standing_reason
from recommendations.stages.reranking import Candidates, Reranked, rerank
from recommendations.stages.rules import CompiledRules, compile_rules
from recommendations.stages.selection import popular, top_up

log = structlog.get_logger(__name__)

FIRST_DEADLINE_MS = 150.0
"""Until the placement's own deadline is known."""


@dataclass(frozen=True)
class Ranked:
    """The places of a shelf in order, with what put them there."""

    places: Sequence[int]
    blend: BlendResult | None
    scores: Float32 | None
    rules: CompiledRules
    fallback: str | None
    trace: Trace | None = None
    reranked: Reranked | None = None
    correction: Corrected | None = None
    few: Few | None = None

    @property
    def is_blended(self) -> bool:
        """Whether strategies chose, rather than what is popular."""
        return self.blend is not None or self.few is not None


def recommend(
    request: RecommendationRequest, *, window: Window | None = None, may_repeat: bool = True
) -> Shelf:
    """The shelf for this request. Never empty while an eligible product exists.

    `window` is a throttle's, counted on the way. Unless it `may_repeat`, a shelf is never one that was made before (see
    `serving.shelf_cache`). Raises UnknownPlacement, UnknownProduct, UnknownCategory and InvalidLimit (all RequestError), and
    TooManyRequests.
    """
    _check_limit(request)
    try:
        opened = _open(request, window)
    except _Starting:
        return shelf_while_starting(request)
    key = _key(opened) if may_repeat else None
    shelf = None if key is None else shelf_cache.repeated(key)
    if shelf is None:
        context, trouble = _context(opened)
        shelf = serve(context, opened.deadline, fallback=trouble)
        if key is not None and trouble is None:
            shelf_cache.keep(key, shelf)
    _count(
        shelf.placement, shelf.variant, shelf.fallback or "none", opened.deadline.elapsed_milliseconds / 1000
    )
    return shelf


def _count(placement: str, variant: str, fallback: str, seconds: float) -> None:
    shelves, shelf_seconds = _metrics(placement, str(variant), fallback)
    shelves.inc()
    shelf_seconds.observe(seconds)


@lru_cache(maxsize=1024)
def _metrics(placement: str, variant: str, fallback: str) -> tuple[Counter, Histogram]:
    return (
        SHELVES.labels(placement=placement, variant=variant, fallback=fallback),
        SHELF_SECONDS.labels(placement=placement),
    )


def open_context(request: RecommendationRequest, *, keep_profile: bool = False) -> tuple[Context, Deadline]:
    """What the stages would be given, for who needs scores or knowledge rather than a shelf.

    `keep_profile` leaves the profile of a shopper in the control group in the context. Raises RequestError, and
    DeadlineExceeded where what is needed could not be read in time.
    """
    try:
        opened = _open(request)
    except _Starting as late:
        raise DeadlineExceeded(str(late)) from late
    context, trouble = _context(opened, keep_profile=keep_profile)
    if trouble is not None:
        raise DeadlineExceeded(trouble)
    return context, opened.deadline


class _Starting(Exception):
    """The process has not read the store into memory yet."""


@dataclass(frozen=True)
class _Opened:
    """Who asks and where, before anything is made of it. `stored` is their profile as Valkey has it, if it has; `trouble` says why
    less is known than could be."""

    request: RecommendationRequest
    placement: PlacementSettings
    snapshot: Snapshot
    arrival: subjects.Arrival
    known: KnownShopper
    stored: StoredProfile | None
    trouble: str | None
    deadline: Deadline
    now: float


def _open(request: RecommendationRequest, window: Window | None = None) -> _Opened:
    deadline = Deadline(FIRST_DEADLINE_MS)
    shopper = request.shopper if request.personal and not request.shopper.has_paused else NOBODY
    store_id = request.store.pk
    arrival = subjects.arrive(store_id, shopper, window)
    if not arrival.decision.is_allowed:
        raise TooManyRequests(arrival.decision)
    try:
        snapshot = store_state.of_store(store_id).current(arrival.versions, deadline)
    except DeadlineExceeded as late:
        raise _Starting from late
    placement = _placement(snapshot, request)
    deadline = deadline.with_milliseconds(placement.deadline_ms)
    known, stored, trouble = _meet(request.store, shopper, arrival, deadline)
    now = time() if request.now is None else request.now
    return _Opened(request, placement, snapshot, arrival, known, stored, trouble, deadline, now)


def _key(opened: _Opened) -> Hashable | None:
    """Of all that the shelf is made from; None where it must be made anew."""
    request, known, stored = opened.request, opened.known, opened.stored
    if opened.trouble is not None or request.now is not None:
        return None
    if known == NOBODY_KNOWN:
        who: tuple[Hashable, ...] = ()  # one list for all of whom nothing is known
    elif opened.arrival.card is None or stored is None or not stored.is_complete:
        return None
    else:
        who = (opened.arrival.card, stored.sets)
    rules = opened.snapshot.configuration.rules_for(opened.placement.pk, opened.now)
    return (
        opened.snapshot.serial, opened.placement.pk, who, tuple(rule.pk for rule in rules), get_language(),
        request.limit, request.category, request.product_id, request.cart, request.exclude,
    )  # fmt: skip


def _context(opened: _Opened, *, keep_profile: bool = False) -> tuple[Context, str | None]:
    """With a reason where what the shopper did lately could not be read in time."""
    request, known = opened.request, opened.known
    profile, trouble = _profile(opened)
    context = build_context(
        request,
        opened.placement,
        opened.snapshot,
        known,
        profile,
        variant=decide_variant(opened.snapshot, request.store.pk, known),
        now=opened.now,
        keep_profile=keep_profile,
    )
    return context, trouble


def _profile(opened: _Opened) -> tuple[Profile, str | None]:
    known, stored = opened.known, opened.stored
    if opened.trouble is not None or not known.may_personalise:
        return EMPTY, opened.trouble
    if stored is not None and stored.is_complete:
        profile = folded(known.who, stored, opened.now)
    else:
        profile = profile_of(opened.request.store.pk, known, opened.deadline, opened.now)
    try:
        opened.deadline.check()
    except DeadlineExceeded:
        return EMPTY, "deadline"
    return profile, None


def serve(context: Context, deadline: Deadline, *, fallback: str | None = None) -> Shelf:
    """The shelf for what is known. `fallback` says why less is known than could be, if so."""
    rules = compile_rules(
        context.snapshot.assortment,
        context.snapshot.configuration.rules_for(context.placement.pk, context.now),
    )
    milliseconds: dict[str, float] = {}
    candidates = eligible(context, rules.hidden)
    mask, removed = candidates.mask, candidates.removed
    if context.variant is Variant.CONTROL:
        ranked = _popular(context, mask, rules, None)
    elif fallback is not None:
        ranked = _popular(context, mask, rules, fallback)
    else:
        try:
            few = blend_few(context, mask, rules, deadline, milliseconds)
            scores = {} if few else score_candidates(context, mask, deadline, milliseconds)
        except DeadlineExceeded:
            ranked = _popular(context, mask, rules, "deadline")
        else:
            ranked = (
                _rank_few(context, mask, rules, few)
                if few
                else _rank(context, mask, rules, scores, milliseconds)
            )
    trace = Trace(
        weights=context.weights.by_strategy,
        weights_source=context.weights.source,
        density=context.density.label,
        segments=_segment_names(context),
        known_interactions=len(context.query.items),
        filtered=removed,
        milliseconds=milliseconds,
        learned=None
        if ranked.correction is None
        else partial(ranked.correction.only(ranked.places).explain, ranked.places),
    )
    return _explained(context, replace(ranked, trace=trace))


def _rank(
    context: Context,
    mask: Bool,
    rules: CompiledRules,
    scores: Mapping[str, Float32],
    milliseconds: dict[str, float],
) -> Ranked:
    snapshot, limit, settings = context.snapshot, context.limit, context.placement.blend
    if not scores:
        return _popular(context, mask, rules, _why_nothing(context))
    result = blend(scores, context.weights.by_strategy, settings.normalisation if settings else "max")
    started = perf_counter()
    correction = corrected(context, scores, result.total)
    if correction is not None:
        milliseconds["learned_reranker"] = (perf_counter() - started) * 1000
    total = result.total if correction is None else correction.total
    if rules.factor is not None:
        total = total * rules.factor
    candidates = Candidates.of(total, result.contributions, limit)
    reranked = rerank(snapshot.assortment, candidates, mask, limit, settings, rules, evidence_of(context))
    places = reranked.places
    fallback = None
    if context.placement.tops_up and len(places) < limit:
        places = [*places, *top_up(snapshot.assortment, places, mask, limit, rules)]
    if snapshot.model is None:
        fallback = "no_model"
    return Ranked(places, result, total, rules, fallback, reranked=reranked, correction=correction)


def _rank_few(context: Context, mask: Bool, rules: CompiledRules, few: Few) -> Ranked:
    """The same from a blend of those products alone that can stand on the shelf."""
    snapshot, limit, settings = context.snapshot, context.limit, context.placement.blend
    if not few.names:
        return _popular(context, mask, rules, _why_nothing(context))
    candidates, evidence = few.candidates(limit), evidence_of(context)
    reranked = rerank(snapshot.assortment, candidates, mask, limit, settings, rules, evidence)
    places = reranked.places
    if context.placement.tops_up and len(places) < limit:
        places = [*places, *top_up(snapshot.assortment, places, mask, limit, rules)]
    fallback = "no_model" if snapshot.model is None else None
    return Ranked(places, None, None, rules, fallback, reranked=reranked, few=few)


def _popular(context: Context, mask: Bool, rules: CompiledRules, fallback: str | None) -> Ranked:
    return Ranked(
        popular(context.snapshot.assortment, mask, context.limit, rules), None, None, rules, fallback
    )


def _why_nothing(context: Context) -> str:
    if context.snapshot.model is None:
        return "no_model"
    if not context.weights.by_strategy:
        return "no_weights"
    return "nothing_known"


def _explained(context: Context, ranked: Ranked) -> Shelf:
    stands_in = not ranked.is_blended and context.variant is not Variant.CONTROL
    items = tuple(_item(context, ranked, rank, place) for rank, place in enumerate(ranked.places, start=1))
    model = context.snapshot.model
    return Shelf(
        request_id=uuid4(),
        placement=context.placement.slug,
        heading=context.placement.fallback_heading
        if stands_in or _is_impersonal_home(context)
        else context.placement.heading,
        items=items,
        model_version=None if model is None else model.number,
        variant=context.variant,
        fallback=ranked.fallback,
        personalised=context.is_personal and ranked.is_blended,
        stands_in=stands_in,
        is_optional=not context.placement.tops_up,
        trace=ranked.trace,
        arm=context.arm,
    )


def _is_impersonal_home(context: Context) -> bool:
    """ "For you" would be untrue where nobody is known."""
    nothing = (
        not len(context.query.items) and context.query.context_item is None and not len(context.query.cart)
    )
    return nothing and not context.known.interests


def _item(context: Context, ranked: Ranked, rank: int, place: int) -> ShelfItem:
    contributions: Mapping[str, float] = {}
    reranked = ranked.reranked
    if reranked is not None and place in reranked.parts:
        contributions = reranked.parts[place]
    elif ranked.few is not None:
        contributions = ranked.few.contributions_of(place)
    elif ranked.blend is not None:
        given = {name: float(row[place]) for name, row in ranked.blend.contributions.items()}
        contributions = {name: value for name, value in given.items() if value > 0}
    reason: Reason = (
        reason_for(context, place, contributions) if contributions else standing_reason(context, place)
    )
    return ShelfItem(
        product=context.snapshot.assortment.product(place),
        rank=rank,
        score=_score(ranked, place),
        strategies=contributions,
        reason=reason,
        blended=sum(contributions.values()),
        rules=ranked.rules.names_for(place),
        learned=1.0 if ranked.correction is None else ranked.correction.factor(place),
        moves=() if reranked is None else reranked.moves.get(place, ()),
        rank_by_score=None if reranked is None else reranked.ranks.get(place),
        propensity=None if reranked is None else reranked.propensity.get(place),
    )


def _score(ranked: Ranked, place: int) -> float:
    if ranked.reranked is not None and place in ranked.reranked.scores:
        return ranked.reranked.scores[place]
    if ranked.few is not None:
        return ranked.few.score_of(place)
    return 0.0 if ranked.scores is None else float(ranked.scores[place])


def _meet(
    store: Store, shopper: Shopper, arrival: subjects.Arrival, deadline: Deadline
) -> tuple[KnownShopper, StoredProfile | None, str | None]:
    """Who it is and what Valkey has of what they did lately; with a reason where that could not be read in time."""
    known = NOBODY_KNOWN
    try:
        known = subjects.know(store, shopper, arrival)
        if not known.may_personalise:
            return known, None, None
        deadline.check()
        return known, subjects.profile_of(store.pk, known, arrival), None
    except DeadlineExceeded:
        return known, None, "deadline"
    except DatabaseError:
        log.warning("shopper.unreadable", store=store.pk, exc_info=True)
        return NOBODY_KNOWN, None, "shopper_unreadable"


def _placement(snapshot: Snapshot, request: RecommendationRequest) -> PlacementSettings:
    placement = snapshot.configuration.placements.get(request.placement)
    if placement is None:
        known = (
            ", ".join(sorted(snapshot.configuration.placements))
            or "none yet: run manage.py seed_demo or add one in the admin"
        )
        raise UnknownPlacement(
            f"There is no placement {request.placement!r}. Placements of this store: {known}.",
            field="placement",
            code="unknown_placement",
        )
    return placement


def _check_limit(request: RecommendationRequest) -> None:
    if request.limit is not None and not 1 <= request.limit <= MAX_LIMIT:
        raise InvalidLimit(
            f"limit must be from 1 to {MAX_LIMIT}, not {request.limit}.", field="limit", code="invalid_limit"
        )


def _segment_names(context: Context) -> tuple[str, ...]:
    blend_settings = context.placement.blend
    if blend_settings is None:
        return ()
    return tuple(
        blend_settings.segment_names[pk]
        for pk in context.known.segments
        if pk in blend_settings.segment_names
    )
