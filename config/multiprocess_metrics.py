"""Metrics that several processes add up in PROMETHEUS_MULTIPROC_DIR."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import psutil
from django.conf import settings
from prometheus_client import multiprocess

_LIVE: Final = re.compile(r"gauge_live[a-z]+_(\d+)\.db")


def forget_the_dead() -> None:
    """Drop what processes that were killed said of themselves: their counters go on counting, but the events that
    waited in them wait no more. Call it when a process starts.
    """
    folder = settings.ETALAGE_METRICS_DIR
    if not folder:
        return
    pids = {int(found[1]) for path in Path(folder).iterdir() if (found := _LIVE.fullmatch(path.name))}
    for pid in pids:
        if not psutil.pid_exists(pid):
            multiprocess.mark_process_dead(pid, folder)
