"""A shop's web server of another origin than Etalage's: a page, and scripts as a build would have put them there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PAGE = b"""<!doctype html><html lang="en"><title>Tents</title><link rel="icon" href="data:,"><body>
<main><h1>Tents</h1><a href="/other">Other page</a></main><script src="/scripts/index.js"></script></body></html>"""


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """The browser's side is what is tested."""

    def do_GET(self) -> None:
        if self.path.startswith("/scripts/"):
            self.path = self.path.removeprefix("/scripts")
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Browsers hang up when a page is left."""


@contextmanager
def serve_shop(scripts: Path) -> Iterator[str]:
    """The origin of a shop, with `scripts` under /scripts/ and the same page everywhere else."""
    server = _Server(("127.0.0.1", 0), partial(_Handler, directory=str(scripts)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
