"""The measurement in words, for the terminal and `benchmarks/RESULTS.md`."""

from __future__ import annotations

from benchmarks.serving.pages import MIX, VISIT
from benchmarks.serving.run import Freshness, Measurement, Report, ShopReport, Swap, kind_of

GOAL_CONNECTIONS = 16
GOAL_SHARES = {10_000: 0.4, 100_000: 0.2}
GOAL_SPREAD = 4.0
GOAL_FRESHNESS_MS = 50.0
GOAL_SWAP = 2.0


def as_markdown(report: Report) -> str:
    plan = report.plan
    lines = [
        f"On {report.cores} cores, load generator, web server ({plan.processes} processes, {plan.threads} threads each), Valkey and "
        "PostgreSQL together. Generated shops with a history of views and orders, a version trained on it (every strategy but "
        "LightFM), 2,000 shoppers who permit everything and have profiles; the default weights of each placement; throttle, key, "
        "consent and suppression asked as for any client. *Share* is of the requests/s of an empty REST view on the same server, "
        "at the same connections, in the same run, measured before and after.",
        "",
        "Three kinds of reads. *As visits go*: each connection follows shoppers through the demo shop's pages: home (4 shelves), a "
        "category (1), 5.4 products (3 each) and the cart (2). What they do on a page (look at a list, at a product, fill the cart) "
        "is told before its first shelf. *New event*: the shopper of every single read has looked at a product just before, so that each "
        "shelf is made anew. *Unchanged*: 300 pages are asked for again and again while nobody does anything, so that shelves are "
        "repeated. Events are put where the collector puts them, which is not part of the request. *mix* is home, product and cart page "
        "in turn. **Shares are about visits**, which shops have; new events, the dearest kind, stand beside them. p99 / p50 is about "
        "the mix after new events: a visit has quick shelves and slow ones, of which that says nothing.",
    ]
    for shop in report.shops:
        lines += ["", *_shop(shop)]
    return "\n".join(lines)


def _shop(shop: ShopReport) -> list[str]:
    empty = ", ".join(f"{rate:,.0f} at {n}" for n, rate in shop.empty_view.items())
    lines = [
        f"**{shop.products:,} products**, {shop.visits:,} visits, made and trained in {shop.prepare_seconds:.0f} s; "
        f"{shop.personal_share:.0%} of the shelves personal; empty view: {empty} connections.",
        "",
        "| goal | reached | |",
        "|---|---|---|",
        *_goals(shop),
        "",
        "| placement | reads | connections | requests/s | share | p50 | p99 | p99 / p50 | refused |",
        "|---|---|---|---|---|---|---|---|---|",
        *[_line(m) for m in shop.measurements],
    ]
    if shop.swap:
        lines += ["", _swap(shop.swap)]
    if shop.freshness:
        lines += ["", _freshness(shop.freshness)]
    return lines


def _goals(shop: ShopReport) -> list[str]:
    visits, anew, again = (
        shop.of(placement, GOAL_CONNECTIONS, follows_event=follows)
        for placement, follows in ((VISIT, True), (MIX, True), (MIX, False))
    )
    lines = []
    share = GOAL_SHARES.get(shop.products)
    if visits and share is not None:
        others = ((anew, "where each read follows an event of its own"), (again, "unchanged"))
        beside = "".join(f", {found.share:.2f} {kind}" for found, kind in others if found)
        goal = f"≥ {share} of the empty view at 16 connections"
        lines.append(_goal(goal, f"**{visits.share:.2f}** in visits{beside}", visits.share >= share))
    if anew:
        spread = anew.p99_ms / max(anew.p50_ms, 1e-9)
        lines.append(_goal("p99 ≤ 4 × p50 at 16 connections", f"**{spread:.1f}** ×", spread <= GOAL_SPREAD))
    if shop.swap:
        slower = shop.swap.p99_during_ms / max(shop.swap.p99_before_ms, 1e-9)
        is_reached = not shop.swap.dropped and slower <= GOAL_SWAP
        reached = f"{shop.swap.dropped} dropped, p99 **{slower:.1f}** ×"
        lines.append(_goal("a swap under load drops no request, p99 ≤ 2 ×", reached, is_reached))
    if shop.freshness:
        p99 = shop.freshness.p99_ms
        lines.append(
            _goal("from an event to its shelf p99 < 50 ms", f"**{p99:.1f} ms**", p99 < GOAL_FRESHNESS_MS)
        )
    return lines


def _goal(goal: str, reached: str, is_reached: bool) -> str:
    return f"| {goal} | {reached} | {'yes' if is_reached else 'missed'} |"


def _line(m: Measurement) -> str:
    ratio = m.p99_ms / m.p50_ms if m.p50_ms else 0.0
    cells = (
        m.placement, kind_of(m), m.connections, f"{m.requests_per_second:,.0f}", f"{m.share:.2f}", f"{m.p50_ms:.1f} ms",
        f"{m.p99_ms:.1f} ms", f"{ratio:.1f}", m.refused + m.failed,
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
