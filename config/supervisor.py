"""Runs commands one after the other and servers side by side, and ends all of them when it is told to end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from config.processes import end_with_parent

POLL_SECONDS = 0.1
GRACE_SECONDS = 20.0
RESTARTS_PER_MINUTE = 3


class Interrupted(Exception):
    """Somebody asked us to end. Raised between polls only, so that a child is never started and then
    forgotten.
    """


class ChildFailed(Exception):
    """A command that ended with an error, or a server that would not stay up; the message says which and
    shows the end of its log.
    """


@dataclass
class Server:
    """A process that should run until we end it."""

    name: str
    command: Sequence[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started_at: list[float] = field(default_factory=list)


class Supervisor:
    """Children stand in sessions of their own, so that Ctrl-C reaches them through us, in order, once.

    Ends on SIGINT, SIGTERM and SIGHUP, and when started by `make` also when that is gone. On Linux, children
    end even if we are killed with SIGKILL.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = {**os.environ, **environment}
        self.servers: list[Server] = []
        self._is_interrupted = False
        self._command: subprocess.Popen[bytes] | None = None
        self._parent = os.getppid() if "MAKELEVEL" in os.environ else None

    def listen(self) -> None:
        """Take the signals over; from here on they only leave a mark."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._interrupt)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._is_interrupted = True

    def check(self) -> None:
        """Raises Interrupted when somebody asked us to end."""
        if self._parent is not None and os.getppid() != self._parent:
            self._is_interrupted = True
        if self._is_interrupted:
            raise Interrupted

    def run(self, command: Sequence[str], *, name: str) -> None:
        """Run a command to its end, its output on our terminal. Raises ChildFailed, Interrupted."""
        self.check()
        self._command = self._spawn(command, None)
        while (status := self._command.poll()) is None:
            self.check()
            time.sleep(POLL_SECONDS)
        self._command = None
        if status:
            raise ChildFailed(f"{name} failed with status {status}.")

    def serve(self, server: Server) -> None:
        """Start a server and keep it."""
        self.check()
        server.log.parent.mkdir(parents=True, exist_ok=True)
        self.servers.append(server)
        self._start(server)

    def _start(self, server: Server) -> None:
        server.started_at = [*server.started_at, time.monotonic()]
        with server.log.open("ab") as log:
            server.process = self._spawn(server.command, log)

    def _spawn(self, command: Sequence[str], log: IO[bytes] | None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=self.environment,
            start_new_session=True,
            preexec_fn=end_with_parent(signal.SIGTERM),
        )

    def wait_until(self, condition: Callable[[], bool], *, seconds: float) -> bool:
        """Whether the condition came true in time. Raises ChildFailed, Interrupted."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            self.watch_once()
        return True

    def watch(self) -> None:
        """Keep the servers up until we are asked to end. Raises ChildFailed, Interrupted."""
        while True:
            self.watch_once()

    def watch_once(self) -> None:
        self.check()
        for server in self.servers:
            if server.process is not None and server.process.poll() is not None:
                self._restart(server)
        time.sleep(POLL_SECONDS)

    def _restart(self, server: Server) -> None:
        recent = [start for start in server.started_at if start > time.monotonic() - 60]
        if len(recent) > RESTARTS_PER_MINUTE:
            tail = "\n".join(server.log.read_text(errors="replace").splitlines()[-15:])
            raise ChildFailed(
                f"{server.name} ended {len(recent)} times within a minute. The end of {server.log}:\n{tail}"
            )
        print(
            f"{server.name} ended unexpectedly and is started again; see {server.log}",
            file=sys.stderr,
            flush=True,
        )
        self._start(server)

    def shut_down(self) -> None:
        """End every child: asked first, then forced after GRACE_SECONDS. Whole process groups, so that no
        grandchild stays behind.
        """
        processes = [server.process for server in reversed(self.servers)] + [self._command]
        running = [process for process in processes if process is not None]
        for process in running:
            # Only the leader is asked: Granian and Celery end their own workers in order.
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        while any(process.poll() is None for process in running) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        for process in running:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        self.servers.clear()
        self._command = None
