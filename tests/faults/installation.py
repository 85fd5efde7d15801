"""A whole installation of the fault tests' own, of real processes: a PostgreSQL that keeps what it commits, a
Valkey, web servers started with the product's own options, and a Celery worker.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg.rows import tuple_row

from config.postgres import PostgresServer
from config.processes import end_with_parent, free_port
from config.serving import web_command
from config.valkey import ValkeyServer
from tests.servers import OWNER_ROLE, PASSWORD, POSTGRES_PARAMETERS, ROOT, TestServers

DATABASE = "faults"
# As in production: here it matters that what was committed outlives a crash.
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
# Limits of waiting are generous: a busy machine is no fault of ours.
START_SECONDS = 180.0


def wait_until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """The first true answer of `condition`. Fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        if answer := condition():
            return answer
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)


@dataclass
class DurableServers(TestServers):
    """PostgreSQL and Valkey over a copy of the migrated template, to be killed and started again."""

    __test__ = False

    parameters: dict[str, str] = field(default_factory=lambda: dict(DURABLE))

    @property
    def postgres(self) -> PostgresServer:
        return PostgresServer(self.home, PASSWORD, parameters={**POSTGRES_PARAMETERS, **self.parameters})

    @property
    def valkey(self) -> ValkeyServer:
        return ValkeyServer(self.home, PASSWORD)

    @property
    def postgres_process(self) -> subprocess.Popen[bytes]:
        return self.processes[0]

    @property
    def valkey_process(self) -> subprocess.Popen[bytes]:
        return self.processes[1]

    def end_postgres(self, number: signal.Signals) -> None:
        """SIGINT: fast shutdown; SIGQUIT: immediate, which is a crash for the data."""
        self.postgres_process.send_signal(number)
        self.postgres_process.wait(30)

    def start_postgres(self) -> None:
        process = self.postgres.start(self.postgres_port, attached=True)
        assert process is not None
        self.processes[0] = process

    def start_valkey(self) -> None:
        process = self.valkey.start(self.valkey_port, attached=True)
        assert process is not None
        self.processes[1] = process


@dataclass(frozen=True)
class Shop:
    """One store, and the secret key of its server."""

    store_id: int
    key: str


@dataclass
class Installation:
    """`query` reads as the owner of the tables, past everything of ours."""

    servers: DurableServers
    data_dir: Path

    def environment(self, **extra: str) -> dict[str, str]:
        environment = {**os.environ, **self.servers.environment(DATABASE, 0, self.data_dir)}
        environment.pop("PYTEST_XDIST_WORKER", None)
        return {**environment, "LOG_FORMAT": "console", "PYTHONUNBUFFERED": "1", **extra}

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            self.servers.database_url(DATABASE, OWNER_ROLE).replace("postgres://", "postgresql://"),
            autocommit=True,
            connect_timeout=5,
            row_factory=tuple_row,
        )

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def furnish(self, stores: int) -> Iterator[Shop]:
        """Stores, each for one test."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.furnish", str(stores)],
            cwd=ROOT, env=self.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return iter([Shop(**json.loads(line)) for line in done.stdout.splitlines()])

    @contextmanager
    def web(self, *, processes: int = 2, threads: int = 8, **environment: str) -> Iterator[Web]:
        """A web server; whatever became of it, nothing of it is left afterwards."""
        web = Web(self, processes, threads, environment)
        web.start()
        try:
            yield web
        finally:
            web.kill()

    @contextmanager
    def worker(self) -> Iterator[Worker]:
        """A Celery worker with beat."""
        worker = Worker(self)
        worker.start()
        try:
            yield worker
        finally:
            worker.kill()


@dataclass
class Web:
    """Granian with our options, a main process and its workers."""

    installation: Installation
    processes: int
    threads: int
    extra: dict[str, str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.installation.data_dir / f"web-{self.port}.log"

    @property
    def main(self) -> subprocess.Popen[bytes]:
        assert self.process is not None
        return self.process

    def start(self) -> None:
        metrics = self.installation.data_dir / f"metrics-{self.port}"
        metrics.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            begins = log.tell()
            self.process = subprocess.Popen(
                web_command(host="127.0.0.1", port=self.port, processes=self.processes, threads=self.threads),
                cwd=ROOT,
                env=self.installation.environment(
                    PROMETHEUS_MULTIPROC_DIR=str(metrics), WEB_THREADS=str(self.threads), **self.extra
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=end_with_parent(signal.SIGKILL),
            )
        self.wait_for_workers(self.processes, begins)

    def wait_for_workers(self, count: int, begins: int = 0) -> None:
        def are_there() -> bool:
            assert self.main.poll() is None, self.tail()
            return self.log.read_bytes()[begins:].count(b"] Started worker-") >= count

        wait_until(are_there, START_SECONDS, f"{count} workers of the web server")

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.main.pid).children()

    def get(self, path: str, timeout_seconds: float = 10.0) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_seconds)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def readiness(self) -> dict[str, Any]:
        status, body = self.get("/readyz")
        return {"code": status, **json.loads(body)}

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels, over all processes; 0 where there is none."""
        from prometheus_client.parser import text_string_to_metric_families

        status, body = self.get("/metrics")
        assert status == 200, body[:2000]
        return sum(
            sample.value
            for family in text_string_to_metric_families(body.decode())
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])

    def kill(self) -> None:
        _kill_group(self.process)


@dataclass
class Worker:
    """One Celery worker process with one task process, and beat in it."""

    installation: Installation
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.installation.data_dir / "worker.log"

    def start(self) -> None:
        command = (
            "celery -A config worker --beat --pidfile= --concurrency 1 --without-gossip --without-mingle"
        )
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command.split()],
                cwd=ROOT,
                env=self.installation.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=end_with_parent(signal.SIGKILL),
            )

    def kill(self) -> None:
        """kill -9, of the whole family."""
        _kill_group(self.process)


def _kill_group(process: subprocess.Popen[bytes] | None) -> None:
    if process is None:
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait(10)
