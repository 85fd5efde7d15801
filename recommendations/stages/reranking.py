"""From the best-scored products to the shelf: what is known besides the scores, then variety, newcomers, chance and pins.

`rerank` is what serving, the preview and Measure call; it works on the few hundred best candidates only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np

from algorithms.calibration import band_targets
from algorithms.ranking import top_k
from algorithms.rerank import Chosen, Wish, choose, explore, fatigue, reserve, shrink, value_factor
from algorithms.types import Bool, Float32, Float64, Int32
from recommendations.rerank_settings import NOTHING, RerankSettings
from recommendations.serving.assortment import Assortment
from recommendations.serving.configuration import BlendSettings
from recommendations.serving.traits import PRICE_BANDS, traits_of
from recommendations.shelf import Move
from recommendations.stages.rules import CompiledRules
from recommendations.stages.selection import pinned_places, with_pins

CANDIDATES_PER_PLACE: Final = 12
MIN_CANDIDATES: Final = 120
POOL_PER_PLACE: Final = 2
"""For each place so many further candidates are looked at for chance; the half of them with fewer observations may be drawn."""
DAY_SECONDS: Final = 86_400.0
FRESH_SECONDS: Final = 60.0
"""Which products are new is worked out once in so long."""

OF_SHOPPERS: Final = frozenset(
    {"session_knn", "user_knn", "viewed_next", "item_vectors", "item_knn", "bought_together", "als", "ease", "lightfm"}
)  # fmt: skip
"""Strategies whose opinion of a product rests on what shoppers did with it: few of them, and it is a guess."""


@dataclass(frozen=True)
class Candidates:
    """c products, the best scores first. `contributions` (s, c) by the strategies `names`; `factor` (c,) is what rules, and whatever
    else came after the blend, multiplied their sum by."""

    places: Int32
    names: tuple[str, ...]
    contributions: Float32
    factor: Float64

    @classmethod
    def of(cls, scores: Float32, contributions: Mapping[str, Float32], limit: int) -> Candidates:
        """The best of `scores` (n,), as many as a shelf of `limit` needs; `contributions` are rows of the same n."""
        places = top_k(scores, max(MIN_CANDIDATES, limit * CANDIDATES_PER_PLACE))
        rows = [row[places] for row in contributions.values()]
        given = np.stack(rows) if rows else np.zeros((0, len(places)), np.float32)
        return cls(places, tuple(contributions), given, scores[places] / np.maximum(given.sum(axis=0), 1e-12))

    @classmethod
    def scored(cls, scores: Float32, limit: int) -> Candidates:
        """Where no strategy is told apart."""
        return cls.of(scores, {"": scores}, limit)


_NONE_SHOWN: Final[Mapping[int, int]] = MappingProxyType({})
_NOTHING: Final = np.empty(0, np.int32)


@dataclass(frozen=True)
class Evidence:
    """What may be used besides scores; by default nothing. Empty in all that is about the shopper where they do not permit it.

    `items` and `weights` (m,) are the shopper's interactions; `shown` place → times seen without being opened; `shopper_value`
    0..1 among those who bought; `seed` names the shopper and the day (None: nothing is left to chance). `observations` (n_model,)
    by place; `newcomer_scores` ranks places of new products among themselves.
    """

    now: float = 0.0
    items: Int32 = field(default_factory=lambda: _NOTHING)
    weights: Float32 = field(default_factory=lambda: np.empty(0, np.float32))
    shown: Mapping[int, int] = field(default_factory=lambda: _NONE_SHOWN)
    shopper_value: float | None = None
    seed: int | None = None
    observations: Float64 | None = None
    newcomer_scores: Callable[[Int32], Float32] | None = None


NO_EVIDENCE: Final = Evidence()


@dataclass(frozen=True)
class Reranked:
    """`places` of the shelf in order. By place, for those that were candidates: what each strategy gave at last (`parts`), the final
    `scores`, and the rank that `scores` before reranking would have given (`ranks`). `moves` say what was done to whom;
    `propensity` how likely it was for a place that chance might have given away."""

    places: list[int]
    parts: Mapping[int, Mapping[str, float]]
    scores: Mapping[int, float]
    ranks: Mapping[int, int]
    moves: Mapping[int, tuple[Move, ...]]
    propensity: Mapping[int, float]


def rerank(
    assortment: Assortment,
    candidates: Candidates,
    mask: Bool,
    limit: int,
    blend: BlendSettings | None,
    rules: CompiledRules,
    evidence: Evidence = NO_EVIDENCE,
) -> Reranked:
    """At most `limit` places, all eligible by `mask`, no two of a variant family, pins at their ranks.

    Caps give way rather than leave places empty: a shop of one brand has a shelf of one brand.
    """
    settings = NOTHING if blend is None else blend.rerank
    weighed = _weigh(assortment, candidates, settings, evidence)
    pinned = pinned_places(assortment, mask, limit, rules)
    room = limit - len(pinned)
    pool = POOL_PER_PLACE * room if settings.exploration > 0 and evidence.seed is not None else 0
    chosen = _choose(assortment, weighed, list(pinned.values()), room + pool, blend, settings, evidence)
    ordered = weighed.places[chosen.order].tolist()
    places = ordered[:room]
    new = new_places(assortment, settings, evidence)
    kept = _with_newcomers(
        assortment, places, list(pinned.values()), mask, room, new, weighed, settings, evidence
    )
    came = frozenset(kept) - frozenset(places)
    spare = [place for place in ordered[room : chosen.within] if place not in came]
    places, propensity = _with_chance(assortment, kept, spare, new, settings, evidence)
    return _told(weighed, with_pins(places, pinned, limit), came, propensity)


@dataclass(frozen=True)
class _Weighed:
    """Candidates in the order of their final `scores`; `rank` is where they stood before, from 1. `factors`: code → (c,)."""

    places: Int32
    names: tuple[str, ...]
    contributions: Float32
    scores: Float64
    rank: Int32
    factors: Mapping[str, Float64]
    shown: Float64


def _weigh(
    assortment: Assortment, candidates: Candidates, settings: RerankSettings, evidence: Evidence
) -> _Weighed:
    places, given = candidates.places, candidates.contributions
    factors: dict[str, Float64] = {}
    if settings.confidence > 0 and evidence.observations is not None:
        before = given.sum(axis=0)
        rests_on_shoppers = np.array([name in OF_SHOPPERS for name in candidates.names])
        known = shrink(_observations(evidence.observations, places), settings.confidence)
        given = np.where(rests_on_shoppers[:, None], given * known, given).astype(np.float32)
        factors["confidence"] = given.sum(axis=0) / np.maximum(before, 1e-12)
    scores = given.sum(axis=0) * candidates.factor
    if settings.value_bound > 0:
        tilt = (
            0.0
            if evidence.shopper_value is None
            else settings.shopper_value * (2 * evidence.shopper_value - 1)
        )
        percentile = traits_of(assortment).margin_percentile(assortment, places)
        factors["value"] = value_factor(percentile, settings.value_bound, tilt)
        scores = scores * factors["value"]
    shown = np.zeros(len(places))
    if settings.fatigue > 0 and evidence.shown:
        shown = np.array([evidence.shown.get(place, 0) for place in places.tolist()], np.float64)
        factors["fatigue"] = fatigue(shown, settings.fatigue)
        scores = scores * factors["fatigue"]
    rank = np.arange(1, len(places) + 1, dtype=np.int32)
    if not factors:
        return _Weighed(places, candidates.names, given, scores, rank, factors, shown)
    order = np.argsort(-scores, kind="stable")
    ordered = {code: values[order] for code, values in factors.items()}
    return _Weighed(
        places[order], candidates.names, given[:, order], scores[order], rank[order], ordered, shown[order]
    )


def _observations(observations: Float64, places: Int32) -> Float64:
    """(c,): 0 for what came after the training."""
    known = places < len(observations)
    return np.where(known, observations[np.where(known, places, 0)] if len(observations) else 0.0, 0.0)


def _choose(
    assortment: Assortment, weighed: _Weighed, pinned: list[int], k: int, blend: BlendSettings | None,
    settings: RerankSettings, evidence: Evidence,
) -> Chosen:  # fmt: skip
    """Places among the candidates; what is pinned counts as standing on the shelf already."""
    standing = np.array(pinned, np.int32)
    places, scores = weighed.places, weighed.scores
    if pinned:
        places, scores = np.concatenate([standing, places]), np.concatenate([np.zeros(len(pinned)), scores])
    chosen = choose(
        scores,
        assortment.family[places],
        assortment.brand[places],
        assortment.category[places],
        k,
        max_per_brand=(blend.max_per_brand or 0) if blend else 0,
        max_per_category=(blend.max_per_category or 0) if blend else 0,
        diversity=blend.diversity if blend else 0.0,
        wish=_wish(assortment, places, evidence) if settings.price_bands > 0 else None,
        calibration=settings.price_bands,
        standing=len(pinned),
    )
    if not pinned:
        return chosen
    kept = chosen.order - len(pinned)
    is_pinned = np.isin(weighed.places[kept], standing)
    return Chosen(kept[~is_pinned], chosen.within - int(is_pinned[: chosen.within].sum()))


def _wish(assortment: Assortment, places: Int32, evidence: Evidence) -> Wish | None:
    """The shopper's own shares of price bands, by main category; None for whom nothing is known of."""
    if not len(evidence.items):
        return None
    traits = traits_of(assortment)
    main, history = traits.main(assortment, places), traits.main(assortment, evidence.items)
    groups, group = np.unique(main, return_inverse=True)
    targets = band_targets(
        traits.price_band(assortment, evidence.items, history),
        history,
        evidence.weights.astype(np.float64),
        groups,
        PRICE_BANDS,
    )
    return Wish(traits.price_band(assortment, places, main), group.astype(np.int32), targets)


# What is new

_new: WeakKeyDictionary[Assortment, dict[tuple[int, int, int], frozenset[int]]] = WeakKeyDictionary()


def new_places(assortment: Assortment, settings: RerankSettings, evidence: Evidence) -> frozenset[int]:
    """Available products that count as new, where places are kept for them; empty where none are."""
    if not settings.new_slots:
        return frozenset()
    of_assortment = _new.setdefault(assortment, {})
    key = (settings.new_days, settings.new_interactions, int(evidence.now // FRESH_SECONDS))
    if key not in of_assortment:
        if len(of_assortment) > 16:
            of_assortment.clear()
        of_assortment[key] = frozenset(np.flatnonzero(_is_new(assortment, settings, evidence)).tolist())
    return of_assortment[key]


def _is_new(assortment: Assortment, settings: RerankSettings, evidence: Evidence) -> Bool:
    age = evidence.now - assortment.published
    new = (assortment.published > 0) & (age >= 0) & (age <= settings.new_days * DAY_SECONDS)
    if settings.new_interactions and evidence.observations is not None:
        few = np.ones(len(assortment), np.bool_)
        known = min(len(evidence.observations), len(assortment))
        few[:known] = evidence.observations[:known] < settings.new_interactions
        new |= few
    return np.asarray(new & assortment.available)


def _with_newcomers(
    assortment: Assortment, places: list[int], pinned: list[int], mask: Bool, room: int, new: frozenset[int],
    weighed: _Weighed, settings: RerankSettings, evidence: Evidence,
) -> list[int]:  # fmt: skip
    missing = settings.new_slots - sum(place in new for place in (*places, *pinned))
    if missing <= 0 or not new:
        return places
    eligible = np.array([place for place in new if mask[place]], np.int32)
    families = {int(assortment.family[place]) for place in (*places, *pinned)} - {-1}
    newcomers: list[int] = []
    for place in _ranked_newcomers(assortment, eligible, weighed, evidence):
        family = int(assortment.family[place])
        if place in places or place in pinned or family in families:
            continue
        newcomers.append(place)
        families.add(family) if family >= 0 else None
        if len(newcomers) == missing:
            break
    slots = missing + sum(place in new for place in places)
    return reserve(places, newcomers, slots, new, room)


def _ranked_newcomers(
    assortment: Assortment, eligible: Int32, weighed: _Weighed, evidence: Evidence
) -> list[int]:
    """By what ranks new products among themselves, then by the blend, then the newest."""
    if not len(eligible):
        return []
    liked = np.zeros(len(eligible))
    if evidence.newcomer_scores is not None:
        liked = np.asarray(evidence.newcomer_scores(eligible), np.float64)
    blended = dict(zip(weighed.places.tolist(), weighed.scores.tolist(), strict=True))
    score = np.array([blended.get(place, 0.0) for place in eligible.tolist()])
    order = np.lexsort((eligible, -assortment.published[eligible], -score, -liked))
    ranked: list[int] = eligible[order].tolist()
    return ranked


# What is left to chance


def _with_chance(
    assortment: Assortment, places: list[int], spare: list[int], new: frozenset[int], settings: RerankSettings, evidence: Evidence
) -> tuple[list[int], dict[int, float]]:  # fmt: skip
    """Places with some of them given to `spare`; by place how likely it was. Places kept for the new are left alone."""
    if settings.exploration <= 0 or evidence.seed is None or not spare:
        return places, {}
    pool = np.array(spare, np.int32)
    if evidence.observations is not None:
        known = _observations(evidence.observations, pool)
        pool = pool[np.sort(np.argsort(known, kind="stable")[: (len(pool) + 1) // 2])]
    numbers = np.array([assortment.product(place).pk for place in pool.tolist()], np.int64)
    free = [at for at, place in enumerate(places) if place not in new]
    explored = explore(len(free), numbers, settings.exploration, evidence.seed)
    shelf, propensity = list(places), {}
    for at, take, likely in zip(free, explored.takes.tolist(), explored.propensity.tolist(), strict=True):
        if take >= 0:
            shelf[at] = int(pool[take])
        if likely < 1.0:
            propensity[shelf[at]] = likely
    return shelf, propensity


# What is told


def _told(
    weighed: _Weighed, places: list[int], came: frozenset[int], propensity: Mapping[int, float]
) -> Reranked:
    position = {place: at for at, place in enumerate(weighed.places.tolist())}
    found = {place: position[place] for place in places if place in position}
    at = list(found.values())
    parts, scores, ranks = (
        weighed.contributions[:, at].T.tolist(),
        weighed.scores[at].tolist(),
        weighed.rank[at].tolist(),
    )
    moves = {
        place: (*_factor_moves(weighed, found.get(place)), *_place_moves(place, came, propensity))
        for place in places
    }
    return Reranked(
        places=places,
        parts={
            place: {name: given for name, given in zip(weighed.names, part, strict=True) if given > 0}
            for place, part in zip(found, parts, strict=True)
        },
        scores=dict(zip(found, scores, strict=True)),
        ranks=dict(zip(found, ranks, strict=True)),
        moves={place: moved for place, moved in moves.items() if moved},
        propensity=propensity,
    )


def _factor_moves(weighed: _Weighed, at: int | None) -> list[Move]:
    if at is None:
        return []
    words = {"confidence": "few have tried it", "value": "margin"}
    moves = []
    for code, factors in weighed.factors.items():
        factor = float(factors[at])
        if abs(factor - 1.0) > 1e-3:
            times = int(weighed.shown[at])
            text = words.get(code) or (f"shown {times} time{'s' if times > 1 else ''} and never opened")
            moves.append(Move(code, text, factor))
    return moves


def _place_moves(place: int, came: frozenset[int], propensity: Mapping[int, float]) -> list[Move]:
    moves = [Move("newcomer", "a place kept for new products")] if place in came else []
    likely = propensity.get(place)
    if likely is not None and likely < 0.5:
        moves.append(Move("chance", f"drawn by chance (probability {likely:.2%})"))
    return moves
