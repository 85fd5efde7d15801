"""How much memory a step takes at most, above what the process held before it."""

from __future__ import annotations

import resource
import sys
import threading
from types import TracebackType
from typing import Final, Self

import psutil

INTERVAL_SECONDS: Final = 0.02


class PeakMemory:
    """`with PeakMemory() as peak: …`, then `peak.added_mb`: the largest resident size seen meanwhile, less that at the beginning."""

    def __enter__(self) -> Self:
        self._process = psutil.Process()
        self._before = self._largest = self._process.memory_info().rss
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()
        return self

    def _look(self) -> None:
        while not self._over.wait(INTERVAL_SECONDS):
            self._largest = max(self._largest, self._process.memory_info().rss)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._watch.join()
        self._largest = max(self._largest, self._process.memory_info().rss)

    @property
    def added_mb(self) -> float:
        return (self._largest - self._before) / 2**20


def peak_memory_mb() -> float:
    """Largest resident size of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
