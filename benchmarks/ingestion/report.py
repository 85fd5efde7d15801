"""The measurement in words, for the terminal and `benchmarks/RESULTS.md`."""

from __future__ import annotations

from benchmarks.ingestion.run import Measurement, Report


def as_markdown(report: Report) -> str:
    plan = report.plan
    single = [
        f"- single events at {connections} connections: **{share:.2f}** of an empty view's "
        f"{report.empty_view[connections]:,.0f} requests/s"
        for connections, share in report.single_shares.items()
    ]
    lines = [
        f"On {report.cores} cores, load generator, web server ({plan.processes} processes, {plan.threads} threads "
        f"each) and PostgreSQL together; {plan.preload_rows:,} events in the log before. Validation, consent gate (a "
        "decision in the ledger for each visitor), visitors and customers on; every answer after its commit.",
        "",
        "- one client's bare binary COPY → temporary table → INSERT … ON CONFLICT: "
        f"**{report.bare_copy_per_second:,.0f} rows/s**; batches of 100 reach **{report.batch_share:.2f}** of it",
        *single,
        f"- {report.acknowledged:,} events acknowledged in time, {report.stored:,} stored, none missing",
        "",
        "| events a request | connections | events/s | requests/s | p50 | p99 | refused | CPU of the web server | memory |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_line(measurement) for measurement in report.measurements]
    return "\n".join(lines)


def _line(m: Measurement) -> str:
    cells = (
        m.batch_size,
        m.connections,
        f"{m.events_per_second:,.0f}",
        f"{m.requests_per_second:,.0f}",
        f"{m.p50_ms:.1f} ms",
        f"{m.p99_ms:.1f} ms",
        m.refused + m.failed,
        f"{m.cpu:.2f}",
        f"{m.memory_mb:,.0f} MB",
    )
    return f"| {' | '.join(map(str, cells))} |"
