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

from algorithms import scratch
from algorithms.blend import CALIBRATED
from algorithms.learned_reranker import Corrected
from algorithms.partial_blend import add_opinion, add_stated, joined, look_up, look_up_stated, strongest
from algorithms.ranking import top_k
from algorithms.types import Bool, Float32, Int32, Opinion, Query, Strategy
from recommendations.serving.deadline import Deadline
from recommendations.stages.context import Context
from recommendations.stages.learned import corrected_among
from recommendations.stages.reranking import CANDIDATES_PER_PLACE, MIN_CANDIDATES, Candidates
from recommendations.stages.rules import CompiledRules
from recommendations.stages.shop_strategies import SHOP_STRATEGIES

ALL_BELOW: Final = 2_000
"""Products up to which all are scored by all: that takes no longer."""
BEST: Final = 300
"""So many of the best by table strategies are shown to those that multiply vectors."""


@dataclass(frozen=True)
class _Opinion:
    """What a strategy says: of few by `stated` (items, scores), of many by `row` (up to n,), of any when asked. Divided by `scale` it is
    at most 1 where it may stand."""

    name: str
    weight: np.float32
    scale: np.float32
    row: Float32 | None = None
    stated: Opinion | None = None
    strategy: Strategy | None = None

    def of(self, place: int, query: Query) -> float:
        """The contribution to any product."""
        if self.stated is not None:
            found = self.stated[1][self.stated[0] == place]
            score = float(found[0]) if len(found) else 0.0
        elif self.row is not None:
            score = float(self.row[place]) if place < len(self.row) else 0.0
        else:
            assert self.strategy is not None
            score = float(_asked(self.strategy, query, np.array([place], np.int32))[0])
        return float(self.weight) * score / float(self.scale)


@dataclass(frozen=True)
class Few:
    """`places` (c,) ascending, all eligible; `contributions` (s, c) by `names`, the loudest strategies first; `total` (c,) after what
    was learned and after rules."""

    places: Int32
    opinions: Sequence[_Opinion]
    contributions: Float32
    total: Float32
    query: Query
    factor: Float32 | None
    correction: Corrected | None = None

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
        given = {opinion.name: opinion.of(place, self.query) for opinion in self.opinions}
        return {name: value for name, value in given.items() if value > 0}

    def score_of(self, place: int) -> float:
        """Of any product."""
        total = sum(self.contributions_of(place).values())
        if self.correction is not None:
            total *= self.correction.factor(place)
        return total if self.factor is None else total * float(self.factor[place])


def blend_few(
    context: Context, mask: Bool, rules: CompiledRules, deadline: Deadline, milliseconds: dict[str, float]
) -> Few | None:
    """None where all products must be scored, or may as well be. Raises DeadlineExceeded. Times are noted in `milliseconds`."""
    blend = context.placement.blend
    if len(mask) <= ALL_BELOW or (blend and blend.normalisation != "max"):
        return None
    weights = context.weights.by_strategy
    order = sorted(weights, key=lambda name: -weights[name])
    heard = _Heard(context, mask, deadline, milliseconds)
    places = heard.strongest(order, rules.factor)
    heard.ask(places)
    opinions = [heard.opinions[name] for name in order if name in heard.opinions]
    normalised = heard.normalised(opinions, places)
    contributions = normalised * np.array([[opinion.weight] for opinion in opinions], np.float32).reshape(
        -1, 1
    )
    total = np.add.reduce(contributions, axis=0, dtype=np.float32)
    by_name = {opinion.name: row for opinion, row in zip(opinions, normalised, strict=True)}
    correction = corrected_among(context, places, by_name, total) if opinions else None
    if correction is not None:
        total = correction.total
    if rules.factor is not None:
        total = total * rules.factor[places]
    return Few(places, opinions, contributions, total, context.query, rules.factor, correction)


class _Heard:
    """Opinions as they come in: at first of those who look up tables, then of those who are asked about the strongest of these."""

    def __init__(
        self, context: Context, mask: Bool, deadline: Deadline, milliseconds: dict[str, float]
    ) -> None:
        self.context, self.mask, self.deadline, self.milliseconds = context, mask, deadline, milliseconds
        self.opinions: dict[str, _Opinion] = {}
        self._to_ask: list[tuple[str, np.float32, Strategy, Int32]] = []
        self._told: dict[str, Float32] = {}

    def strongest(self, names: Sequence[str], factor: Float32 | None) -> Int32:
        """Places (c,) ascending: the best by tables, and those that others find likely. `factor` (n,) is of rules. Raises
        DeadlineExceeded."""
        total = scratch.zeros(len(self.mask), "blend")[: len(self.mask)]
        try:
            for name in names:
                self.deadline.check()
                started = perf_counter()
                self._listen(name, np.float32(self.context.weights.by_strategy[name]), total)
                self.milliseconds[name] = (perf_counter() - started) * 1000
            if factor is not None:
                total *= factor
            places = strongest(total, BEST)
        finally:
            total.fill(0.0)
        if not self._to_ask:
            return places
        return joined(places, np.concatenate([likely for *_, likely in self._to_ask]), self.mask)

    def _listen(self, name: str, weight: np.float32, total: Float32) -> None:
        """Add what a table says to `total`, or note what to ask the strategy about."""
        query, mask, is_stretched = self.context.query, self.mask, name not in CALIBRATED
        strategy = _strategy(self.context, name)
        likely = None if strategy is None else strategy.likely_items(query)
        if strategy is not None and likely is not None:
            self._to_ask.append((name, weight, strategy, likely))
            return
        stated = None if strategy is None else strategy.opinion(query)
        if stated is not None:
            scale = add_stated(*stated, mask, weight, is_stretched, total)
            self._note(_Opinion(name, weight, np.float32(scale), stated=stated))
            return
        row = _row(self.context, name, strategy)
        if row is not None:
            scale = add_opinion(row, mask, weight, is_stretched, total)
            self._note(_Opinion(name, weight, np.float32(scale), row=row))

    def _note(self, opinion: _Opinion) -> None:
        if opinion.scale > 0:
            self.opinions[opinion.name] = opinion

    def ask(self, places: Int32) -> None:
        """Raises DeadlineExceeded."""
        for name, weight, strategy, _ in self._to_ask:
            self.deadline.check()
            started = perf_counter()
            scores = _asked(strategy, self.context.query, places)
            top = scores.max(initial=np.float32(0.0))
            scale = top if name not in CALIBRATED or top == 0 else np.float32(1.0)
            self._note(_Opinion(name, weight, scale, strategy=strategy))
            self._told[name] = scores
            self.milliseconds[name] += (perf_counter() - started) * 1000
        self.deadline.check()

    def normalised(self, opinions: Sequence[_Opinion], places: Int32) -> Float32:
        """(s, c) opinions, each divided by its scale."""
        rows = np.zeros((len(opinions), len(places)), np.float32)
        position = scratch.zeros(len(self.mask), "positions")
        for row, opinion in zip(rows, opinions, strict=True):
            if opinion.stated is not None:
                look_up_stated(*opinion.stated, places, opinion.scale, position, row)
            elif opinion.row is not None:
                look_up(opinion.row, places, opinion.scale, row)
            else:
                np.divide(self._told[opinion.name], opinion.scale, out=row)
        return rows


def _strategy(context: Context, name: str) -> Strategy | None:
    model = context.snapshot.model
    return None if model is None or name in SHOP_STRATEGIES else model.strategies.get(name)


def _row(context: Context, name: str, strategy: Strategy | None) -> Float32 | None:
    if name in SHOP_STRATEGIES:
        return SHOP_STRATEGIES[name](context)
    if strategy is None:
        return None
    standing = strategy.standing(context.query)
    return strategy.score(context.query) if standing is None else standing


def _asked(strategy: Strategy, query: Query, places: Int32) -> Float32:
    """`places` ascending; what came after the strategy's training scores 0."""
    known = int(np.searchsorted(places, strategy.n_items))
    scores = strategy.score_items(query, places[:known])
    if known == len(places):
        return scores
    longer = np.zeros(len(places), np.float32)
    longer[:known] = scores
    return longer
