"""How the web processes are started: one place for the options that decide what happens when something fails."""

from __future__ import annotations

import sys
from typing import Final

# Longer than a request may wait for its events (INGEST_TIMEOUT_SECONDS), shorter than the supervisor's patience.
DRAIN_SECONDS: Final = 15
THREADS: Final = 8
# Threads of a process beside those that work: they wait for bodies of slow clients (`config.slow_bodies`).
WAITING_THREADS: Final = 24


def web_command(*, host: str, port: int, processes: int, threads: int = THREADS) -> list[str]:
    """Granian over `config.wsgi`. On SIGTERM it takes no more connections, answers what it has begun and ends,
    after DRAIN_SECONDS at the latest; a worker process that dies is replaced.

    `threads` of each process may work at once; the processes read it from WEB_THREADS.
    """
    return [
        sys.executable,
        "-m",
        "granian",
        "--interface=wsgi",
        f"--host={host}",
        f"--port={port}",
        f"--workers={processes}",
        f"--blocking-threads={threads + WAITING_THREADS}",
        "--respawn-failed-workers",
        "--no-ws",
        f"--workers-kill-timeout={DRAIN_SECONDS}",
        "config.wsgi:application",
    ]
