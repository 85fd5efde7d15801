"""Collecting the opinions by which weights are measured, and weights that would do better."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from algorithms.blend import CALIBRATED, Method, normalise
from algorithms.evaluation import BLOCK_BYTES, TestCase
from algorithms.experiments import paired_relative_difference
from algorithms.ranking import top_k
from algorithms.tuning import ScoreBlocks, tune
from algorithms.tuning import measure as measure_blocks
from algorithms.types import Array, Float32, Int32, Query, Strategy
from recommendations.model_store.measuring import MeasuringSet, Page

CASES: Final = 400
DEPTH: Final = 80
"""Products of each strategy that are kept of a case: a blend's first ten are among them."""
TRIALS: Final = 80
STRETCHES: Final = 3
"""Weights are tuned on as many stretches of time, each counting alike: what one week wants is not what the next one does."""
LEAST_CASES: Final = 60
"""Fewer tell nothing about weights."""


def collect(
    strategies: Mapping[str, Strategy], cases: Sequence[TestCase], owner_of: Callable[[int], int]
) -> dict[Page, MeasuringSet]:
    """Measuring sets of the cases in which something was chosen that had not been seen before. `owner_of` takes a user number."""
    fresh = fresh_cases(cases)
    with_history = [case for case in fresh if len(case.query.items)]
    pages: dict[Page, list[TestCase]] = {
        "shopper": fresh,
        "product": [replace(case, query=_on_page(case.query)) for case in with_history],
        "about": [replace(case, query=_page_alone(case.query)) for case in with_history],
    }
    return {
        page: _collect(strategies, asked, fresh_of, owner_of) for page, asked, fresh_of in _with_fresh(pages)
    }


def collect_shelves(
    strategies: Mapping[str, Strategy], cases: Sequence[TestCase], owner_of: Callable[[int], int]
) -> MeasuringSet:
    """The `shopper` page alone."""
    fresh = fresh_cases(cases)
    return _collect(strategies, fresh, fresh, owner_of)


def fresh_cases(cases: Sequence[TestCase]) -> list[TestCase]:
    """At most CASES of those in which something new was chosen, spread over all of them: they come sorted by shopper, visitors first."""
    fresh = [case for case in cases if len(_unseen(case))]
    if len(fresh) <= CASES:
        return fresh
    return [fresh[place] for place in np.linspace(0, len(fresh) - 1, CASES).astype(int)]


def _with_fresh(
    pages: Mapping[Page, list[TestCase]],
) -> list[tuple[Page, list[TestCase], list[TestCase]]]:
    """What counts as seen is the shopper's history, also where the question leaves it out."""
    with_history = pages["product"]
    return [(page, asked, asked if page == "shopper" else with_history) for page, asked in pages.items()]


def _on_page(query: Query) -> Query:
    return replace(query, context_item=int(query.items[-1]))


def _page_alone(query: Query) -> Query:
    return replace(Query.empty(query.now), context_item=int(query.items[-1]))


def _unseen(case: TestCase) -> Array:
    return np.setdiff1d(case.targets, case.query.items)


def _collect(
    strategies: Mapping[str, Strategy],
    asked: Sequence[TestCase],
    histories: Sequence[TestCase],
    owner_of: Callable[[int], int],
) -> MeasuringSet:
    names = tuple(strategies)
    n_items = next(iter(strategies.values())).n_items
    block = max(1, BLOCK_BYTES // (4 * max(n_items, 1) * len(names)))
    items, scores, spread, targets = [], [np.empty((len(names), 0), np.float16)], [], []
    for start in range(0, len(asked), block):
        part = asked[start : start + block]
        opinions = np.stack(
            [strategy.score_many([case.query for case in part]) for strategy in strategies.values()]
        )
        for column, history in enumerate(histories[start : start + block]):
            of_case = opinions[:, column]
            of_case[:, history.query.items[history.query.items < n_items]] = 0.0
            chosen = _unseen(history)
            best = np.unique(np.concatenate([*(top_k(row, DEPTH) for row in of_case), chosen]))
            items.append(best.astype(np.int32))
            scores.append(_scaled(names, of_case)[:, best].astype(np.float16))
            spread.append(_spread(of_case))
            targets.append(chosen.astype(np.int32))
    return MeasuringSet(
        names=names,
        items=np.concatenate([np.empty(0, np.int32), *items]),
        scores=np.concatenate(scores, axis=1),
        spread=np.stack(spread, axis=1) if spread else np.empty((len(names), 0), np.float32),
        offsets=np.cumsum([0, *map(len, items)], dtype=np.int64),
        targets=np.concatenate([np.empty(0, np.int32), *targets]),
        target_offsets=np.cumsum([0, *map(len, targets)], dtype=np.int64),
        known=np.array([len(case.query.items) for case in histories], np.int32),
        owners=np.array([owner_of(case.user) for case in histories], np.uint64),
        stretch=_stretches([case.query.now for case in histories]),
    )


def _stretches(moments: Sequence[float]) -> Int32:
    """(n,) 0..STRETCHES - 1: which of so many equally long stretches each moment lies in."""
    if not len(moments):
        return np.empty(0, np.int32)
    bounds = np.linspace(min(moments), max(moments), STRETCHES + 1)[1:-1]
    return np.searchsorted(bounds, moments, side="right").astype(np.int32)


def _scaled(names: Sequence[str], opinions: Float32) -> Float32:
    return np.stack(
        [
            row if name in CALIBRATED else normalise(row, "max")
            for name, row in zip(names, opinions, strict=True)
        ]
    )


def _spread(opinions: Float32) -> Float32:
    """What turns a score that was divided by the row's maximum into one divided by the row's deviation."""
    best = opinions.max(axis=1)
    return np.where(best > 0, normalise(opinions, "zscore").max(axis=1), 1.0).astype(np.float32)


@dataclass(frozen=True)
class Proposal:
    """Weights that training would choose, with their difference in NDCG@10 to today's on cases that they were not chosen on."""

    weights: dict[str, float]
    today: dict[str, float]
    estimate: float
    low: float
    high: float
    cases: int

    def report(self) -> dict[str, Any]:
        numbers = {name: round(float(getattr(self, name)), 5) for name in ("estimate", "low", "high")}
        return {"weights": self.weights, "today": self.today, "cases": self.cases, **numbers}


def propose(
    cases: MeasuringSet, today: Mapping[str, float], method: Method, rng: np.random.Generator
) -> Proposal | None:
    """Tune on one half of the cases, compare on the other; what is proposed lies between today's weights and the best found, as near to
    today's as no difference can be told (`algorithms.tuning`). None where there are too few, or where nothing finite can be said."""
    if len(cases) < LEAST_CASES:
        return None
    blocks = _blocks(cases, method)
    order = rng.permutation(len(cases))
    chosen_on, compared_on = np.sort(order[::2]), np.sort(order[1::2])
    start = {name: today.get(name, 0.0) for name in cases.names}
    tuning = tune(blocks.only(chosen_on), rng, starts=[start], trials=TRIALS)
    other = blocks.only(compared_on)
    difference = paired_relative_difference(
        measure_blocks(other, tuning.weights), measure_blocks(other, start), rng
    )
    if not np.isfinite([difference.estimate, difference.low, difference.high]).all():
        return None
    weights = {name: weight for name, weight in tuning.weights.items() if weight > 0}
    known = {name: weight for name, weight in start.items() if weight > 0}
    return Proposal(weights, known, difference.estimate, difference.low, difference.high, len(compared_on))


def _blocks(cases: MeasuringSet, method: Method) -> ScoreBlocks:
    scores = [cases.scaled(case, method) for case in range(len(cases))]
    rows, of_cases = [], []
    for case in range(len(cases)):
        candidates = cases.items[cases.offsets[case] : cases.offsets[case + 1]]
        found = np.searchsorted(candidates, cases.chosen(case))
        rows.append(cases.offsets[case] + found)
        of_cases.append(np.full(len(found), case))
    n_items = int(cases.items.max(initial=0)) + 1
    return ScoreBlocks(
        cases.names,
        np.concatenate(scores, axis=1),
        cases.offsets,
        np.concatenate(rows),
        np.concatenate(of_cases),
        n_items,
        cases.stretch.astype(np.int64),
    )
