"""The measurement in words, for the terminal and `benchmarks/RESULTS.md`."""

from __future__ import annotations

from benchmarks.serving.run import Freshness, Measurement, Report, ShopReport, Swap


def as_markdown(report: Report) -> str:
    plan = report.plan
    lines = [
        f"On {report.cores} cores, load generator, web server ({plan.processes} processes, {plan.threads} threads each), Valkey and "
        "PostgreSQL together. Generated shops with a history of views and orders, a version trained on it (every strategy but "
        "LightFM), 2,000 shoppers who permit everything and have profiles; the default weights of each placement; throttle, key, "
        "consent and suppression asked as for any client. *Share* is of the requests/s of an empty REST view on the same server, "
        "at the same connections, in the same run.",
    ]
    for shop in report.shops:
        lines += ["", *_shop(shop)]
    return "\n".join(lines)


def _shop(shop: ShopReport) -> list[str]:
    empty = ", ".join(f"{rate:,.0f} at {n}" for n, rate in shop.empty_view.items())
    lines = [
        f"**{shop.products:,} products**, {shop.visits:,} visits; {shop.personal_share:.0%} of the shelves personal; "
        f"empty view: {empty} connections.",
        "",
        "| placement | connections | requests/s | share | p50 | p99 | p99 / p50 | refused |",
        "|---|---|---|---|---|---|---|---|",
        *[_line(m) for m in shop.measurements],
    ]
    if shop.swap:
        lines += ["", _swap(shop.swap)]
    if shop.freshness:
        lines += ["", _freshness(shop.freshness)]
    return lines


def _line(m: Measurement) -> str:
    ratio = m.p99_ms / m.p50_ms if m.p50_ms else 0.0
    cells = (
        m.placement, m.connections, f"{m.requests_per_second:,.0f}", f"{m.share:.2f}", f"{m.p50_ms:.1f} ms", f"{m.p99_ms:.1f} ms",
        f"{ratio:.1f}", m.refused + m.failed,
    )  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def _swap(swap: Swap) -> str:
    return (
        f"Model swapped {swap.swaps} times under half load: {swap.dropped} of {swap.requests:,} requests dropped, "
        f"p99 {swap.p99_before_ms:.1f} ms without and {swap.p99_during_ms:.1f} ms with swaps."
    )


def _freshness(found: Freshness) -> str:
    return (
        "Freshness, written to one process and read from another at half load "
        f"({found.load_requests_per_second:,.0f} requests/s): from the acknowledged event to the first answer that it changed "
        f"p50 {found.p50_ms:.1f} ms, p99 {found.p99_ms:.1f} ms, worst {found.worst_ms:.1f} ms; {found.asked_twice} of "
        f"{found.events} events were not in the first answer."
    )
