"""Rows of work shared out among threads, for Numba kernels that give up the interpreter's lock (`nogil=True`)."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import numpy as np

T = TypeVar("T")

PARTS_PER_THREAD: Final = 8
"""Parts differ in how much work they are: with several each, no thread waits long for another."""
SMALLEST_PART: Final = 256


def thread_count() -> int:
    """How many cores this process may use; `OMP_NUM_THREADS`, where it is set, limits our own threads as it does the libraries'."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return min(cores, int(limit)) if limit.isdigit() and int(limit) > 0 else cores


def by_parts(work: Callable[[Any], T], rows: np.ndarray) -> list[T]:
    """`work(part)` of consecutive parts of `rows`, in their order. What `work` gives for a row must not depend on the others."""
    threads = thread_count()
    parts = np.array_split(rows, max(1, min(threads * PARTS_PER_THREAD, len(rows) // SMALLEST_PART)))
    if threads == 1 or len(parts) == 1:
        return [work(part) for part in parts]
    with ThreadPoolExecutor(threads, thread_name_prefix="rows") as pool:
        return list(pool.map(work, parts))
