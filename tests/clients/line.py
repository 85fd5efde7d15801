"""The line between a client and Etalage: hands requests on, notes them, and fails as it is told.

A fault comes after the request has been handed on and answered, so Etalage has stored what the client must
believe lost: only a resend that is stored once can pass a test.
"""

from __future__ import annotations

import gzip
import http.client
import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "date", "server"}


@dataclass(frozen=True)
class Fault:
    """What the client gets instead of Etalage's answer; `status` 0: the connection breaks without one."""

    status: int
    retry_after_seconds: int | None = None


LOST = Fault(0)


@dataclass(frozen=True)
class Exchange:
    """One request. `stored_with` is Etalage's own status, `answered_with` what the client got (0: nothing)."""

    at: float
    method: str
    path: str
    headers: dict[str, str]
    body: Any
    stored_with: int
    answered_with: int

    @property
    def message_ids(self) -> list[str]:
        return [message["messageId"] for message in self.body.get("batch", [self.body])]


@dataclass
class Line:
    """`url` stands in for Etalage's. `exchanges` are the requests so far."""

    url: str
    target: str
    faults: deque[Fault] = field(default_factory=deque)
    exchanges: list[Exchange] = field(default_factory=list)
    under_way: set[int] = field(default_factory=set)

    @property
    def posts(self) -> list[Exchange]:
        """Those of which nothing is under way any more: what Etalage has stored is noted a moment later."""
        until = time.monotonic() + 30
        while self.under_way:
            assert time.monotonic() < until, "a request on the line has no end"
            time.sleep(0.01)
        return [exchange for exchange in self.exchanges if exchange.method == "POST"]

    @property
    def statuses(self) -> list[int]:
        """What the client was answered to each POST."""
        return [exchange.answered_with for exchange in self.posts]

    def gap_seconds(self, first: int, second: int) -> float:
        """Time between the answers to two POSTs."""
        return self.posts[second].at - self.posts[first].at


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    line: Line

    def log_message(self, format: str, *arguments: object) -> None:
        """The test reads `exchanges`."""

    def _pass_on(self) -> None:
        body = self._read()
        this = threading.get_ident()
        self.line.under_way.add(this)
        try:
            status, headers, answer = self._ask(body)
            fault = self.line.faults.popleft() if self.command == "POST" and self.line.faults else None
            self._note(body, status, status if fault is None else fault.status)
        finally:
            self.line.under_way.discard(this)
        if fault is None:
            return self._answer(status, headers, answer)
        if fault.status == 0:
            self.close_connection = True
            return None
        # A browser may read a fault, as it may read Etalage's own, only with the CORS headers.
        kept = {name: value for name, value in headers.items() if name.lower().startswith("access-control-")}
        if fault.retry_after_seconds is not None:
            kept["Retry-After"] = str(fault.retry_after_seconds)
        return self._answer(fault.status, kept, b'{"code":"unavailable","message":"The line failed."}')

    do_POST = do_GET = do_OPTIONS = _pass_on  # noqa: N815 (http.server's own names)

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        connection = http.client.HTTPConnection(urlsplit(self.line.target).netloc, timeout=30)
        try:
            connection.request(self.command, self.path, body or None, headers)
            response = connection.getresponse()
            return response.status, dict(response.headers), response.read()
        finally:
            connection.close()

    def _note(self, body: bytes, stored_with: int, answered_with: int) -> None:
        plain = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
        self.line.exchanges.append(
            Exchange(
                time.monotonic(),
                self.command,
                self.path,
                dict(self.headers),
                json.loads(plain) if plain else {},
                stored_with,
                answered_with,
            )
        )

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients hang up when they are done."""


@contextmanager
def open_line(target: str) -> Iterator[Line]:
    line = Line("", target)
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"line": line}))
    line.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield line
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
