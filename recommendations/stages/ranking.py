"""From the eligible products to the places of the shelf, by the strategies' blend or, where there is none, by what is popular."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

from algorithms.blend import BlendResult, blend
from algorithms.learned_reranker import Corrected
from algorithms.types import Bool, Float32
from recommendations.serving.deadline import Deadline, DeadlineExceeded
from recommendations.stages.candidates import score_candidates
from recommendations.stages.context import Context, Variant
from recommendations.stages.evidence import evidence_of
from recommendations.stages.few import Few, blend_few
from recommendations.stages.learned import corrected
from recommendations.stages.reranking import Candidates, Reranked, rerank
from recommendations.stages.rules import CompiledRules
from recommendations.stages.selection import popular, top_up


@dataclass(frozen=True)
class Ranked:
    """The places of a shelf in order, with what put them there."""

    places: Sequence[int]
    rules: CompiledRules
    fallback: str | None
    blend: BlendResult | None = None
    scores: Float32 | None = None
    reranked: Reranked | None = None
    correction: Corrected | None = None
    few: Few | None = None

    @property
    def is_blended(self) -> bool:
        """Whether strategies chose, rather than what is popular."""
        return self.blend is not None or self.few is not None

    def contributions_of(self, place: int) -> Mapping[str, float]:
        """What each strategy gave at last, above 0; empty for a product that merely fills the shelf."""
        if self.reranked is not None and place in self.reranked.parts:
            return self.reranked.parts[place]
        if self.few is not None:
            return self.few.contributions_of(place)
        if self.blend is None:
            return {}
        given = {name: float(row[place]) for name, row in self.blend.contributions.items()}
        return {name: value for name, value in given.items() if value > 0}

    def score_of(self, place: int) -> float:
        if self.reranked is not None and place in self.reranked.scores:
            return self.reranked.scores[place]
        if self.few is not None:
            return self.few.score_of(place)
        return 0.0 if self.scores is None else float(self.scores[place])


def ranked(
    context: Context,
    mask: Bool,
    rules: CompiledRules,
    deadline: Deadline,
    milliseconds: dict[str, float],
    fallback: str | None = None,
) -> Ranked:
    """`mask` (n,) are the eligible. `fallback` says why less is known than could be, if so. Times are noted in `milliseconds`."""
    if context.variant is Variant.CONTROL or fallback is not None:
        return _popular(context, mask, rules, fallback if context.variant is not Variant.CONTROL else None)
    try:
        few = blend_few(context, mask, rules, deadline, milliseconds)
        scores = {} if few else score_candidates(context, mask, deadline, milliseconds)
    except DeadlineExceeded:
        return _popular(context, mask, rules, "deadline")
    if few:
        return _rank_few(context, mask, rules, few)
    return _rank(context, mask, rules, scores, milliseconds)


def _rank(
    context: Context,
    mask: Bool,
    rules: CompiledRules,
    scores: Mapping[str, Float32],
    milliseconds: dict[str, float],
) -> Ranked:
    settings = context.placement.blend
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
    reranked = _reranked(context, Candidates.of(total, result.contributions, context.limit), mask, rules)
    places = _filled(context, reranked.places, mask, rules)
    return Ranked(places, rules, _no_model(context), result, total, reranked, correction)


def _rank_few(context: Context, mask: Bool, rules: CompiledRules, few: Few) -> Ranked:
    """The same from a blend of those products alone that can stand on the shelf."""
    if not few.names:
        return _popular(context, mask, rules, _why_nothing(context))
    reranked = _reranked(context, few.candidates(context.limit), mask, rules)
    places = _filled(context, reranked.places, mask, rules)
    return Ranked(places, rules, _no_model(context), reranked=reranked, correction=few.correction, few=few)


def _reranked(context: Context, candidates: Candidates, mask: Bool, rules: CompiledRules) -> Reranked:
    return rerank(
        context.snapshot.assortment, candidates, mask, context.limit, context.placement.blend, rules, evidence_of(context)
    )  # fmt: skip


def _filled(context: Context, places: list[int], mask: Bool, rules: CompiledRules) -> list[int]:
    if not context.placement.tops_up or len(places) >= context.limit:
        return places
    return [*places, *top_up(context.snapshot.assortment, places, mask, context.limit, rules)]


def _popular(context: Context, mask: Bool, rules: CompiledRules, fallback: str | None) -> Ranked:
    return Ranked(popular(context.snapshot.assortment, mask, context.limit, rules), rules, fallback)


def _no_model(context: Context) -> str | None:
    return "no_model" if context.snapshot.model is None else None


def _why_nothing(context: Context) -> str:
    if context.snapshot.model is None:
        return "no_model"
    if not context.weights.by_strategy:
        return "no_weights"
    return "nothing_known"
