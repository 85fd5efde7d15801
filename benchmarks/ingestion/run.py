"""The whole measurement: the bare database, the server without work, and the server at its work."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.ingestion.load import VISITORS, Load, Target, run_load
from benchmarks.ingestion.rows import bare_copy_rate, preload
from benchmarks.ingestion.scratch import CannotMeasure, scratch_database, web_server

SINGLE_CONNECTIONS = (1, 16, 64)
BATCH_SIZES = (10, 100, 500)
BATCH_CONNECTIONS = (1, 4, 16)


@dataclass(frozen=True)
class Plan:
    """`seconds` of each measurement, after a warm-up of a third of it."""

    preload_rows: int = 4_000_000
    copy_rows: int = 200_000
    seconds: float = 8.0
    processes: int = field(default_factory=lambda: os.cpu_count() or 1)
    threads: int = 32


@dataclass(frozen=True)
class Measurement:
    """One line of the report. CPU in seconds per second: 2.0 is two cores; memory in MB, of all web
    processes."""

    batch_size: int
    connections: int
    events_per_second: float
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    refused: int
    failed: int
    cpu: float
    memory_mb: float


@dataclass(frozen=True)
class Report:
    plan: Plan
    cores: int
    bare_copy_per_second: float
    empty_view: dict[int, float]
    measurements: list[Measurement]
    stored: int
    acknowledged: int

    def of(self, batch_size: int, connections: int) -> Measurement:
        return next(
            m for m in self.measurements if (m.batch_size, m.connections) == (batch_size, connections)
        )

    @property
    def batch_share(self) -> float:
        """Best rate at batches of 100, as a share of the bare COPY."""
        best = max(m.events_per_second for m in self.measurements if m.batch_size == 100)
        return best / self.bare_copy_per_second

    @property
    def single_shares(self) -> dict[int, float]:
        """Single-event requests as a share of an empty view's, by connections."""
        return {
            connections: self.of(1, connections).requests_per_second / rate
            for connections, rate in self.empty_view.items()
            if rate
        }

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "batch_share": self.batch_share, "single_shares": self.single_shares}


def measure(runtime_url: str, plan: Plan, say: Callable[[str], None]) -> Report:
    """Raises CannotMeasure where something is missing."""
    with scratch_database(runtime_url) as environment:
        url = environment["DATABASE_URL"]
        say(f"Preparing a shop of {VISITORS:,} visitors who agreed, and {plan.preload_rows:,} events")
        store_id, write_key = _prepare(environment)
        preload(url, store_id, plan.preload_rows)
        say(f"Bare COPY → temporary table → INSERT of {plan.copy_rows:,} rows")
        bare = bare_copy_rate(url, store_id, plan.copy_rows)
        say(f"  {bare:,.0f} rows/s")
        before = _count(url)
        with web_server(environment, plan.processes, plan.threads) as (host, port, pid):
            empty = {}
            for connections in (16, 64):
                target = Target(host, port, "", 0, "/healthz")
                empty[connections] = _warm_and_run(target, connections, plan.seconds).requests_per_second
                say(f"Empty view, {connections} connections: {empty[connections]:,.0f} requests/s")
            measurements, acknowledged = [], 0
            for batch_size, connections in _matrix():
                target = Target(host, port, write_key, batch_size)
                measured, taken = _measure_one(target, connections, plan.seconds, pid)
                measurements.append(measured)
                acknowledged += taken
                say(
                    f"{batch_size:4} events a request, {connections:2} connections: {measured.events_per_second:8,.0f} events/s,"
                    f" p50 {measured.p50_ms:.1f} ms, p99 {measured.p99_ms:.1f} ms, CPU {measured.cpu:.2f}"
                )
        stored = _count(url) - before
        if stored < acknowledged:
            raise CannotMeasure(f"{acknowledged:,} events were acknowledged and only {stored:,} are stored.")
    return Report(plan, os.cpu_count() or 1, bare, empty, measurements, stored, acknowledged)


def _matrix() -> list[tuple[int, int]]:
    singles = [(1, connections) for connections in SINGLE_CONNECTIONS]
    return singles + [(size, connections) for size in BATCH_SIZES for connections in BATCH_CONNECTIONS]


def _warm_and_run(target: Target, connections: int, seconds: float) -> Load:
    run_load(target, connections, seconds / 3)
    return run_load(target, connections, seconds)


def _measure_one(target: Target, connections: int, seconds: float, pid: int) -> tuple[Measurement, int]:
    warm = run_load(target, connections, seconds / 3)
    cpu = _cpu_seconds(pid)
    load = run_load(target, connections, seconds)
    used = _cpu_seconds(pid) - cpu
    measured = Measurement(
        batch_size=target.batch_size,
        connections=connections,
        events_per_second=load.requests_per_second * target.batch_size,
        requests_per_second=load.requests_per_second,
        p50_ms=load.percentile(0.5) * 1000,
        p99_ms=load.percentile(0.99) * 1000,
        refused=load.refused,
        failed=load.failed,
        cpu=used / seconds,
        memory_mb=_memory_mb(pid),
    )
    return measured, (warm.requests + load.requests) * target.batch_size


def _prepare(environment: dict[str, str]) -> tuple[int, str]:
    """A store with a secret key whose permission stands in the ledger, and visitors who permit everything."""
    import subprocess
    import sys

    from django.conf import settings

    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.ingestion.shop"],
        cwd=settings.BASE_DIR,
        env={**environment, "DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise CannotMeasure(f"The shop could not be made:\n{answer.stderr}")
    store_id, write_key = answer.stdout.split()[-2:]
    return int(store_id), write_key


def _count(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM tracking_event").fetchone()
        return int(row[0]) if row else 0


def _family(pid: int) -> list[int]:
    """The process and all below it (Linux; elsewhere none, and CPU and memory are not told)."""
    found, pending = [], [pid]
    while pending:
        current = pending.pop()
        found.append(current)
        for children in Path(f"/proc/{current}/task").glob("*/children"):
            pending += map(int, children.read_text().split())
    return found if Path(f"/proc/{pid}").exists() else []


def _cpu_seconds(pid: int) -> float:
    ticks = 0
    for each in _family(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> float:
    pages = sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in _family(pid))
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
