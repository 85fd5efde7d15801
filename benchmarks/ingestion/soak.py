"""Load for minutes, and the memory of the web processes all the while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from benchmarks.ingestion.load import Load
from benchmarks.ingestion.usage import Meter

SOAK_BATCH = 10
SOAK_CONNECTIONS = 16
SAMPLE_SECONDS = 5.0
# Until caches are full and every thread has had its turn, memory grows in any program.
WARM_SHARE = 0.2
LEAST_SAMPLES = 5


@dataclass(frozen=True)
class Soak:
    """`samples`: (seconds since the start, memory in MB)."""

    seconds: float
    events_per_second: float
    p99_ms: float
    refused: int
    failed: int
    samples: list[tuple[float, float]] = field(default_factory=list)

    @property
    def warm_mb(self) -> float:
        """Median of the second fifth of the time."""
        return self._between(WARM_SHARE, 2 * WARM_SHARE)

    @property
    def end_mb(self) -> float:
        """Median of the last fifth."""
        return self._between(1 - WARM_SHARE, 1.0)

    @property
    def growth(self) -> float:
        """From the second fifth of the time to the last, as a share."""
        return self.end_mb / self.warm_mb - 1 if self.warm_mb else 0.0

    def _between(self, begin: float, end: float) -> float:
        found = [
            memory
            for moment, memory in self.samples
            if begin * self.seconds <= moment <= end * self.seconds + SAMPLE_SECONDS
        ]
        return median(found) if found else 0.0


def soak(
    send: Callable[[int, int, float], Load], meter: Meter, seconds: float, say: Callable[[str], None]
) -> Soak:
    """Closed-loop load of batches of ten at 16 connections for `seconds`; memory every five, or oftener in a short run."""
    started, over = time.monotonic(), threading.Event()
    samples: list[tuple[float, float]] = []
    interval = min(SAMPLE_SECONDS, seconds / (LEAST_SAMPLES + 1))

    def watch() -> None:
        while not over.wait(interval):
            moment = time.monotonic() - started
            samples.append((moment, meter.memory_mb()))
            if len(samples) % 12 == 0:
                say(f"  {moment:5.0f} s: {samples[-1][1]:,.0f} MB")

    watcher = threading.Thread(target=watch, name="soak-memory")
    watcher.start()
    try:
        load = send(SOAK_BATCH, SOAK_CONNECTIONS, seconds)
    finally:
        over.set()
        watcher.join()
    return Soak(
        seconds,
        load.requests_per_second * SOAK_BATCH,
        load.percentile(0.99) * 1000,
        load.refused,
        load.failed,
        samples,
    )
