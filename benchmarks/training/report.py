"""The measurement in words, for the terminal and `benchmarks/RESULTS.md`, and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from benchmarks.training.growth import linearithmic_exponent
from benchmarks.training.run import Fit, Log, Report


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
        *_growth(report),
    ]
    if report.blends:
        lines += ["", *_blends(report)]
    if report.large_log is not None:
        lines += ["", *_large(report, report.large_log)]
    return "\n".join(lines)


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
