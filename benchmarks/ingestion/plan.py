from __future__ import annotations

import os
from dataclasses import dataclass, field

from config.serving import THREADS

# The events of a request in which the rate is compared with the bare database's, and the connections at which
# single events are compared with an empty view.
COMPARED_BATCH = 100
COMPARED_CONNECTIONS = (16, 64)


@dataclass(frozen=True)
class Plan:
    """`seconds` of each measurement, after a warm-up of a third of it; `rounds` of what is compared, in turn.
    `soak_seconds`: 0 for none."""

    preload_rows: int = 4_000_000
    copy_rows: int = 60_000
    seconds: float = 4.0
    rounds: int = 5
    batch_sizes: tuple[int, ...] = (1, 10, 100, 500)
    connections: tuple[int, ...] = (1, 4, 16, 64)
    processes: int = field(default_factory=lambda: os.cpu_count() or 1)
    threads: int = THREADS
    soak_seconds: float = 0.0

    @property
    def compared_connections(self) -> tuple[int, ...]:
        return tuple(n for n in COMPARED_CONNECTIONS if n in self.connections)

    @property
    def cells(self) -> list[tuple[int, int]]:
        return [(size, connections) for size in self.batch_sizes for connections in self.connections]

    @property
    def steps(self) -> int:
        """Of the progress bar: preparing, cells, then the compared measurements of each round."""
        compared = 3 * len(self.compared_connections) + (2 if COMPARED_BATCH in self.batch_sizes else 0) + 2
        return 1 + len(self.cells) + self.rounds * compared + bool(self.soak_seconds)
