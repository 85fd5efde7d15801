"""Blend weights chosen on what shoppers did after the strategies had learned: a seeded random search, steps along single weights, and
a pull back to what is known to be good.

Random search finds good mixes in few trials (Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization",
JMLR 2012). A trial is cheap because scores are taken once: of each case only the best items of each strategy are kept.
An item outside all of them cannot reach the head of any blend unless a strategy's best are as many equals.

One stretch of time says what was good then. Where cases are of several (`ScoreBlocks.slices`), each counts alike; and the best mix found is
taken back to the weights that were begun with, or to the best single voice, as far as no difference can be told: the rule of one
standard error (Breiman, Friedman, Olshen and Stone, "Classification and Regression Trees", 1984).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numba
import numpy as np

from algorithms import metrics
from algorithms.blend import CALIBRATED, Method, normalise
from algorithms.evaluation import BLOCK_BYTES, Mode, TestCase
from algorithms.ranking import top_k
from algorithms.types import Float32, Float64, Int64, Strategy


@dataclass(frozen=True)
class ScoreBlocks:
    """Normalised scores of the candidates of each case: what blends are tried on."""

    names: tuple[str, ...]
    scores: Float32  # (strategies, rows): the candidates of all cases, one after the other
    offsets: Int64  # (n_cases + 1,): candidates of case c are rows offsets[c]:offsets[c + 1]
    target_rows: Int64  # rows that are relevant
    target_cases: Int64  # their cases; a relevant item that no strategy lists still has a row
    n_items: int  # how many items are ranked; those without a row have no opinion in their favour
    slices: Int64 | None = (
        None  # (n_cases,) the stretch of time that each case was asked in; None = all in one
    )

    @property
    def n_cases(self) -> int:
        return len(self.offsets) - 1

    @property
    def shares(self) -> Float64:
        """(n_cases,) summing to 1: every stretch of time counts alike, whatever the number of its cases."""
        if self.slices is None:
            return np.full(self.n_cases, 1.0 / max(self.n_cases, 1))
        _, of, counts = np.unique(self.slices, return_inverse=True, return_counts=True)
        return np.asarray(1.0 / (len(counts) * counts[of]), np.float64)

    @classmethod
    def joined(cls, parts: Sequence[ScoreBlocks]) -> ScoreBlocks:
        """Cases of several stretches of time, each of `parts` one: the same strategies, learned up to each of them. Raises ValueError
        where they are not the same, or where there is no part."""
        if len({(part.names, part.n_items) for part in parts}) != 1:
            raise ValueError("every part must hold the opinions of the same strategies of the same items")
        rows = np.cumsum([0, *(part.scores.shape[1] for part in parts)])
        cases = np.cumsum([0, *(part.n_cases for part in parts)])
        return cls(
            parts[0].names,
            np.concatenate([part.scores for part in parts], axis=1),
            np.concatenate(
                [[0], *(part.offsets[1:] + row for part, row in zip(parts, rows, strict=False))]
            ).astype(np.int64),
            np.concatenate([part.target_rows + row for part, row in zip(parts, rows, strict=False)]),
            np.concatenate([part.target_cases + case for part, case in zip(parts, cases, strict=False)]),
            parts[0].n_items,
            np.repeat(np.arange(len(parts)), np.diff(cases)),
        )

    def only(self, cases: Sequence[int] | Int64) -> ScoreBlocks:
        """The same for some of the cases, such as one density class or one half."""
        spans = [np.arange(self.offsets[c], self.offsets[c + 1]) for c in cases]
        rows = np.concatenate([np.empty(0, np.int64), *spans])
        offsets = np.concatenate([[0], np.cumsum([len(span) for span in spans])]).astype(np.int64)
        place = np.full(self.scores.shape[1], -1, np.int64)
        place[rows] = np.arange(len(rows))
        target_rows = place[self.target_rows]
        kept = target_rows >= 0
        case_of = np.full(self.n_cases, -1, np.int64)
        case_of[np.asarray(cases, np.int64)] = np.arange(len(spans))
        return ScoreBlocks(
            self.names,
            self.scores[:, rows],
            offsets,
            target_rows[kept],
            case_of[self.target_cases[kept]],
            self.n_items,
            None if self.slices is None else self.slices[np.asarray(cases, np.int64)],
        )


@dataclass(frozen=True)
class Trial:
    weights: dict[str, float]
    value: float


@dataclass(frozen=True)
class Tuning:
    """The weights chosen, what the first start gave, and every trial in the order in which they were made. `pulled` (0..1) is how far the
    best mix was taken back, to `anchor`: "start", or the name of the best single strategy."""

    weights: dict[str, float]
    value: float
    start_value: float
    trials: list[Trial]
    pulled: float = 0.0
    anchor: str = ""


def gather(
    strategies: Mapping[str, Strategy],
    cases: Sequence[TestCase],
    *,
    mode: Mode = "unseen",
    method: Method = "max",
    depth: int = 300,
    progress: Callable[[Iterable[slice]], Iterable[slice]] = iter,
) -> ScoreBlocks:
    """Score the cases by every strategy and keep each strategy's `depth` best items, and the relevant ones.

    A case without relevant items in this mode is left out. Takes about strategies² · depth · 4 bytes a case.
    """
    names = tuple(strategies)
    scores, sizes, target_rows, target_cases = [np.empty((len(names), 0), np.float32)], [0], [], []
    n_items = next(iter(strategies.values())).n_items
    block = max(1, BLOCK_BYTES // (4 * max(n_items, 1) * len(names)))
    n_rows = 0
    for span in progress([slice(start, start + block) for start in range(0, len(cases), block)]):
        raw = np.stack(
            [strategy.score_many([case.query for case in cases[span]]) for strategy in strategies.values()]
        )
        for column, case in enumerate(cases[span]):
            opinion, targets = raw[:, column], case.targets
            if mode == "unseen":
                seen = case.seen_items
                opinion[:, seen[seen < n_items]] = 0.0
                targets = np.setdiff1d(targets, seen)
            if not len(targets):
                continue
            best = np.unique(np.concatenate([*(top_k(row, depth) for row in opinion), targets]))
            scaled = [_scaled(name, row, method)[best] for name, row in zip(names, opinion, strict=True)]
            scores.append(np.stack(scaled))
            target_rows.append(n_rows + np.searchsorted(best, targets))
            target_cases.append(np.full(len(targets), len(sizes) - 1))
            n_rows += len(best)
            sizes.append(n_rows)
    empty = np.empty(0, np.int64)
    return ScoreBlocks(
        names,
        np.concatenate(scores, axis=1),
        np.array(sizes, np.int64),
        np.concatenate([empty, *target_rows]),
        np.concatenate([empty, *target_cases]),
        n_items,
    )


def _scaled(name: str, scores: Float32, method: Method) -> Float32:
    return scores if name in CALIBRATED and method != "rrf" else normalise(scores, method)


def measure(blocks: ScoreBlocks, weights: Mapping[str, float], metric: str = "ndcg@10") -> Float64:
    """(n_cases,): `metric` ("ndcg@10", "mrr@20", "recall@10", "hit_rate@20") of the blend with these weights."""
    row = np.array([weights.get(name, 0.0) for name in blocks.names], np.float32)
    ranks = _ranks_among(
        row @ blocks.scores, blocks.offsets, blocks.target_rows, blocks.target_cases, blocks.n_items
    )
    name, k = metric.split("@")
    measures = {
        "ndcg": metrics.ndcg,
        "mrr": metrics.mrr,
        "recall": metrics.recall,
        "hit_rate": metrics.hit_rate,
    }
    if name not in measures:
        raise ValueError(
            f"unknown metric {metric!r}: choose {', '.join(measures)}, followed by @ and a length"
        )
    return measures[name](ranks, blocks.target_cases, blocks.n_cases, int(k))


@numba.njit(nogil=True, cache=True)
def _ranks_among(
    total: Float32, offsets: Int64, target_rows: Int64, target_cases: Int64, n_items: int
) -> Float64:
    """Mean ranks among the candidates; one that no strategy with weight has an opinion of shares the places of all items left."""
    ranks = np.empty(len(target_rows), np.float64)
    for t in range(len(target_rows)):
        own = total[target_rows[t]]
        above = 0
        equal = 0
        for row in range(offsets[target_cases[t]], offsets[target_cases[t] + 1]):
            above += total[row] > own
            equal += total[row] == own
        ranks[t] = above + ((n_items - above if own == 0.0 else equal) + 1) / 2
    return ranks


def tune(
    blocks: ScoreBlocks,
    rng: np.random.Generator,
    *,
    starts: Sequence[Mapping[str, float]] = (),
    objective: Mapping[str, float] | None = None,
    trials: int = 60,
    rounds: int = 3,
    tolerance: float = 0.001,
    patience: int = 40,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Tuning:
    """Search the weights with the largest mean of `objective` (metric: importance; NDCG@10 by default) over the blocks' slices of time.

    Tries `starts` (the first is what `start_value` speaks of), each strategy alone and `trials` random mixes, fewer if `patience` in a
    row are not better, then steps along single weights from the best for at most `rounds`. The best is then taken back to the first
    start or to the best single voice by at most one standard error, never below that voice. At last, strategies that add less
    than `tolerance` of the value are silenced: a mix should not be larger than it must. Weights come out with 1 as the largest.
    """
    if not blocks.n_cases:
        raise ValueError("no cases to tune on: the validation window holds no shopper with a next item")
    search = _Search(blocks, objective or {"ndcg@10": 1.0})
    for start in starts or [dict.fromkeys(blocks.names, 1.0)]:
        search.try_out(np.array([start.get(name, 0.0) for name in blocks.names]))
    begun = np.array([starts[0].get(name, 0.0) for name in blocks.names]) if starts else np.zeros(0)
    singles = np.eye(len(blocks.names))
    for alone in singles:
        search.try_out(alone)
    in_vain = 0
    for _ in progress(range(trials)):
        in_vain = 0 if search.try_out(_random_mix(len(blocks.names), rng)) else in_vain + 1
        if in_vain >= patience:
            break
    for _ in range(rounds):
        if not search.step_along_each():
            break
    voice = max(range(len(singles)), key=lambda n: search.value_of(singles[n]))
    anchors = {blocks.names[voice]: singles[voice]}
    if begun.any():
        anchors = {"start": begun / begun.max()} | anchors
    pulled, anchor = search.pull_back(anchors, search.value_of(singles[voice]))
    search.silence(tolerance)
    return Tuning(
        search.named(search.best), search.value, search.trials[0].value, search.trials, pulled, anchor
    )


def _random_mix(n: int, rng: np.random.Generator) -> Float64:
    loudness = np.exp(rng.uniform(np.log(0.05), 0.0, n))
    silent = rng.random(n) < 0.3
    silent[rng.integers(n)] = False
    return np.where(silent, 0.0, loudness)


STEPS = (0.0, 0.5, 0.7, 0.85, 1.2, 1.4, 2.0)
PULLS = (1.0, 0.75, 0.5, 0.25)
"""How far a mix is taken back to an anchor, tried from the farthest."""


class _Search:
    """The best mix so far and the road to it."""

    def __init__(self, blocks: ScoreBlocks, objective: Mapping[str, float]) -> None:
        self.blocks, self.objective, self.shares = blocks, objective, blocks.shares
        self.trials: list[Trial] = []
        self.best: Float64 = np.zeros(len(blocks.names))
        self.value = -np.inf

    def try_out(self, mix: Float64) -> bool:
        """Measure a mix; true if it is the best so far."""
        if not mix.any():
            return False
        mix = mix / mix.max()
        value = self.value_of(mix)
        self.trials.append(Trial(self.named(mix), value))
        if value <= self.value:
            return False
        self.best, self.value = mix, value
        return True

    def value_of(self, mix: Float64) -> float:
        return float(self.shares @ self.case_values(mix))

    def case_values(self, mix: Float64) -> Float64:
        """(n_cases,) the objective of each case."""
        weights = self.named(mix)
        return np.asarray(sum(w * measure(self.blocks, weights, m) for m, w in self.objective.items()))

    def named(self, mix: Float64) -> dict[str, float]:
        return {name: round(float(weight), 4) for name, weight in zip(self.blocks.names, mix, strict=True)}

    def step_along_each(self) -> bool:
        improved = False
        for position in range(len(self.best)):
            origin = self.best
            for step in STEPS:
                mix = origin.copy()
                mix[position] = origin[position] * step if origin[position] else 0.3 * step
                improved |= self.try_out(mix)
        return improved

    def pull_back(self, anchors: Mapping[str, Float64], least: float) -> tuple[float, str]:
        """Take the best mix as far to one of `anchors` as costs at most one standard error of the difference, case by case, and leaves
        it worth `least`; of equally far ones to the better. Gives how far, 0..1, and to which."""
        values = self.case_values(self.best)
        for share in PULLS:
            found = []
            for name, anchor in anchors.items():
                mix = (1.0 - share) * self.best + share * anchor
                mix = mix / mix.max()
                lost = values - self.case_values(mix)
                mean = float(self.shares @ lost)
                error = float(np.sqrt((self.shares**2) @ (lost - mean) ** 2))
                if mean <= error and self.value - mean >= least:
                    found.append((self.value - mean, name, mix))
            if found:
                self.value, name, self.best = max(found, key=lambda each: each[0])
                return share, name
        return 0.0, ""

    def silence(self, tolerance: float) -> None:
        for position in np.argsort(self.best):
            mix = self.best.copy()
            mix[position] = 0.0
            if (
                self.best[position]
                and mix.any()
                and self.value_of(mix / mix.max()) >= self.value * (1 - tolerance)
            ):
                self.best = mix / mix.max()
                self.value = self.value_of(self.best)
