"""Buffers that a thread uses again for every query: memory as long as a catalogue is neither asked for nor cleared each time."""

from __future__ import annotations

import threading

import numpy as np

from algorithms.types import Float32


class _Buffers(threading.local):
    def __init__(self) -> None:
        self.by_use: dict[str, Float32] = {}


_buffers = _Buffers()


def zeros(n: int, use: str = "sums") -> Float32:
    """(≥ n,) zeros, this thread's until it asks again for the same `use`. Whoever writes into them must leave zeros behind."""
    buffer = _buffers.by_use.get(use)
    if buffer is None or len(buffer) < n:
        buffer = _buffers.by_use[use] = np.zeros(max(n, 1024), np.float32)
    return buffer
