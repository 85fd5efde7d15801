"""The measurement in words, for the terminal and `benchmarks/RESULTS.md`, and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from benchmarks.training.growth import linearithmic_exponent
from benchmarks.training.run import Fit, Log, Report

BLEND_SECONDS: Final = (15, 90)
"""What the default blend of a browsing shop may take on RetailRocket's log and two cores, without ALS and with it."""
BLEND_PEAK_MB: Final = 1500
LARGE_SECONDS: Final = 180
LARGE_PEAK_MB: Final = 3000
STEEPER: Final = 1.05
"""Exponents differ by a few hundredths from run to run: what is less above n·log n is not told from it."""


def as_json(report: Report) -> dict[str, Any]:
    """`growth` by strategy and scale, `exponents` of those measured at two scales or more."""
    exponents = {name: report.exponent(name) for name in report.growth}
    return {
        **asdict(report),
        "exponents": {name: round(value, 3) for name, value in exponents.items() if value is not None},
        "seconds": round(report.seconds, 1),
    }


def as_markdown(report: Report) -> str:
    threads = (
        "with OpenMP: it trains on all cores"
        if report.has_openmp
        else "without OpenMP: it trains on one core"
    )
    lines = [
        f"On {report.cores} cores. Each fit is a process of its own; *peak* is the most that the process ever held, interpreter, "
        f"libraries and log included. LightFM was compiled {threads}. {report.seconds:.0f} s in all.",
        "",
        *_goals(report),
        *_growth(report),
    ]
    if report.blends:
        lines += ["", *_blends(report)]
    if report.large_log is not None:
        lines += ["", *_large(report, report.large_log)]
    return "\n".join(lines)


def _goals(report: Report) -> list[str]:
    """The goals that this run can tell of, each with what was reached; empty where it measured none of them."""
    rows = []
    for (title, fit), seconds in zip(report.blends.items(), BLEND_SECONDS, strict=False):
        met = fit.seconds < seconds and fit.peak_mb < BLEND_PEAK_MB
        goal = f"{title}: < {seconds} s, < {BLEND_PEAK_MB:,} MB"
        rows.append(f"| {goal} | **{fit.seconds:.1f} s**, {fit.peak_mb:.0f} MB | {_word(met)} |")
    if report.large_log is not None:
        train = report.version["train"]
        met = train["seconds"] < LARGE_SECONDS and train["peak_mb"] < LARGE_PEAK_MB
        goal = f"the generated shop, all but LightFM: < {LARGE_SECONDS} s, < {LARGE_PEAK_MB:,} MB"
        rows.append(f"| {goal} | **{train['seconds']:.1f} s**, {train['peak_mb']:.0f} MB | {_word(met)} |")
    linearithmic = linearithmic_exponent([log.events for log in report.logs.values()])
    if linearithmic:
        above = _steeper(report, linearithmic)
        told = ", ".join(f"{name} {exponent:.2f}" for name, exponent in above.items()) or "none"
        rows.append(
            f"| no strategy but ALS and LightFM grows faster than n·log n (b {linearithmic:.2f}; told from {STEEPER}× that) "
            f"| faster: **{told}** | {_word(not above)} |"
        )
    return ["| goal | reached | |", "|---|---|---|", *rows, ""] if rows else []


def _steeper(report: Report, linearithmic: float) -> dict[str, float]:
    exponents = {name: report.exponent(name) for name in report.growth if name not in ("als", "lightfm")}
    return {
        name: exponent
        for name, exponent in exponents.items()
        if exponent and exponent > STEEPER * linearithmic
    }


def _word(met: bool) -> str:
    return "yes" if met else "missed"


def _growth(report: Report) -> list[str]:
    scales = list(report.logs)
    logs = "; ".join(f"{scale}× {_log(report.logs[scale])}" for scale in scales)
    linearithmic = linearithmic_exponent([log.events for log in report.logs.values()])
    lines = [
        f"**{report.name}, as it grows**: {logs}. Copies have shoppers and products of their own, and one view in ten goes to "
        "another copy's product. The exponent b is fitted to seconds = a · events^b, of times from a hundredth of a second"
        + (f"; n·log n itself gives {linearithmic:.2f} over these sizes." if linearithmic else "."),
        "",
        f"| strategy | {' | '.join(f'{scale}×' for scale in scales)} | b | {' | '.join(f'peak {scale}×' for scale in scales)} |",
        f"|---|{'---:|' * (2 * len(scales) + 1)}",
    ]
    for name, fits in report.growth.items():
        exponent = report.exponent(name)
        cells = [
            name,
            *(f"{fits[scale].seconds:.2f} s" if scale in fits else "–" for scale in scales),
            "–" if exponent is None else f"{exponent:.2f}",
            *(f"{fits[scale].peak_mb:.0f} MB" if scale in fits else "–" for scale in scales),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    if any(len(fits) < len(scales) for fits in report.growth.values()):
        lines += ["", f"–: the fit would have taken longer than {report.plan.budget_seconds:.0f} s."]
    return lines


def _blends(report: Report) -> list[str]:
    rows = [f"| {title} | {_cells(fit)} |" for title, fit in report.blends.items()]
    return ["| at 1×, in one process | training | peak | learned |", "|---|---:|---:|---:|", *rows]


def _large(report: Report, log: Log) -> list[str]:
    train = report.version["train"]
    rows = [f"| {name} | {_cells(fit)} |" for name, fit in report.large.items()]
    return [
        f"**A generated shop** of {_log(log)}, with categories, attributes and texts",
        "",
        "| strategy | training | peak | learned |",
        "|---|---:|---:|---:|",
        *rows,
        f"| **all but LightFM, one process** | **{train['seconds']:.1f} s** | **{train['peak_mb']:.0f} MB** "
        f"| {train['folder_mb']:.0f} MB |",
        "",
        _version(report.version),
    ]


def _version(version: dict[str, dict[str, float]]) -> str:
    load, append, caught_up = version["load"], version["append"], version["load_caught_up"]
    return (
        f"Saved as a version in {version['train']['save_seconds']:.1f} s. A web process maps it into memory in {load['seconds']:.2f} s and "
        f"gives the first scores of all strategies {load['first_question_seconds']:.2f} s later; {load['resident_mb']:.0f} MB are then "
        f"resident, of which {load['own_mb']:.0f} MB are its own and the rest is shared by all processes. With {append['visits']:,.0f} "
        f"visits ({append['events']:,.0f} events) that came since the training, reading takes {caught_up['seconds']:.2f} s, and "
        f"{caught_up['own_mb']:.0f} MB are its own."
    )


def _log(log: Log) -> str:
    return f"{log.events:,} events, {log.items:,} items, {log.sessions:,} visits"


def _cells(fit: Fit) -> str:
    return f"{fit.seconds:.2f} s | {fit.peak_mb:.0f} MB | {fit.learned_mb:.0f} MB"
