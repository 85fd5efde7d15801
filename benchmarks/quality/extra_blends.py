"""Blends beside the tuned one, such as a learned reranker over its scores: what they learn, they learn on the validation slice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from algorithms.evaluation import Blend, Mode
from algorithms.types import Strategy
from benchmarks.quality.reranked import reranked_blends
from benchmarks.quality.task import Task


@dataclass(frozen=True)
class Chosen:
    """What stands once weights are chosen: `learned` are strategies up to each of `task.origins`, so that its cases are new to them."""

    task: Task
    learned: Sequence[Mapping[str, Strategy]]
    weights: Mapping[Mode, Mapping[str, float]]
    seed: int
    by_density: Mapping[Mode, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)


def _reranked(chosen: Chosen) -> dict[str, Blend]:
    return reranked_blends(chosen.task, chosen.learned, chosen.weights, chosen.by_density, chosen.seed)


EXTRA_BLENDS: list[Callable[[Chosen], Mapping[str, Blend]]] = [_reranked]
"""Each gives blends by name; a name begins with "blend all" or "blend unseen", whichever its `Blend.modes` are."""
