"""Clients that announce a body and do not send it: they may not hold the threads that everybody shares.

Granian hands a request to one of its few threads as soon as the headers are there, and reading the body then waits
for the client, for ever if need be. Some threads may wait so. When all of those do, further bodies are read by
threads of their own, and a request whose body is not there in a moment is given up, which frees its thread: most
bodies arrive with their headers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, Final

# Of the threads of a process, by default 8, that may wait for clients without a limit of time.
DIRECT_READS: Final = 4
# How long the others wait for a whole body, and how many bodies may be waited for at once.
BODY_SECONDS: Final = 0.5
SIDE_READS: Final = 256


class BodyTooSlow(OSError):
    """The client did not send its body in time. Django makes an UnreadablePostError of it, as of one that hung up."""


class SlowBodies:
    """WSGI middleware that gives applications a `wsgi.input` whose reads end."""

    def __init__(
        self,
        application: Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]],
        *,
        direct_reads: int = DIRECT_READS,
        side_reads: int = SIDE_READS,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self.application = application
        self.body_seconds = body_seconds
        self._direct = threading.BoundedSemaphore(direct_reads)
        self._side = threading.BoundedSemaphore(side_reads)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["wsgi.input"] = _Input(environ["wsgi.input"], self)
        return self.application(environ, start_response)

    def read(self, read: Callable[..., bytes], *size: int) -> bytes:
        """`read(*size)`, here or beside. Raises BodyTooSlow."""
        if self._direct.acquire(blocking=False):
            try:
                return read(*size)
            finally:
                self._direct.release()
        if not self._side.acquire(blocking=False):
            raise BodyTooSlow("Too many clients are sending their bodies slowly.")
        future: Future[bytes] = Future()
        threading.Thread(
            target=self._read_beside, args=(future, read, size), name="slow-body", daemon=True
        ).start()
        try:
            return future.result(self.body_seconds)
        except FutureTimeout:
            raise BodyTooSlow(f"The body was not there after {self.body_seconds:g} seconds.") from None

    def _read_beside(self, future: Future[bytes], read: Callable[..., bytes], size: tuple[int, ...]) -> None:
        """Ends when the body is there or the client hangs up."""
        try:
            body = read(*size)
        except BaseException as error:
            self._side.release()
            future.set_exception(error)
        else:
            self._side.release()
            future.set_result(body)


class _Input:
    """`wsgi.input` of one request."""

    def __init__(self, stream: Any, bodies: SlowBodies) -> None:
        self._stream = stream
        self._bodies = bodies

    def read(self, *size: int) -> bytes:
        return self._bodies.read(self._stream.read, *size)

    def readline(self, *size: int) -> bytes:
        return self._bodies.read(self._stream.readline, *size)

    def readlines(self, *hint: int) -> list[bytes]:
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")
