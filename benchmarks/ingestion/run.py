"""The whole measurement: the server at its work, and in turn with it the bare database, the server without work, and
the server without its gate."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import psutil
import psycopg
from django.conf import settings

from benchmarks.ingestion.load import VISITORS, Load, Target, run_load
from benchmarks.ingestion.plan import COMPARED_BATCH, Plan
from benchmarks.ingestion.rows import bare_copy_rate, preload
from benchmarks.ingestion.scratch import CannotMeasure, scratch_database, web_server
from benchmarks.ingestion.soak import Soak, soak
from benchmarks.ingestion.usage import Meter, machine

COMPARED_BATCH_CONNECTIONS = 16


@dataclass(frozen=True)
class Measurement:
    """One line of the report. CPU in cores: 2.0 is two seconds of processor time a second; memory in MB, of all web
    processes."""

    batch_size: int
    connections: int
    events_per_second: float
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    refused: int
    failed: int
    cpu_web: float
    cpu_database: float
    cpu_cache: float
    cpu_load: float
    memory_mb: float


@dataclass
class Rounds:
    """What is compared, measured in turn, so that whatever else the machine does meets all of it. Rates a second, one a
    round; `empty`, `collector` and `single` by connections."""

    bare_copy: list[float] = field(default_factory=list)
    batches: list[float] = field(default_factory=list)
    empty: dict[int, list[float]] = field(default_factory=dict)
    collector: dict[int, list[float]] = field(default_factory=dict)
    single: dict[int, list[float]] = field(default_factory=dict)
    gated: list[float] = field(default_factory=list)
    ungated: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    plan: Plan
    machine: str
    load_average: float
    rounds: Rounds
    measurements: list[Measurement]
    acknowledged: int
    stored: int
    sent: int
    refusals: dict[str, int] = field(default_factory=dict)
    soak: Soak | None = None

    @property
    def batch_share(self) -> float:
        """Rate at batches of 100 as a share of the bare COPY's, the median of the rounds."""
        return _share(self.rounds.batches, self.rounds.bare_copy)

    @property
    def single_shares(self) -> dict[int, float]:
        """Single-event requests as a share of an empty view's, by connections."""
        return {n: _share(rates, self.rounds.empty[n]) for n, rates in self.rounds.single.items()}

    @property
    def collector_shares(self) -> dict[int, float]:
        """The same against the collector's own empty answer, which passes no other middleware either."""
        return {n: _share(rates, self.rounds.collector[n]) for n, rates in self.rounds.single.items()}

    @property
    def gate_cost(self) -> float:
        """What share of the time of taking an event the consent gate adds."""
        share = _share(self.rounds.ungated, self.rounds.gated)
        return share - 1 if share else 0.0

    def as_json(self) -> dict[str, Any]:
        shares = {
            name: getattr(self, name)
            for name in ("batch_share", "single_shares", "collector_shares", "gate_cost")
        }
        return {**asdict(self), **shares}


def _share(rates: list[float], of: list[float]) -> float:
    shares = [rate / whole for rate, whole in zip(rates, of, strict=True) if whole]
    return median(shares) if shares else 0.0


class _Run:
    """One run's store, servers and counts."""

    def __init__(
        self, environment: dict[str, str], plan: Plan, say: Callable[[str], None], step: Callable[[str], None]
    ) -> None:
        self.environment = environment
        self.url = environment["DATABASE_URL"]
        self.plan = plan
        self.say = say
        self.step = step
        self.rounds = Rounds()
        self.total = Load()  # requests here are events
        self.store_id, self.write_key = _prepare(environment)

    def serve(self, stack: ExitStack) -> None:
        plan = self.plan
        self.host, self.port, pid = stack.enter_context(
            web_server(self.environment, plan.processes, plan.threads)
        )
        _, self.ungated_port, _ = stack.enter_context(
            web_server(
                self.environment, plan.processes, plan.threads, "benchmarks.ingestion.ungated:application"
            )
        )
        self.meter = Meter(self.environment, pid)

    def send(self, batch_size: int, connections: int, seconds: float, port: int = 0) -> Load:
        target = Target(self.host, port or self.port, self.write_key, batch_size)
        load = run_load(target, connections, seconds)
        self.total.requests += (load.requests + load.late) * batch_size
        self.total.failed += (load.refused + load.failed) * batch_size
        self.total.refusals += load.refusals
        self.total.refusals["no answer"] += load.failed
        return load

    def measure_cell(self, batch_size: int, connections: int) -> Measurement:
        self.step(f"{batch_size} events a request, {connections} connections")
        self.send(batch_size, connections, self.plan.seconds / 3)
        before = self.meter.seconds()
        load = self.send(batch_size, connections, self.plan.seconds)
        used = self.meter.seconds() - before
        seconds = self.plan.seconds
        return Measurement(
            batch_size=batch_size,
            connections=connections,
            events_per_second=load.requests_per_second * batch_size,
            requests_per_second=load.requests_per_second,
            p50_ms=load.percentile(0.5) * 1000,
            p99_ms=load.percentile(0.99) * 1000,
            refused=load.refused,
            failed=load.failed,
            cpu_web=used.web / seconds,
            cpu_database=used.database / seconds,
            cpu_cache=used.cache / seconds,
            cpu_load=load.cpu_seconds / seconds,
            memory_mb=self.meter.memory_mb(),
        )

    def compare(self) -> None:
        """One round of everything that is compared."""
        seconds, rounds = self.plan.seconds * 0.75, self.rounds
        for n in self.plan.compared_connections:
            empty = Target(self.host, self.port, "", 0, "/healthz")
            collector = Target(self.host, self.port, "", 0, "/v1/track", method="OPTIONS")
            self.step(f"an empty view, {n} connections")
            rounds.empty.setdefault(n, []).append(run_load(empty, n, seconds).requests_per_second)
            self.step(f"single events, {n} connections")
            rounds.single.setdefault(n, []).append(self.send(1, n, seconds).requests_per_second)
            self.step(f"the collector's empty answer, {n} connections")
            rounds.collector.setdefault(n, []).append(run_load(collector, n, seconds).requests_per_second)
        if COMPARED_BATCH in self.plan.batch_sizes:
            self.step("bare COPY → temporary table → INSERT")
            rounds.bare_copy.append(bare_copy_rate(self.url, self.store_id, self.plan.copy_rows))
            self.step(f"batches of {COMPARED_BATCH}")
            rounds.batches.append(self._batches(seconds))
        # Which of the two comes first changes from round to round.
        for is_gated in (True, False) if len(rounds.gated) % 2 else (False, True):
            self.step("with the consent gate" if is_gated else "without the consent gate")
            rate = self._batches(seconds, self.port if is_gated else self.ungated_port)
            (rounds.gated if is_gated else rounds.ungated).append(rate)

    def _batches(self, seconds: float, port: int = 0) -> float:
        load = self.send(COMPARED_BATCH, COMPARED_BATCH_CONNECTIONS, seconds, port)
        return load.requests_per_second * COMPARED_BATCH


def measure(runtime_url: str, plan: Plan, say: Callable[[str], None], step: Callable[[str], None]) -> Report:
    """`say` gets lines for the terminal, `step` what is measured next. Raises CannotMeasure where something is missing,
    or where an acknowledged event is."""
    load_average = psutil.getloadavg()[0]
    with scratch_database(runtime_url) as environment, ExitStack() as stack:
        step(f"preparing a shop of {VISITORS:,} visitors who agreed, and {plan.preload_rows:,} events")
        run = _Run(environment, plan, say, step)
        preload(run.url, run.store_id, plan.preload_rows)
        before = _count(run.url)
        run.serve(stack)
        measurements = []
        for batch_size, connections in plan.cells:
            measurements.append(run.measure_cell(batch_size, connections))
            say(as_line(measurements[-1]))
        run.send(COMPARED_BATCH, COMPARED_BATCH_CONNECTIONS, plan.seconds / 3, run.ungated_port)
        copied = 0
        for _ in range(plan.rounds):
            run.compare()
            copied += plan.copy_rows if run.rounds.bare_copy else 0
        soaked = None
        if plan.soak_seconds:
            step(f"soaking for {plan.soak_seconds:,.0f} s")
            soaked = soak(run.send, run.meter, plan.soak_seconds, say)
        stored = _count(run.url) - before - copied
        where = machine(run.url)
    total = run.total
    sent = total.requests + total.failed
    if not total.requests <= stored <= sent:
        raise CannotMeasure(
            f"{total.requests:,} events were acknowledged, {sent:,} sent and {stored:,} are stored: "
            "each acknowledged event must be stored, once."
        )
    return Report(
        plan,
        where,
        load_average,
        run.rounds,
        measurements,
        total.requests,
        stored,
        sent,
        dict(+total.refusals),
        soaked,
    )


def as_line(m: Measurement) -> str:
    return (
        f"{m.batch_size:4} events a request, {m.connections:2} connections: {m.events_per_second:8,.0f} events/s, "
        f"p50 {m.p50_ms:.1f} ms, p99 {m.p99_ms:.1f} ms, CPU web {m.cpu_web:.2f} database {m.cpu_database:.2f} "
        f"cache {m.cpu_cache:.2f} load {m.cpu_load:.2f}"
    )


def _prepare(environment: dict[str, str]) -> tuple[int, str]:
    """A store with a secret key whose permission stands in the ledger, and visitors who permit everything."""
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
