"""Clients that announce a body and do not send it: they may not hold the threads that everybody shares.

Granian hands a request to one of its threads as soon as the headers are there, and reading the body then waits for
the client, for ever if need be; a read cannot be given up. So the server has more threads than may work at once: a
body is read first, and only a request that is whole takes one of the places of those who work. Where too many wait
for their clients, further bodies are refused unread, and requests without a body are served all the same. Clients that
are gone are found out by the kernel (`config.dead_peers`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from queue import Empty, SimpleQueue
from typing import Any, Final

from config.dead_peers import notice_dead_peers
from config.serving import WAITING_THREADS

# As much as a batch of events may have. What is longer (uploads of people who are logged in) is read as it comes.
FIRST_BYTES: Final = 4 * 1024 * 1024 + 1
_BUSY: Final = json.dumps(
    {"code": "unavailable", "message": "Too many clients are sending their requests slowly. Try again."}
).encode()

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class SlowBodies:
    """WSGI middleware. `threads` requests are worked on at once, bodies of `waiting` more may be waited for."""

    def __init__(self, application: Application, *, threads: int, waiting: int = WAITING_THREADS) -> None:
        self.application = application
        self._has_begun = False
        # Queues of tokens: semaphores made in C.
        self._working: SimpleQueue[None] = SimpleQueue()
        self._reading: SimpleQueue[None] = SimpleQueue()
        for _ in range(threads):
            self._working.put(None)
        for _ in range(waiting):
            self._reading.put(None)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not self._has_begun:
            # Not earlier: the server listens only once it has loaded the application.
            self._has_begun = True
            notice_dead_peers()
        length = environ.get("CONTENT_LENGTH") or ""
        if length != "0" and (length or "HTTP_TRANSFER_ENCODING" in environ):
            try:
                self._reading.get_nowait()
            except Empty:
                return _refuse(start_response)
            try:
                environ["wsgi.input"] = _Input(environ["wsgi.input"], length)
            finally:
                self._reading.put(None)
        self._working.get()
        try:
            return self.application(environ, start_response)
        finally:
            self._working.put(None)


def _refuse(start_response: Callable[..., Any]) -> list[bytes]:
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(_BUSY))),
        ("Retry-After", "2"),
    ]
    start_response("503 Service Unavailable", headers)
    return [_BUSY]


class _Input:
    """`wsgi.input` whose first FIRST_BYTES have been waited for, often all there is."""

    def __init__(self, stream: Any, length: str) -> None:
        wanted = min(int(length), FIRST_BYTES) if length.isdecimal() else FIRST_BYTES
        pieces = []
        while wanted and (piece := stream.read(wanted)):
            pieces.append(piece)
            wanted -= len(piece)
        self._first = BytesIO(b"".join(pieces))
        self._rest = stream

    def read(self, size: int = -1) -> bytes:
        if size is None or size < 0:
            return self._first.read() + self._rest.read()
        return self._first.read(size) or (self._rest.read(size) if size else b"")

    def readline(self, size: int = -1) -> bytes:
        line = self._first.readline(size)
        if line.endswith(b"\n") or 0 <= size <= len(line):
            return line
        return line + self._rest.readline(*([size - len(line)] if size >= 0 else []))

    def readlines(self, hint: int = -1) -> list[bytes]:
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")
