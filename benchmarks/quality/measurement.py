"""What a measurement holds, from the parameters chosen to the figures of the test part."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from algorithms.evaluation import Figures, Mode
from algorithms.experiments import Interval, bootstrap_mean, paired_relative_difference
from benchmarks.quality.task import Task

T = TypeVar("T")
Progress = Callable[[Iterable[T], str], Iterable[T]]

REPORTED = ("ndcg@10", "recall@10", "hit_rate@20", "mrr@20")


@dataclass
class Measurement:
    """What came out; `figures` by name and mode, of strategies, of the two blends and of what else was registered."""

    task: Task
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    weights: dict[Mode, dict[str, float]] = field(default_factory=dict)
    by_density: dict[Mode, dict[str, dict[str, float]]] = field(default_factory=dict)
    """Weights of density classes that do better with their own."""
    pulled: dict[Mode, tuple[float, str]] = field(default_factory=dict)
    """How far weights were taken back, 0..1, and to what (`algorithms.tuning.Tuning`)."""
    trials: dict[str, int] = field(default_factory=dict)
    train_seconds: dict[str, float] = field(default_factory=dict)
    train_mb: dict[str, float] = field(default_factory=dict)
    tuning_seconds: float = 0.0
    """Scoring the origins' cases and searching weights, both modes; not the training for them."""
    test_seconds: float = 0.0
    total_seconds: float = 0.0
    load_before: float = 0.0
    """Processes that wanted a core in the minute before: above 0, times are too long."""
    figures: dict[str, dict[Mode, Figures]] = field(default_factory=dict)
    peers: dict[str, dict[Mode, Figures]] = field(default_factory=dict)
    intervals: dict[str, dict[str, Interval]] = field(default_factory=dict)
    """Of the folder's own mode: by name, then by metric."""

    def blend_figures(self, mode: Mode) -> Figures:
        return self.figures[f"blend {mode}"][mode]

    @property
    def strategies(self) -> list[str]:
        return [name for name in self.figures if not name.startswith("blend ")]

    def blends(self, mode: Mode) -> dict[str, Figures]:
        """The blend of this mode and those registered beside it, such as the learned reranker's."""
        return {
            name: by_mode[mode]
            for name, by_mode in self.figures.items()
            if name.startswith(f"blend {mode}") and mode in by_mode
        }

    def best_strategy(self, mode: Mode, metric: str = "ndcg@10") -> str:
        return max(self.strategies, key=lambda name: self.figures[name][mode].mean(metric))

    def against(self, figures: Figures, mode: Mode, rng: np.random.Generator) -> Interval:
        """How much more NDCG@10 the blend has, relatively, case by case (paired bootstrap)."""
        blend = self.blend_figures(mode)
        return paired_relative_difference(blend.per_case["ndcg@10"], figures.per_case["ndcg@10"], rng)

    def take_intervals(self, rng: np.random.Generator) -> None:
        mode = self.task.mode
        shown = self.blends(mode) | {name: self.figures[name][mode] for name in self.strategies}
        shown |= {name: by_mode[mode] for name, by_mode in self.peers.items()}
        for name, figures in shown.items():
            self.intervals[name] = {}
            for metric in REPORTED:
                values = figures.per_case[metric]
                self.intervals[name][metric] = bootstrap_mean(values[~np.isnan(values)], rng)
