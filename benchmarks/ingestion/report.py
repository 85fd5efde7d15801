"""The measurement in words, for the terminal and `benchmarks/RESULTS.md`."""

from __future__ import annotations

from statistics import median

from benchmarks.ingestion.load import load_cores
from benchmarks.ingestion.plan import COMPARED_BATCH
from benchmarks.ingestion.run import COMPARED_BATCH_CONNECTIONS, Measurement, Report
from benchmarks.ingestion.soak import SOAK_BATCH, SOAK_CONNECTIONS, Soak
from config.serving import WAITING_THREADS

LEAST_BATCH_SHARE = 0.35
LEAST_SINGLE_SHARE = 0.4
MOST_GATE_COST = 0.05
MOST_GROWTH = 0.05
# Above, something else was using the machine when the measurement began.
QUIET_LOAD_AVERAGE = 0.5


def as_markdown(report: Report) -> str:
    plan = report.plan
    lines = [
        f"{report.machine}. Load average before the run: {report.load_average:.2f}.",
        "",
        f"Load generators, web server ({plan.processes} processes of {plan.threads} threads that work and {WAITING_THREADS} "
        f"that wait), PostgreSQL and Valkey share the machine. The load generators (2 processes) are pinned to core "
        f"{_cores()}, which the others may use too; nothing else is pinned. "
        f"{plan.preload_rows:,} events with random keys in the log before. Validation, consent gate (a decision in "
        "the ledger for each visitor), visitors and customers are on, `synchronous_commit` too: every answer comes after its "
        f"commit. What is compared was measured in turn, {plan.rounds} rounds of {plan.seconds * 0.75:g} s; shares are "
        "the medians of the rounds.",
        "",
        "| goal | reached | |",
        "|---|---|---|",
        *_goals(report),
        "",
        *_compared(report),
        f"- {report.acknowledged:,} events were acknowledged, {report.stored:,} are stored, {report.sent:,} were sent: every "
        f"acknowledged one is there, none twice. {_refusals(report)}",
        "",
        "| events a request | connections | events/s | requests/s | p50 | p99 | refused | CPU: web | database | cache | load "
        "| memory of the web processes |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        *map(_line, report.measurements),
        "",
        "Times are from sending a request to its whole answer. CPU in cores.",
    ]
    if report.soak:
        lines += ["", *_soaked(report.soak)]
    if report.load_average > QUIET_LOAD_AVERAGE:
        lines += [
            "",
            "The machine did other work when this began, so that rates are too low and shares rough.",
        ]
    return "\n".join(lines)


def _goals(report: Report) -> list[str]:
    goals: list[tuple[str, str, bool]] = []
    if report.rounds.batches:
        goals.append(
            (
                f"batches of {COMPARED_BATCH}: ≥ {LEAST_BATCH_SHARE} of the bare COPY's rate",
                f"{report.batch_share:.2f}",
                report.batch_share >= LEAST_BATCH_SHARE,
            )
        )
    goals += [
        (
            f"single events at {connections} connections: ≥ {LEAST_SINGLE_SHARE} of an empty view's requests/s",
            f"{share:.2f}",
            share >= LEAST_SINGLE_SHARE,
        )
        for connections, share in report.single_shares.items()
    ]
    goals.append(
        (
            f"the consent gate adds < {MOST_GATE_COST:.0%}",
            f"{report.gate_cost:+.1%}",
            report.gate_cost < MOST_GATE_COST,
        )
    )
    if report.soak:
        growth = report.soak.growth
        goals.append(
            (
                f"memory flat over {report.soak.seconds / 60:.0f} minutes",
                f"{growth:+.1%}",
                growth < MOST_GROWTH,
            )
        )
    return [
        f"| {goal} | **{reached}** | {'yes' if is_met else 'missed'} |" for goal, reached, is_met in goals
    ]


def _compared(report: Report) -> list[str]:
    rounds = report.rounds
    lines = []
    if rounds.batches:
        lines.append(
            "- one client's bare binary COPY → temporary table → INSERT … ON CONFLICT into the same table, random UUIDs, 5,000 "
            f"rows a commit: {_rates(rounds.bare_copy)} rows/s; batches of {COMPARED_BATCH} at {COMPARED_BATCH_CONNECTIONS} "
            f"connections: {_rates(rounds.batches)} events/s"
        )
    for connections, rates in rounds.single.items():
        lines.append(
            f"- at {connections} connections: an empty view (`/healthz`, through all middleware) {_rates(rounds.empty[connections])} "
            f"requests/s, single events {_rates(rates)}; the collector's own empty answer (`OPTIONS /v1/track`, past all "
            f"other middleware like every event) {_rates(rounds.collector[connections])}, of which single events reach "
            f"{report.collector_shares[connections]:.2f}"
        )
    lines.append(
        f"- batches of {COMPARED_BATCH} with the consent gate {_rates(rounds.gated)} events/s, without it "
        f"{_rates(rounds.ungated)}"
    )
    return lines


def _refusals(report: Report) -> str:
    told = ", ".join(f"{count:,} with {status}" for status, count in sorted(report.refusals.items()))
    return f"Requests refused: {told or 'none'}."


def _rates(rates: list[float]) -> str:
    """The median and, where there are several, what they lie between."""
    if len(rates) < 2:
        return f"{median(rates):,.0f}"
    return f"{median(rates):,.0f} ({min(rates):,.0f}–{max(rates):,.0f})"


def _soaked(soak: Soak) -> list[str]:
    curve = ", ".join(
        f"{moment:.0f} s {memory:,.0f}" for moment, memory in soak.samples[:: max(1, len(soak.samples) // 10)]
    )
    return [
        f"Soak of {soak.seconds:,.0f} s, batches of {SOAK_BATCH} at {SOAK_CONNECTIONS} connections: "
        f"{soak.events_per_second:,.0f} events/s, p99 {soak.p99_ms:.1f} ms, {soak.refused + soak.failed} refused. Memory of the "
        f"web processes {soak.warm_mb:,.0f} MB in the second fifth of the time, {soak.end_mb:,.0f} MB in the last "
        f"({soak.growth:+.1%}). In MB: {curve}.",
    ]


def _cores() -> str:
    return ", ".join(map(str, sorted(load_cores())))


def _line(m: Measurement) -> str:
    cells = (
        m.batch_size,
        m.connections,
        f"{m.events_per_second:,.0f}",
        f"{m.requests_per_second:,.0f}",
        f"{m.p50_ms:.1f} ms",
        f"{m.p99_ms:.1f} ms",
        m.refused + m.failed,
        f"{m.cpu_web:.2f}",
        f"{m.cpu_database:.2f}",
        f"{m.cpu_cache:.2f}",
        f"{m.cpu_load:.2f}",
        f"{m.memory_mb:,.0f} MB",
    )
    return f"| {' | '.join(map(str, cells))} |"
