"""The whole measurement: a shop of a tenth, then the whole one, each in a scratch database, keyspace and folders of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings

from benchmarks.ingestion.scratch import CannotMeasure, scratch_database
from benchmarks.ingestion.usage import machine
from benchmarks.privacy.figures import Figures
from benchmarks.privacy.plan import SMALL_SHARE, Plan
from benchmarks.privacy.work import plan_argument
from config.processes import end_with_parent


@dataclass(frozen=True)
class Report:
    """`small` is the same with a tenth of the data, where it was measured."""

    plan: Plan
    machine: str
    whole: Figures
    small: Figures | None = None

    @property
    def growth(self) -> float | None:
        """How many times as long the median erasure from the own stores takes with ten times the data of others."""
        return self.whole.median / self.small.median if self.small and self.small.median else None

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "growth": self.growth}


def measure(runtime_url: str, plan: Plan, step: Callable[[str], None]) -> Report:
    """`step` is told what is done next. Raises CannotMeasure."""
    small = _measure(runtime_url, plan.scaled(SMALL_SHARE), step) if plan.has_small_shop else None
    return Report(plan, machine(runtime_url), _measure(runtime_url, plan, step), small)


def _measure(runtime_url: str, plan: Plan, step: Callable[[str], None]) -> Figures:
    with (
        scratch_database(runtime_url) as environment,
        tempfile.TemporaryDirectory(prefix="etalage-bench-") as folder,
    ):
        environment = {
            **environment,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "CELERY_BROKER_URL": environment["REDIS_URL"],
            "ETALAGE_MODEL_DIR": f"{folder}/models",
            "ETALAGE_ANCHOR_DIR": f"{folder}/anchors",
            "ETALAGE_STOREFRONT_STORE": "bench",
            "EMAIL_URL": "dummymail://",
        }
        with subprocess.Popen(
            [sys.executable, "-m", "benchmarks.privacy.work", plan_argument(plan)],
            cwd=settings.BASE_DIR,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=end_with_parent(),
        ) as work:
            last = ""
            for line in work.stdout or ():
                last = line.strip()
                if not last.startswith("{"):
                    step(last)
        if work.returncode:
            raise CannotMeasure(f"The measurement ended with {work.returncode} after {last!r}.")
        return Figures.from_json(json.loads(last))
