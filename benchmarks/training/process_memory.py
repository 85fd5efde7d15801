"""What a process holds in memory, in MB, as Linux tells it."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def resident_mb() -> float:
    """What is resident now; where there is no /proc, the most that ever was."""
    return _field("status", "VmRSS")


def peak_mb() -> float:
    """The most that was ever resident. Not from getrusage on Linux: there the peak of the process that started this one counts too."""
    return _field("status", "VmHWM")


def own_mb() -> float:
    """What is resident and this process's own: not pages of files, which all that map them share."""
    return _field("smaps_rollup", "Anonymous")


def _field(file: str, name: str) -> float:
    try:
        lines = (Path("/proc/self") / file).read_text().splitlines()
    except FileNotFoundError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024
