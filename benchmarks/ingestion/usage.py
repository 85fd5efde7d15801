"""What the programs under measurement use: processor time and memory, by part."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import psycopg
import redis


@dataclass(frozen=True)
class Seconds:
    """Processor time so far, or in between; of the database only where it runs on this machine."""

    web: float
    database: float
    cache: float

    def __sub__(self, other: Seconds) -> Seconds:
        return Seconds(self.web - other.web, self.database - other.database, self.cache - other.cache)


class Meter:
    """Reads what a web server's processes, PostgreSQL and Valkey have used. `pid`: of the server's first process."""

    def __init__(self, environment: dict[str, str], pid: int) -> None:
        self._web = psutil.Process(pid)
        self._postmaster = _postmaster(environment["DATABASE_URL"])
        self._cache = redis.Redis.from_url(environment["REDIS_URL"], socket_timeout=30)

    def seconds(self) -> Seconds:
        cache = self._cache.info("cpu")
        return Seconds(
            web=_seconds(self._web),
            database=_seconds(self._postmaster) if self._postmaster else 0.0,
            cache=cache["used_cpu_sys"] + cache["used_cpu_user"],
        )

    def memory_mb(self) -> float:
        """Of all web processes; what they share is counted once, where the system tells."""
        total = 0
        for process in _family(self._web):
            try:
                memory = process.memory_full_info()
            except psutil.NoSuchProcess:
                continue
            total += getattr(memory, "pss", 0) or memory.rss
        return total / 1e6


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _seconds(root: psutil.Process) -> float:
    """Of the process, of those below it, and of those below it that have ended."""
    times = root.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for child in root.children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def _postmaster(url: str) -> psutil.Process | None:
    """The server's first process, None where the database is on another machine."""
    with psycopg.connect(url) as connection:
        try:
            backend = psutil.Process(connection.info.backend_pid)
            return backend.parent() if "postgres" in backend.name() else None
        except psutil.Error:
            return None


def machine(url: str) -> str:
    """What was measured on, and when, in a line."""
    with psycopg.connect(url) as connection:
        postgres = connection.info.parameter_status("server_version")
    gigabytes = psutil.virtual_memory().total / 2**30
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {_processor()}, {psutil.cpu_count()} cores, {gigabytes:.0f} GiB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, PostgreSQL {postgres}"
    )


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    if told.exists():
        for line in told.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
