"""The whole measurement: logs are written to a scratch folder, and each fit is a process of its own that reads one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from algorithms.lightfm import HAS_OPENMP
from algorithms.registry import STRATEGIES
from algorithms.threads import thread_count
from algorithms.types import TrainingData
from benchmarks.training.generator import generated_log, grown_log
from benchmarks.training.growth import fitted_exponent
from benchmarks.training.log_files import write_log

DEFAULT_BLEND: Final = ("session_knn", "item_vectors", "reminder")
WITH_TEXTS: Final = frozenset({"content", "new_items"})
WITH_CATEGORIES: Final = frozenset({"popular_in_category"})
NEXT_STEP: Final = 2.3
"""A step of twice the data is expected to take so many times as long: a little more than n·log n."""
LIMIT_SECONDS: Final = 900.0
PARAMETERS: Final[Mapping[str, dict[str, Any]]] = {"lightfm": {"threads": 0}, "ease": {"dense_items": 5_000}}
"""What trainings of a store choose other than the defaults."""


class CannotMeasure(RuntimeError):
    """A process that trains failed; the message has what it said last."""


@dataclass(frozen=True)
class Plan:
    """`budget_seconds` ends a strategy's row where its next fit would take longer."""

    scales: tuple[int, ...] = (1, 2, 4, 8)
    items: int = 100_000
    events: int = 1_400_000
    strategies: tuple[str, ...] = tuple(STRATEGIES)
    budget_seconds: float = 50.0
    visits: int = 1_000


@dataclass(frozen=True)
class Fit:
    """One process: seconds of the fit, and of all cores together; memory before it and at its peak; what was learned."""

    seconds: float
    processor_seconds: float
    before_mb: float
    peak_mb: float
    learned_mb: float


@dataclass(frozen=True)
class Log:
    events: int
    items: int
    sessions: int
    people: int

    @classmethod
    def of(cls, data: TrainingData) -> Log:
        return cls(len(data), data.n_items, data.n_sessions, data.n_users)


@dataclass
class Report:
    """`growth[name][scale]`, `blends` by what they are called, `large` by name: fits. `version` are figures of a whole version."""

    plan: Plan
    name: str
    cores: int
    has_openmp: bool
    logs: dict[int, Log] = field(default_factory=dict)
    growth: dict[str, dict[int, Fit]] = field(default_factory=dict)
    blends: dict[str, Fit] = field(default_factory=dict)
    large_log: Log | None = None
    large: dict[str, Fit] = field(default_factory=dict)
    version: dict[str, dict[str, float]] = field(default_factory=dict)
    seconds: float = 0.0

    def exponent(self, name: str) -> float | None:
        fits = self.growth[name]
        return fitted_exponent([self.logs[s].events for s in fits], [fit.seconds for fit in fits.values()])


Progress = Callable[[str], None]


def measure(data: TrainingData, name: str, plan: Plan, progress: Progress) -> Report:
    """`data` is the log at 1×. `progress` is told of each step as it begins. Raises CannotMeasure."""
    started = time.perf_counter()
    report = Report(plan, name, thread_count(), HAS_OPENMP)
    with tempfile.TemporaryDirectory(prefix="bench-training-") as folder:
        _growth(report, data, Path(folder), progress)
        del data
        if plan.items:
            _large(report, Path(folder), progress)
    report.seconds = time.perf_counter() - started
    return report


def steps_of(data: TrainingData, plan: Plan) -> int:
    """How many times `progress` is told of something, at most."""
    large = len(plan.strategies) + 6 if plan.items else 0
    return len(plan.scales) * (1 + len(suited(plan, data))) + 2 + large


def suited(plan: Plan, data: TrainingData) -> list[str]:
    """Strategies of the plan that find something to learn from in this log."""
    missing: set[str] = set()
    if data.item_texts is None and data.item_features is None:
        missing |= WITH_TEXTS
    if data.item_category is None:
        missing |= WITH_CATEGORIES
    return [name for name in plan.strategies if name not in missing]


def _growth(report: Report, data: TrainingData, folder: Path, progress: Progress) -> None:
    plan = report.plan
    report.growth = {name: {} for name in suited(plan, data)}
    for scale in plan.scales:
        progress(f"the log {scale}×")
        with _written(folder / f"{scale}x", data, scale) as (log, facts):
            report.logs[scale] = facts
            for name, fits in report.growth.items():
                if _is_within_budget(fits, scale, plan.budget_seconds):
                    progress(f"{scale}× {name}")
                    fits[scale] = _fit(log, _recipe([name]))
            if scale == plan.scales[0]:
                _blends(report, log, progress)


@contextmanager
def _written(folder: Path, data: TrainingData, scale: int) -> Iterator[tuple[Path, Log]]:
    grown = grown_log(data, scale)
    write_log(folder, grown)
    facts = Log.of(grown)
    del grown
    yield folder, facts
    for path in folder.iterdir():
        path.unlink()


def _is_within_budget(fits: Mapping[int, Fit], scale: int, budget_seconds: float) -> bool:
    if not fits:
        return True
    last = max(fits)
    return fits[last].seconds * NEXT_STEP * scale / (2 * last) <= budget_seconds


def _blends(report: Report, log: Path, progress: Progress) -> None:
    """The default blend of a browsing shop in one process, without and with ALS, if the plan has them."""
    for names in (DEFAULT_BLEND, (*DEFAULT_BLEND, "als")):
        if set(names) <= set(report.plan.strategies):
            title = " + ".join(names)
            progress(f"1× {title}")
            report.blends[title] = _fit(log, _recipe(names))


def _large(report: Report, folder: Path, progress: Progress) -> None:
    plan = report.plan
    progress(f"a shop of {plan.items:,} products")
    data = generated_log(plan.items, plan.events)
    report.large_log = Log.of(data)
    log = folder / "large"
    write_log(log, data)
    del data
    for name in plan.strategies:
        progress(f"large {name}")
        report.large[name] = _fit(log, _recipe([name]))
    progress("large: all but LightFM, and saved")
    version = _Version(folder / "models")
    everything = _recipe([name for name in plan.strategies if name != "lightfm"])
    report.version["train"] = version.run("save", str(log), json.dumps(everything))
    progress("large: mapped into memory")
    report.version["load"] = version.run("load")
    progress("large: caught up")
    report.version["append"] = version.run("append", str(plan.visits))
    report.version["load_caught_up"] = version.run("load")


def _recipe(names: Any) -> dict[str, dict[str, Any]]:
    return {name: PARAMETERS.get(name, {}) for name in names}


def _fit(log: Path, recipe: Mapping[str, Any]) -> Fit:
    return Fit(**_run("benchmarks.training.fit", str(log), json.dumps(recipe)))


@dataclass(frozen=True)
class _Version:
    models: Path

    def run(self, *arguments: str) -> dict[str, float]:
        return _run("benchmarks.training.version", *arguments, ETALAGE_MODEL_DIR=str(self.models))


def _run(module: str, *arguments: str, **environment: str) -> dict[str, float]:
    """What a Python process prints as its last line. Raises CannotMeasure."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", **environment},
    )
    if done.returncode:
        raise CannotMeasure(f"{module} {' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures
