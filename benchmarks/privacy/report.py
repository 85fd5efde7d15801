"""The measurement in words, for the terminal and `benchmarks/RESULTS.md`."""

from __future__ import annotations

from statistics import median

from benchmarks.privacy.figures import Figures
from benchmarks.privacy.plan import SIZES
from benchmarks.privacy.run import Report

MOST_ERASURE_SECONDS = 2.0
MOST_EXPORT_SECONDS = 5.0


def as_markdown(report: Report) -> str:
    whole = report.whole
    lines = [
        f"{report.machine}.",
        "",
        f"A generated shop of {whole.events:,} events and {whole.customers:,} customers, each with a browser, a login, decisions in the "
        "ledger, vault, profile in Valkey and segments, many with orders, carts, impressions, clicks, messages of the shop, findings and "
        f"entries in the audit log; a live model of every strategy but LightFM and {report.plan.versions - 1} older versions "
        f"({whole.model_bytes / 1e6:,.0f} MB in all) that know everybody. Erasures are whole requests: suppression, the wait for "
        "writers, every processor, letters. *Own stores* is until the person is gone from every table, Valkey, the vault and the "
        "ledgers, and hidden in every model version; *to the receipt* is until the files of each version are written anew as well. Made in "
        f"{whole.made_seconds:,.0f} s.",
        "",
        "| goal | reached | |",
        "|---|---|---|",
        _goal(
            f"the worst erasure from the own stores takes < {MOST_ERASURE_SECONDS:.0f} s",
            whole.worst,
            MOST_ERASURE_SECONDS,
        ),
        f"| the same with the files of {report.plan.versions} model versions written anew | **{whole.worst_whole:.2f} s** | no goal |",
        _goal(
            f"the worst access export of 10,000 events takes < {MOST_EXPORT_SECONDS:.0f} s",
            whole.worst_export,
            MOST_EXPORT_SECONDS,
        ),
        "",
        *_sizes(whole),
        "",
        *_parts(whole),
        "",
        *_others(report),
    ]
    return "\n".join(lines)


def _goal(what: str, seconds: float, most: float) -> str:
    return f"| {what} | **{seconds:.2f} s** | {'yes' if seconds < most else 'missed'} |"


def _sizes(figures: Figures) -> list[str]:
    lines = [
        "| erased | people | own stores, median | worst | to the receipt, median | worst | rows deleted, median | kept by law |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for size, events in SIZES.items():
        found = [each for each in figures.erasures if each.size == size]
        own, seconds = [each.own for each in found], [each.seconds for each in found]
        lines.append(
            f"| {size}, {events:,} events | {len(found)} | {median(own):.2f} s | {max(own):.2f} s | "
            f"{median(seconds):.2f} s | {max(seconds):.2f} s | "
            f"{median(each.deleted for each in found):,.0f} | {median(each.kept for each in found):,.0f} |"
        )
    return lines


def _parts(figures: Figures) -> list[str]:
    names = list(figures.erasures[0].parts)
    lines = ["| part of an erasure | median | worst |", "|---|---:|---:|"]
    for name in names:
        seconds = [each.parts[name] for each in figures.erasures]
        lines.append(f"| {name} | {_ms(median(seconds))} | {_ms(max(seconds))} |")
    return lines


def _others(report: Report) -> list[str]:
    whole = report.whole
    lines = []
    if report.small is not None and report.growth is not None:
        lines.append(
            f"- With a tenth of the data ({report.small.events:,} events, {report.small.customers:,} customers, models of "
            f"{report.small.model_bytes / 1e6:,.0f} MB) the median erasure from the own stores takes {report.small.median:.2f} s: ten "
            f"times the data of others makes it **{report.growth:.1f}** × as long."
        )
    if whole.through_workers:
        lines.append(
            f"- Through Celery (one worker of two processes) from asking to the receipt: median {median(whole.through_workers):.2f} s, "
            f"worst {max(whole.through_workers):.2f} s."
        )
    export = whole.exports[0]
    lines += [
        f"- Access export (ZIP of HTML, JSON and CSV): {', '.join(f'{each.seconds:.2f} s' for each in whole.exports)}; "
        f"{export.events:,} events, {export.archive_bytes / 1e6:.1f} MB.",
        f"- Correction, with its approval: median {_ms(median(whole.rectification))}; restriction until the gate refuses: median "
        f"{_ms(median(whole.restriction))}.",
        f"- `verify_audit_log`: {whole.ledger:,} entries of both ledgers in {whole.ledger_seconds:.1f} s, "
        f"{whole.verified_per_second:,.0f} a second, {'intact' if whole.is_ledger_intact else '**not intact**'}.",
    ]
    return lines


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"
