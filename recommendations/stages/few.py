"""Second and third stage at once, for shops of many products: scores and their blend where the blend can be high.

Strategies that look up rows of tables score every product, which costs microseconds. Those that multiply vectors (ALS, item vectors,
content) would cost milliseconds, most of it for products that never stand on a shelf. They are asked about few products only: the
best by all others, and those nearest to what the shopper touched by their own measure. What is given for these is exact, the same as
`score_candidates` and `blend` give; a product that is among none of them counts as one that nobody has an opinion of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import numpy as np

from algorithms.blend import CALIBRATED
from algorithms.partial_blend import add_opinion, joined, strongest
from algorithms.ranking import top_k
from algorithms.types import Bool, Float32, Int32, Query, Strategy
from recommendations.serving.deadline import Deadline
from recommendations.stages.context import Context
from recommendations.stages.learned import reranker_for
from recommendations.stages.reranking import CANDIDATES_PER_PLACE, MIN_CANDIDATES, Candidates
from recommendations.stages.rules import CompiledRules
from recommendations.stages.shop_strategies import SHOP_STRATEGIES

ALL_BELOW: Final = 2_000
"""Products up to which all are scored by all: that takes no longer."""
BEST: Final = 300
"""So many of the best by table strategies are shown to those that multiply vectors."""


@dataclass(frozen=True)
class _Opinion:
    """What a strategy says: by table, `row` (up to n,); by vectors, when asked."""

    name: str
    weight: np.float32
    scale: np.float32
    row: Float32 | None
    strategy: Strategy | None

    def of(self, places: Int32, query: Query) -> Float32:
        """(c,) contributions."""
        if self.row is not None:
            scores = _looked_up(self.row, places)
        else:
            assert self.strategy is not None
            scores = _asked(self.strategy, query, places)
        return self.weight * (scores / self.scale)


@dataclass(frozen=True)
class Few:
    """`places` (c,) ascending, all eligible; `contributions` (s, c) by `names`, the loudest strategies first; `total` (c,) after rules."""

    places: Int32
    opinions: Sequence[_Opinion]
    contributions: Float32
    total: Float32
    query: Query
    factor: Float32 | None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(opinion.name for opinion in self.opinions)

    def candidates(self, limit: int) -> Candidates:
        best = top_k(self.total, max(MIN_CANDIDATES, limit * CANDIDATES_PER_PLACE))
        given = self.contributions[:, best]
        factor = self.total[best] / np.maximum(given.sum(axis=0), 1e-12)
        return Candidates(self.places[best], self.names, given, factor)

    def contributions_of(self, place: int) -> dict[str, float]:
        """Of any product, above 0."""
        places = np.array([place], np.int32)
        given = {opinion.name: float(opinion.of(places, self.query)[0]) for opinion in self.opinions}
        return {name: value for name, value in given.items() if value > 0}

    def score_of(self, place: int) -> float:
        total = sum(self.contributions_of(place).values())
        return total if self.factor is None else total * float(self.factor[place])


def blend_few(
    context: Context, mask: Bool, rules: CompiledRules, deadline: Deadline, milliseconds: dict[str, float]
) -> Few | None:
    """None where all products must be scored, or may as well be. Raises DeadlineExceeded. Times are noted in `milliseconds`."""
    blend = context.placement.blend
    if len(mask) <= ALL_BELOW or (blend and blend.normalisation != "max") or reranker_for(context):
        return None
    total = np.zeros(len(mask), np.float32)
    tables: list[_Opinion] = []
    asked: list[tuple[str, np.float32, Strategy, Int32]] = []
    weights = context.weights.by_strategy
    order = sorted(weights, key=lambda name: -weights[name])
    for name in order:
        deadline.check()
        started = perf_counter()
        weight, strategy = np.float32(weights[name]), _strategy(context, name)
        likely = None if strategy is None else strategy.likely_items(context.query)
        if strategy is not None and likely is not None:
            asked.append((name, weight, strategy, likely))
        else:
            row = _row(context, name, strategy)
            scale = (
                np.float32(0)
                if row is None
                else add_opinion(row, mask, weight, name not in CALIBRATED, total)
            )
            if scale > 0:
                tables.append(_Opinion(name, weight, scale, row, None))
        milliseconds[name] = (perf_counter() - started) * 1000
    if rules.factor is not None:
        total *= rules.factor
    places = strongest(total, BEST)
    if asked:
        places = joined(places, np.concatenate([likely for *_, likely in asked]), mask)
    given = {opinion.name: opinion.of(places, context.query) for opinion in tables}
    opinions = {opinion.name: opinion for opinion in tables}
    for name, weight, strategy, _ in asked:
        deadline.check()
        started = perf_counter()
        scores = _asked(strategy, context.query, places)
        scale = scores.max(initial=np.float32(0.0))
        if scale > 0:
            opinions[name] = _Opinion(
                name, weight, scale if name not in CALIBRATED else np.float32(1), None, strategy
            )
            given[name] = weight * (scores / opinions[name].scale)
        milliseconds[name] += (perf_counter() - started) * 1000
    deadline.check()
    heard = [name for name in order if name in given]
    contributions = (
        np.stack([given[name] for name in heard]) if heard else np.zeros((0, len(places)), np.float32)
    )
    final = np.add.reduce(contributions, axis=0, dtype=np.float32)
    if rules.factor is not None:
        final = final * rules.factor[places]
    return Few(places, [opinions[name] for name in heard], contributions, final, context.query, rules.factor)


def _strategy(context: Context, name: str) -> Strategy | None:
    model = context.snapshot.model
    return None if model is None or name in SHOP_STRATEGIES else model.strategies.get(name)


def _row(context: Context, name: str, strategy: Strategy | None) -> Float32 | None:
    if name in SHOP_STRATEGIES:
        return SHOP_STRATEGIES[name](context)
    return None if strategy is None else strategy.score(context.query)


def _looked_up(row: Float32, places: Int32) -> Float32:
    known = int(np.searchsorted(places, len(row)))
    if known == len(places):
        return row[places]
    scores = np.zeros(len(places), np.float32)
    scores[:known] = row[places[:known]]
    return scores


def _asked(strategy: Strategy, query: Query, places: Int32) -> Float32:
    """`places` ascending; what came after the strategy's training scores 0."""
    known = int(np.searchsorted(places, strategy.n_items))
    scores = strategy.score_items(query, places[:known])
    if known == len(places):
        return scores
    longer = np.zeros(len(places), np.float32)
    longer[:known] = scores
    return longer
