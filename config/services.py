"""The embedded PostgreSQL and Valkey of one installation: started, stopped and asked after as one.

Where `DATABASE_URL` or `REDIS_URL` stand in the environment, that server is the operator's: nothing here
starts or stops it. Addresses with their passwords stand in `.etalage/services.json` (mode 600), from which
`config.settings` takes its defaults.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psycopg

from config import keys
from config.postgres import PostgresServer, Role
from config.processes import ServiceError, free_port, port_is_free
from config.valkey import ValkeyServer

DATABASE = "etalage"
OWNER_ROLE = "etalage_owner"
RUNTIME_ROLE = "etalage_app"
START_ATTEMPTS = 3

State = Literal["running", "stopped", "external"]


@dataclass(frozen=True)
class ServiceStatus:
    """`state` "external": the address comes from the environment and the server is not ours to start or
    stop.
    """

    name: str
    state: State
    port: int | None = None
    pid: int | None = None
    directory: str = ""


@dataclass(frozen=True)
class Services:
    """The embedded servers of the installation in `data_dir` (`.etalage/`)."""

    data_dir: Path

    @property
    def path(self) -> Path:
        return self.data_dir / "services.json"

    def start(self) -> list[str]:
        """Start what does not run yet and write `services.json`. Returns the names of those that this call
        started. Raises ServiceError.
        """
        secrets = keys.ensure(self.data_dir)
        started = []
        with self._lock():
            known = self._read()
            if not os.environ.get("DATABASE_URL"):
                port, is_new = self._start_postgres(secrets, known.get("postgres", {}).get("port"))
                known |= _database_addresses(secrets, port)
                started += ["postgres"] if is_new else []
            if not os.environ.get("REDIS_URL"):
                port, is_new = self._start_valkey(secrets, known.get("valkey", {}).get("port"))
                known |= {"valkey": {"port": port}, "REDIS_URL": self._valkey(secrets).url(port)}
                started += ["valkey"] if is_new else []
            keys.write_private(self.path, json.dumps(known, indent=2) + "\n")
        return started

    def stop(self, names: list[str] | None = None) -> list[str]:
        """Stop the embedded servers (or only those named) and return the names of those that ran."""
        stopped: list[str] = []
        if not self.path.exists():
            return stopped
        secrets = keys.read(self.data_dir)
        with self._lock():
            valkey, port = self._valkey(secrets), self._read().get("valkey", {}).get("port")
            if (names is None or "valkey" in names) and valkey.pid(port) is not None:
                valkey.stop(port)
                stopped.append("valkey")
            postgres = self._postgres(secrets)
            if (names is None or "postgres" in names) and postgres.pid() is not None:
                postgres.stop()
                stopped.append("postgres")
        return stopped

    def status(self) -> list[ServiceStatus]:
        """How each server stands now; asks the servers, not the file."""
        secrets, known = keys.read(self.data_dir), self._read()
        statuses = []
        if os.environ.get("DATABASE_URL"):
            statuses.append(ServiceStatus("postgres", "external"))
        elif not known:
            statuses.append(ServiceStatus("postgres", "stopped"))
        else:
            postgres = self._postgres(secrets)
            pid = postgres.pid()
            statuses.append(
                ServiceStatus(
                    "postgres", "running" if pid else "stopped", postgres.port(), pid, str(postgres.directory)
                )
            )
        if os.environ.get("REDIS_URL"):
            statuses.append(ServiceStatus("valkey", "external"))
        elif not known:
            statuses.append(ServiceStatus("valkey", "stopped"))
        else:
            valkey, port = self._valkey(secrets), known.get("valkey", {}).get("port")
            pid = valkey.pid(port)
            statuses.append(
                ServiceStatus(
                    "valkey",
                    "running" if pid else "stopped",
                    port if pid else None,
                    pid,
                    str(valkey.directory),
                )
            )
        return statuses

    def _read(self) -> dict[str, Any]:
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Two starts at once would both find the port free."""
        with (self.data_dir / "services.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _postgres(self, secrets: dict[str, str]) -> PostgresServer:
        return PostgresServer(
            self.data_dir.resolve(),
            secrets.get("POSTGRES_PASSWORD", ""),
            installation=secrets.get("INSTALLATION", ""),
        )

    def _valkey(self, secrets: dict[str, str]) -> ValkeyServer:
        return ValkeyServer(self.data_dir.resolve(), secrets.get("VALKEY_PASSWORD", ""))

    def _start_postgres(self, secrets: dict[str, str], last_port: int | None) -> tuple[int, bool]:
        server = self._postgres(secrets)
        server.initialise()
        running = server.port()
        port = running or _on_a_free_port(server.start, last_port)
        owner = Role(
            OWNER_ROLE, secrets["DATABASE_OWNER_PASSWORD"], can_create_databases=True, member_of=RUNTIME_ROLE
        )
        try:
            server.ensure_roles(port, Role(RUNTIME_ROLE, secrets["DATABASE_PASSWORD"]), owner)
            server.ensure_database(port, DATABASE, OWNER_ROLE)
        except psycopg.OperationalError as error:
            raise ServiceError(
                f"PostgreSQL in {server.directory} runs on port {port} but refuses us: {error}"
            ) from error
        return port, running is None

    def _start_valkey(self, secrets: dict[str, str], last_port: int | None) -> tuple[int, bool]:
        server = self._valkey(secrets)
        if last_port and server.pid(last_port) is not None:
            return last_port, False
        return _on_a_free_port(server.start, last_port), True


def _on_a_free_port(start: Callable[[int], object], preferred: int | None) -> int:
    """Call `start(port)` on the preferred port if it is free, else on another; again when somebody else
    was quicker.
    """
    port = preferred if preferred and port_is_free(preferred) else free_port()
    for attempt in range(START_ATTEMPTS):
        try:
            start(port)
            return port
        except ServiceError:
            if attempt == START_ATTEMPTS - 1 or port_is_free(port):
                raise
            port = free_port()
    raise AssertionError("unreachable")


def _database_addresses(secrets: dict[str, str], port: int) -> dict[str, Any]:
    def address(role: str, password: str) -> str:
        return f"postgres://{role}:{password}@127.0.0.1:{port}/{DATABASE}"

    return {
        "postgres": {"port": port},
        "DATABASE_URL": address(RUNTIME_ROLE, secrets["DATABASE_PASSWORD"]),
        "DATABASE_OWNER_URL": address(OWNER_ROLE, secrets["DATABASE_OWNER_PASSWORD"]),
    }
