"""Does a learned reranker do better than the blend? Fitted, stopped and compared on parts of what was chosen, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from algorithms import metrics
from algorithms.blend import Method, blend
from algorithms.candidate_features import ItemFacts
from algorithms.evaluation import BLOCK_BYTES, MODES, Mode, TestCase
from algorithms.experiments import Interval, paired_relative_difference
from algorithms.learned_reranker import DEPTH, LearnedReranker, RankedList, head
from algorithms.types import Float32, Float64, Strategy

FITTED, STOPPED = 0.5, 0.15
"""Shares of the cases that trees are fitted on and stopped by; the rest compares."""
LENGTH: Final = 10


@dataclass(frozen=True)
class Trial:
    """A reranker, and its NDCG@10 against the blend's on `cases` that it had not learned from. It won if the lower bound is above 0;
    then `reranker` is one of as many trees that has learned from all lists, as strategies learn again from everything."""

    reranker: LearnedReranker
    difference: Interval
    cases: int
    blend: float
    reranked: float

    @property
    def has_won(self) -> bool:
        return self.difference.low > 0.0

    def report(self) -> dict[str, Any]:
        numbers = {"estimate": self.difference.estimate, "low": self.difference.low, "high": self.difference.high,
                   "blend": self.blend, "reranked": self.reranked}  # fmt: skip
        return {
            "has_won": self.has_won,
            "cases": self.cases,
            "trees": len(self.reranker.trees),
            **{name: round(value, 5) if np.isfinite(value) else None for name, value in numbers.items()},
        }


def ranked_lists(
    strategies: Mapping[str, Strategy],
    cases: Sequence[TestCase],
    weights_of: Callable[[TestCase, Mode], Mapping[str, float]],
    facts: ItemFacts,
    *,
    method: Method = "max",
    depth: int = DEPTH,
    progress: Callable[[Iterable[slice]], Iterable[slice]] = iter,
) -> dict[Mode, list[RankedList]]:
    """The head of the blend for each case, in the order of the cases; one without relevant items in a mode is left out there.

    Strategies must not have learned from the cases. Those in `strategies` are the features; weights of others are passed over.
    """
    n_items = next(iter(strategies.values())).n_items
    block = max(1, BLOCK_BYTES // (4 * max(n_items, 1) * len(strategies)))
    lists: dict[Mode, list[RankedList]] = {mode: [] for mode in MODES}
    for span in progress([slice(start, start + block) for start in range(0, len(cases), block)]):
        asked = cases[span]
        opinions = {name: s.score_many([case.query for case in asked]) for name, s in strategies.items()}
        for row, case in enumerate(asked):
            scores = {name: opinion[row] for name, opinion in opinions.items()}
            for mode in MODES:
                chosen = case.targets
                if mode == "unseen":
                    seen = case.seen_items[case.seen_items < n_items]
                    chosen = np.setdiff1d(chosen, seen)
                    for opinion in scores.values():
                        opinion[seen] = 0.0
                if len(chosen):
                    total = blend(scores, weights_of(case, mode), method).total
                    candidates = head(case.query, scores, total, facts, tuple(scores), depth)
                    is_chosen = np.isin(candidates.items, chosen)
                    missed = len(chosen) - int(is_chosen.sum())
                    lists[mode].append(RankedList(candidates, is_chosen, missed))
    return lists


def ndcg_of(lists: Sequence[RankedList], reranker: LearnedReranker | None = None) -> Float64:
    """(n,) NDCG@10 of each list as the blend ranked it, or as `reranker` does. What is not among the candidates is not found."""
    return np.array([_ndcg(ranked, reranker) for ranked in lists])


def _ndcg(ranked: RankedList, reranker: LearnedReranker | None) -> float:
    scores = ranked.candidates.blended.astype(np.float64)
    if reranker is not None:
        scores = scores * reranker.factors(ranked.candidates)
    own = scores[ranked.is_chosen][:, None]
    ranks = (scores > own).sum(axis=1) + ((scores == own).sum(axis=1) + 1) / 2
    ranks = np.concatenate([ranks, np.full(ranked.missed, np.inf)])
    return float(metrics.ndcg(ranks, np.zeros(len(ranks), np.int64), 1, LENGTH)[0])


def try_reranker(
    lists: Sequence[RankedList],
    strategies: Sequence[str],
    rng: np.random.Generator,
    *,
    seed: int = 0,
    threads: int = 1,
) -> Trial:
    """`lists` in order of time: the first half is learned from, the next 15 % say when to stop, the rest compares. Lists of several
    weeks, with facts as of each, teach more than as many of one: see `item_demand`.

    Raises MissingExtra and TooFewLists.
    """
    first, second = int(len(lists) * FITTED), int(len(lists) * (FITTED + STOPPED))
    reranker = LearnedReranker.fit(lists[:first], lists[first:second], strategies, seed=seed, threads=threads)
    others = lists[second:]
    before, after = ndcg_of(others), ndcg_of(others, reranker)
    difference = paired_relative_difference(after, before, rng)
    trial = Trial(reranker, difference, len(others), float(before.mean()), float(after.mean()))
    if not trial.has_won:
        return trial
    return replace(trial, reranker=reranker.again(lists, seed=seed, threads=threads))


def correction_by(
    reranker: LearnedReranker, facts: ItemFacts
) -> Callable[[Sequence[TestCase], Mapping[str, Float32], Float32], Float32]:
    """As `evaluation.Blend.correction` takes it; cases of whom nothing is known keep the blend's scores."""

    def corrected(cases: Sequence[TestCase], scores: Mapping[str, Float32], total: Float32) -> Float32:
        new = total.copy()
        for row, case in enumerate(cases):
            if len(case.query.items):
                opinions = {name: opinion[row] for name, opinion in scores.items()}
                new[row] = reranker.corrected(case.query, opinions, total[row], facts).total
        return new

    return corrected
