"""From a request to a shelf: context → candidates → filter → blend → rules → rerank → explain.

Stages are plain functions of frozen values; this module is their order, and what happens where one cannot do its part.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from time import time

import structlog
from django.db import DatabaseError
from django.utils.translation import get_language
from prometheus_client import Counter, Histogram

from accounts.models import Store
from accounts.throttling import TooManyRequests, Window
from profiles.fold import EMPTY, Profile
from profiles.reading import StoredProfile
from recommendations.metrics import SHELF_SECONDS, SHELVES
from recommendations.serving import shelf_cache, store_state, subjects
from recommendations.serving.configuration import PlacementSettings
from recommendations.serving.deadline import Deadline, DeadlineExceeded
from recommendations.serving.history import profile_from, profile_of
from recommendations.serving.known import NOBODY_KNOWN, KnownShopper
from recommendations.serving.startup import shelf_while_starting
from recommendations.serving.store_state import Snapshot
from recommendations.shelf import (
    MAX_LIMIT,
    NOBODY,
    InvalidLimit,
    RecommendationRequest,
    Shelf,
    Shopper,
    UnknownPlacement,
)
from recommendations.stages.context import Context, Variant, build_context, decide_variant
from recommendations.stages.filters import eligible
from recommendations.stages.presentation import presented
from recommendations.stages.ranking import ranked
from recommendations.stages.rules import compile_rules

log = structlog.get_logger(__name__)

FIRST_DEADLINE_MS = 150.0
"""Until the placement's own deadline is known."""


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
            shelf_cache.keep(key, shelf, is_about_page=not opened.reads_profile)
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
        opened = _open(request, reads_all=True)
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
    reads_profile: bool = True


def _open(
    request: RecommendationRequest, window: Window | None = None, *, reads_all: bool = False
) -> _Opened:
    """`reads_all`: the profile too where this shelf hangs on nothing of it, for who makes other shelves of the context."""
    deadline = Deadline(FIRST_DEADLINE_MS)
    shopper = request.shopper if request.personal and not request.shopper.has_paused else NOBODY
    store_id = request.store.pk
    wants_profile = reads_all or _reads_profile(store_id, request.placement)
    arrival = subjects.arrive(store_id, shopper, window, with_profile=wants_profile)
    if not arrival.decision.is_allowed:
        raise TooManyRequests(arrival.decision)
    try:
        snapshot = store_state.of_store(store_id).current(arrival.versions, deadline)
    except DeadlineExceeded as late:
        raise _Starting from late
    placement = _placement(snapshot, request)
    deadline = deadline.with_milliseconds(placement.deadline_ms)
    reads_profile = reads_all or placement.reads_profile
    known, stored, trouble = _meet(request.store, shopper, arrival, deadline, reads_profile)
    now = time() if request.now is None else request.now
    return _Opened(
        request, placement, snapshot, arrival, known, stored, trouble, deadline, now, reads_profile
    )


def _reads_profile(store_id: int, slug: str) -> bool:
    """By what the process knows before it has asked; where that has just changed, the profile takes a trip of its own."""
    snapshot = store_state.of_store(store_id).snapshot
    placement = None if snapshot is None else snapshot.configuration.placements.get(slug)
    return placement is None or placement.reads_profile


def _key(opened: _Opened) -> Hashable | None:
    """Of all that the shelf is made from; None where it must be made anew."""
    request = opened.request
    who = None if opened.trouble is not None or request.now is not None else _who(opened)
    if who is None:
        return None
    rules = opened.snapshot.configuration.rules_for(opened.placement.pk, opened.now)
    return (
        opened.snapshot.serial, opened.placement.pk, who, tuple(rule.pk for rule in rules), get_language(),
        request.limit, request.category, request.product_id, request.cart, request.exclude,
    )  # fmt: skip


def _who(opened: _Opened) -> tuple[Hashable, ...] | None:
    """What of the shopper the shelf is made from: no more than that, so that as many as can be share one."""
    known, stored = opened.known, opened.stored
    variant = decide_variant(opened.snapshot, opened.request.store.pk, known)
    if variant is not Variant.PERSONALISED:
        return (variant,)
    if opened.placement.is_alike_for_all:
        return (variant, known.segments, known.features, known.interests, known.forgotten)
    if opened.arrival.card is None or stored is None or not stored.is_complete:
        return None
    return (variant, opened.arrival.card, stored.sets)


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
    if opened.trouble is not None or not known.may_personalise or not opened.reads_profile:
        return EMPTY, opened.trouble
    if stored is not None and stored.is_complete:
        profile = profile_from(opened.request.store.pk, known, stored, opened.now)
    else:
        profile = profile_of(opened.request.store.pk, known, opened.deadline, opened.now)
    try:
        opened.deadline.check()
    except DeadlineExceeded:
        return EMPTY, "deadline"
    return profile, None


def serve(context: Context, deadline: Deadline, *, fallback: str | None = None) -> Shelf:
    """The shelf for what is known. `fallback` says why less is known than could be, if so."""
    snapshot = context.snapshot
    active = snapshot.configuration.rules_for(context.placement.pk, context.now)
    rules = compile_rules(snapshot.assortment, active)
    candidates = eligible(context, rules.hidden)
    milliseconds: dict[str, float] = {}
    found = ranked(context, candidates.mask, rules, deadline, milliseconds, fallback)
    return presented(context, found, candidates.removed, milliseconds)


def _meet(
    store: Store, shopper: Shopper, arrival: subjects.Arrival, deadline: Deadline, reads_profile: bool
) -> tuple[KnownShopper, StoredProfile | None, str | None]:
    """Who it is and what Valkey has of what they did lately; with a reason where that could not be read in time."""
    known = NOBODY_KNOWN
    try:
        known = subjects.know(store, shopper, arrival)
        if not known.may_personalise or not reads_profile:
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
