from __future__ import annotations

from time import perf_counter


class DeadlineExceeded(Exception):
    """The shelf's time is up: what is ready without further work must do."""


class Deadline:
    """Counts from its making. Stages call `check` between pieces of work; nothing is interrupted."""

    __slots__ = ("_end", "_started", "milliseconds")

    def __init__(self, milliseconds: float) -> None:
        self._started = perf_counter()
        self._end = self._started + milliseconds / 1000
        self.milliseconds = milliseconds

    def with_milliseconds(self, milliseconds: float) -> Deadline:
        """The same start with another length."""
        other = Deadline(milliseconds)
        other._started, other._end = self._started, self._started + milliseconds / 1000
        return other

    @property
    def remaining_seconds(self) -> float:
        return max(0.0, self._end - perf_counter())

    @property
    def elapsed_milliseconds(self) -> float:
        return (perf_counter() - self._started) * 1000

    def check(self) -> None:
        """Raises DeadlineExceeded once the time is up."""
        if perf_counter() >= self._end:
            raise DeadlineExceeded(f"the shelf took longer than its {self.milliseconds:g} ms")
