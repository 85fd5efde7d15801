"""The web application without the consent gate, for one measurement: what the gate costs. It is no setting of the
product, and needs the benchmark's own database."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from config.wsgi import application
from consent.policy import GateEvent, Verdict
from tracking.ingestion import writing

__all__ = ["application"]


class _Unasked:
    """An inquiry that asks nothing, and permits everything."""

    def __init__(self, events: Sequence[GateEvent]) -> None:
        self._events = events

    def verdicts(self) -> list[Verdict]:
        return [Verdict(event.purposes) for event in self._events]


def _ask_nothing(cursors: Any, store_id: int, events: Sequence[GateEvent]) -> _Unasked:
    return _Unasked(events)


if "/etalage_bench_" not in os.environ.get("DATABASE_URL", ""):
    raise RuntimeError("Only the benchmark may run without the consent gate, on a database of its own.")
writing.ask_permissions = _ask_nothing  # type: ignore[assignment]
