"""Packages of other vendors against Etalage as it is run: Granian, HTTP and a database that is committed to."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from accounts import keys
from accounts.models import Scope, Store
from config.processes import end_with_parent, free_port
from tests.clients.line import Line, open_line
from tests.factories import StoreFactory
from tests.servers import ROOT, SERVERS, database_name
from tests.tracking.conftest import make_key

pytest.register_assert_rewrite("tests.clients.shop")
from tests.clients.shop import Shop  # noqa: E402

START_SECONDS = 120
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.clients)


@pytest.fixture(scope="module")
def etalage(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Address of a server on this worker's database, which the module's tests share and commit to."""
    log = tmp_path_factory.mktemp("etalage") / "web.log"
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", url.rpartition(":")[2],
        "--workers", "1", "--blocking-threads", "8", "--no-ws", "--workers-kill-timeout", "10", "config.wsgi:application",
    ]  # fmt: skip
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ.copy(),
            stdout=output,
            stderr=output,
            preexec_fn=end_with_parent(),
        )
    try:
        _wait_for(f"{url}/healthz", server, log)
        with django_db_blocker.unblock():
            yield url
    finally:
        server.terminate()
        server.wait(30)
        with django_db_blocker.unblock():
            connections.close_all()
            SERVERS.create_database(database_name())


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    server.kill()
    pytest.fail(f"Etalage did not start:\n{log.read_text(errors='replace')[-3000:]}")


@pytest.fixture
def line(etalage: str) -> Iterator[Line]:
    """Between the client and Etalage: `line.url` is what the client is pointed at."""
    with open_line(etalage) as line:
        yield line


@pytest.fixture
def shop(etalage: str) -> Shop:
    """A store with a key of each kind, whose shop has declared consent: what is stored is the clients' affair."""
    keys.forget_all()
    store: Store = StoreFactory()
    return Shop(store, make_key(store)[1], make_key(store, Scope.WRITE_PUBLIC)[1])
