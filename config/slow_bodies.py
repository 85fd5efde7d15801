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
from tempfile import TemporaryFile
from typing import IO, Any, Final

from config.dead_peers import notice_dead_peers
from config.serving import WAITING_THREADS

# As much as a batch of events may have, and one more. Longer bodies wait on disk.
FIRST_BYTES: Final = 4 * 1024 * 1024 + 1
# The longest upload there is (a catalogue's file, `catalog.admin.imports`), and the form around it.
MAX_BYTES: Final = 64 * 1024 * 1024

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class SlowBodies:
    """WSGI middleware. `threads` requests are worked on at once, bodies of `waiting` more may be waited for.

    `is_brief` tells of an address that its requests hardly work but wait for a commit that they share: those take no place,
    so that all that the server has threads for are committed together.
    """

    def __init__(
        self,
        application: Application,
        *,
        threads: int,
        waiting: int = WAITING_THREADS,
        is_brief: Callable[[str], bool] = lambda path: False,
    ) -> None:
        self.application = application
        self._is_brief = is_brief
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
                retry = ("Retry-After", "2")
                return _refuse(start_response, "503 Service Unavailable", "unavailable", _BUSY, retry)
            try:
                body = _whole_body(environ["wsgi.input"], length)
            finally:
                self._reading.put(None)
            if body is None:
                return _refuse(start_response, "413 Content Too Large", "too_large", _TOO_LONG)
            with body:
                environ["wsgi.input"] = body
                return self._work(environ, start_response)
        return self._work(environ, start_response)

    def _work(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self._is_brief(environ.get("PATH_INFO", "")):
            return self.application(environ, start_response)
        self._working.get()
        try:
            return self.application(environ, start_response)
        finally:
            self._working.put(None)


_BUSY: Final = "Too many clients are sending their requests slowly. Try again."
_TOO_LONG: Final = f"A request may hold {MAX_BYTES // 1024**2} MiB."


def _refuse(
    start_response: Callable[..., Any], status: str, code: str, message: str, *headers: tuple[str, str]
) -> list[bytes]:
    answer = json.dumps({"code": code, "message": message}).encode()
    start_response(
        status, [("Content-Type", "application/json"), ("Content-Length", str(len(answer))), *headers]
    )
    return [answer]


def _whole_body(stream: Any, length: str) -> IO[bytes] | None:
    """The body once all of it is there, in memory or on disk; None where it is longer than MAX_BYTES."""
    announced = int(length) if length.isdecimal() else None
    if announced is not None and announced > MAX_BYTES:
        return None
    first = b"".join(_pieces(stream, FIRST_BYTES if announced is None else min(announced, FIRST_BYTES)))
    if len(first) < FIRST_BYTES or announced == FIRST_BYTES:
        return BytesIO(first)
    # Closed by who takes it, or here.
    body = TemporaryFile()  # noqa: SIM115
    try:
        body.write(first)
        for piece in _pieces(stream, (MAX_BYTES + 1 if announced is None else announced) - len(first)):
            body.write(piece)
        is_too_long = body.tell() > MAX_BYTES
        body.seek(0)
    except BaseException:
        body.close()
        raise
    if is_too_long:
        body.close()
        return None
    return body


def _pieces(stream: Any, wanted: int) -> Iterator[bytes]:
    """Up to `wanted` bytes, as they come: a read may give less than there is to come."""
    while wanted > 0 and (piece := stream.read(min(wanted, FIRST_BYTES))):
        yield piece
        wanted -= len(piece)
