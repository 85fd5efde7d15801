"""Whether this process knows that the database takes nothing at the moment.

Without it every request would wait for a connection until its own time is up, in a thread that then is missing
for everybody else. So after a failure requests are refused at once, and now and then one goes through to see
whether the database is back.
"""

from __future__ import annotations

import threading
import time
from typing import Final

# Between a failure and the next probe.
PAUSE_SECONDS: Final = 0.5
# A probe that has not come back in this time is believed lost, and the next goes out.
PROBE_SECONDS: Final = 4.0


class Outage:
    """Shared by the threads of a process. `stall_seconds`: a write that takes longer is no slow write any more."""

    def __init__(self, *, stall_seconds: float) -> None:
        self.stall_seconds = stall_seconds
        self._lock = threading.Lock()
        self._is_failing = False
        self._probe_at = 0.0
        # The thread whose request is the probe, until it has something to write.
        self._prober: int | None = None
        self._writing_since: float | None = None

    def admits(self) -> bool:
        """Whether a request may try. During an outage that is True for one at a time; while a write hangs for
        none, since its end will tell.
        """
        writing_since = self._writing_since
        if writing_since is not None and time.monotonic() - writing_since > self.stall_seconds:
            return False
        if not self._is_failing:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self._probe_at:
                return False
            self._probe_at = now + PROBE_SECONDS
            self._prober = threading.get_ident()
            return True

    def handed_in(self) -> None:
        """What this thread was let in with waits to be written: the end of that will tell."""
        if self._prober == threading.get_ident():
            self._prober = None

    def given_up(self) -> None:
        """The request of this thread ended without a write. If it was the probe, the next one may be it."""
        if self._prober == threading.get_ident():
            with self._lock:
                if self._prober == threading.get_ident():
                    self._prober, self._probe_at = None, time.monotonic()

    def began_writing(self) -> None:
        self._writing_since = time.monotonic()

    def ended_writing(self, *, is_outage: bool) -> None:
        self._writing_since = None
        if is_outage:
            self.failed()
        else:
            self._is_failing = False

    def failed(self) -> None:
        with self._lock:
            self._is_failing = True
            self._prober = None
            self._probe_at = time.monotonic() + PAUSE_SECONDS
