from __future__ import annotations

import threading
from types import TracebackType

from django.db import DatabaseError, connection
from django.utils import timezone

from recommendations.models import TrainingRun

BEAT_SECONDS = 15.0


class Heartbeat:
    """Marks the run as alive every BEAT_SECONDS, from a thread with a connection of its own: a strategy may take long over its fit."""

    def __init__(self, run_id: int) -> None:
        self._run_id = run_id
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"training-heartbeat-{run_id}", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        try:
            while not self._stop.wait(BEAT_SECONDS):
                try:
                    TrainingRun.all_stores.filter(pk=self._run_id).update(heartbeat_at=timezone.now())
                except DatabaseError:
                    connection.close()
        finally:
            connection.close()
