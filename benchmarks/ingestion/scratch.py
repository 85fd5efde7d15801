"""A database and a keyspace of the benchmark's own on the installation's servers, gone afterwards, and a web server
on them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis
from django.conf import settings
from psycopg import sql

from config.processes import end_with_parent, free_port
from config.serving import web_command

READY_SECONDS = 60.0
DROP_SECONDS = 60.0


class CannotMeasure(RuntimeError):
    """Something that the benchmark needs is not there; the message says what."""


def _with_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@contextmanager
def scratch_database(runtime_url: str) -> Iterator[dict[str, str]]:
    """A migrated, empty database and an empty keyspace of Valkey, beside the installation's. Gives the environment of
    processes that use them."""
    owner_url = settings.ETALAGE_DATABASE_OWNER_URL
    name = f"etalage_bench_{os.getpid()}"
    owner = urlsplit(owner_url).username or ""
    with psycopg.connect(owner_url, autocommit=True) as connection:
        try:
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(owner))
            )
        except psycopg.errors.InsufficientPrivilege as error:
            raise CannotMeasure(
                f"The role {owner} may not make a database: ALTER ROLE {owner} CREATEDB."
            ) from error
    environment = {
        **os.environ,
        "DATABASE_URL": _with_database(runtime_url, name),
        "DATABASE_OWNER_URL": _with_database(owner_url, name),
        "LOG_LEVEL": "ERROR",
        "PYTHONWARNINGS": "ignore",
    }
    try:
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--no-input", "-v", "0"],
            cwd=settings.BASE_DIR,
            env=environment,
            check=True,
        )
        with _scratch_keyspace(settings.REDIS_URL) as environment["REDIS_URL"]:
            yield environment
    finally:
        _drop(owner_url, name)


def _drop(owner_url: str, name: str) -> None:
    """Even where autovacuum is at work in it, which a role that is no superuser may not end: it ends by itself."""
    statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    until = time.monotonic() + DROP_SECONDS
    with psycopg.connect(owner_url, autocommit=True) as connection:
        while True:
            try:
                connection.execute(statement)
            except psycopg.errors.InsufficientPrivilege:
                if time.monotonic() > until:
                    sys.stderr.write(f"The database {name} is left: drop it when autovacuum has left it.\n")
                    return
                time.sleep(0.5)
            else:
                return


@contextmanager
def _scratch_keyspace(url: str) -> Iterator[str]:
    """A numbered database of Valkey in which nothing is, emptied afterwards: keys of stores are numbered by the scratch
    database, and would meet the installation's."""
    for number in range(15, 0, -1):
        candidate = _with_database(url, str(number))
        with redis.Redis.from_url(candidate, socket_timeout=30) as client:
            try:
                is_free = client.dbsize() == 0
            except redis.ResponseError:  # Fewer databases than the usual sixteen.
                continue
            except redis.RedisError as error:
                raise CannotMeasure(f"Valkey cannot be reached: {error}.") from error
            if is_free:
                try:
                    yield candidate
                finally:
                    client.flushdb()
                return
    raise CannotMeasure("All numbered databases of Valkey hold something: the benchmark needs an empty one.")


@contextmanager
def web_server(
    environment: dict[str, str], processes: int, threads: int, application: str = "config.wsgi:application"
) -> Iterator[tuple[str, int, int]]:
    """Granian as `make demo` runs it. Gives host, port and process id."""
    port = free_port()
    command = web_command(host="127.0.0.1", port=port, processes=processes, threads=threads)
    server = subprocess.Popen(
        [*command[:-1], "--log-level=error", application],
        cwd=settings.BASE_DIR,
        env={**environment, "WEB_THREADS": str(threads)},
        preexec_fn=end_with_parent(),
    )
    try:
        _wait_for(f"http://127.0.0.1:{port}/healthz", server)
        yield "127.0.0.1", port, server.pid
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        if server.poll() is not None:
            raise CannotMeasure(f"The web server ended with {server.returncode}.")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise CannotMeasure(f"{url} did not answer within {READY_SECONDS:.0f} s.")
