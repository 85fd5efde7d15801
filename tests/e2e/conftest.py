"""A whole shop for browser tests: the real demo, with its worker and beat, on a copy of the test database."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
import pytest

from config.processes import free_port
from tests.servers import ROOT, SERVERS, worker_id

SHOPPERS, DAYS = 150, 30
START_SECONDS = 600
OPEN = "Ctrl-C stops everything"
VALKEY_INDEX = 60


@dataclass
class Shop:
    """`logins`: by role, {"email", "password"}. `lines`: what the demo printed so far."""

    url: str
    data_dir: Path
    environment: dict[str, str]
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    @property
    def known(self) -> dict[str, object]:
        return json.loads((self.data_dir / "demo.json").read_text())

    @property
    def logins(self) -> dict[str, dict[str, str]]:
        return {login["role"]: login for login in self.known["logins"]}  # type: ignore[attr-defined]

    @property
    def write_key(self) -> str:
        return str(self.known["write_key"])

    def manage(self, *command: str) -> str:
        """Run `manage.py` against this shop and return what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def query(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        """Rows of this shop's database, read as its owner."""
        address = self.environment["DATABASE_OWNER_URL"].replace("postgres://", "postgresql://")
        with psycopg.connect(address) as connection:
            return connection.execute(statement, parameters).fetchall()


def open_shop(data_dir: Path, database: str, *options: str) -> Shop:
    """Start the demo; it is ready once `wait_until_open` has returned."""
    SERVERS.create_database(database)
    home = data_dir / "home"
    home.mkdir(parents=True, exist_ok=True)
    port = free_port()
    environment = {
        **os.environ,
        **SERVERS.environment(database, VALKEY_INDEX, data_dir),
        "DATABASE_URL": SERVERS.database_url(database, "etalage_app"),
        "HOME": str(home),
    }
    environment.pop("PYTEST_XDIST_WORKER", None)
    command = [sys.executable, "manage.py", "demo", "--port", str(port), *options]
    return _start(command, f"http://127.0.0.1:{port}", data_dir, {**environment, "PORT": str(port)})


def reopen_shop(shop: Shop) -> Shop:
    """The same shop again, on the database and the folder that the first left."""
    return _start(shop.process.args, shop.url, shop.data_dir, shop.environment)


def _start(command: list[str], url: str, data_dir: Path, environment: dict[str, str]) -> Shop:
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
    )
    return Shop(url, data_dir, environment, process)


def wait_until(shop: Shop, words: str, *, seconds: float = START_SECONDS) -> None:
    """Read what the demo prints until a line has these words. Fails when it ends first, or takes too long."""
    timer = threading.Timer(seconds, shop.process.kill)
    timer.start()
    assert shop.process.stdout is not None
    try:
        for line in shop.process.stdout:
            shop.lines.append(line)
            if words in line:
                return
    finally:
        timer.cancel()
    pytest.fail(f"The demo ended before it said {words!r}:\n{''.join(shop.lines[-40:])}")


@dataclass
class Closing:
    """How the demo ended: what it printed last, its exit status, and the processes that it left behind."""

    output: str
    status: int
    children: list[psutil.Process]
    left_behind: list[psutil.Process]


def close(shop: Shop, number: signal.Signals = signal.SIGTERM) -> Closing:
    """Ask the demo to end and wait for it."""
    children = psutil.Process(shop.process.pid).children(recursive=True)
    shop.process.send_signal(number)
    output = shop.process.communicate(timeout=90)[0]
    return Closing(output, shop.process.returncode, children, psutil.wait_procs(children, timeout=10)[1])


@pytest.fixture(scope="session")
def closed_shop(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None) -> tuple[Shop, Closing]:
    """The demo, small, opened for the first time and closed again."""
    shop = open_shop(
        tmp_path_factory.mktemp("shop"),
        f"shop_{worker_id()}",
        "--shoppers",
        str(SHOPPERS),
        "--days",
        str(DAYS),
    )
    try:
        wait_until(shop, OPEN)
        return shop, close(shop)
    finally:
        shop.process.kill()
        shop.process.wait()


@pytest.fixture(scope="session")
def shop(closed_shop: tuple[Shop, Closing]) -> Iterator[Shop]:
    """The demo, small, open for business. Tests share it: each makes the shoppers and events that it speaks of.

    Mark its tests `@pytest.mark.alone`, so that one process opens one shop.
    """
    first, _ = closed_shop
    shop = reopen_shop(first)
    try:
        wait_until(shop, OPEN)
        # Nobody reads on, and a full pipe would stop the demo.
        reader = threading.Thread(target=shop.process.communicate)
        reader.start()
        yield shop
    finally:
        shop.process.send_signal(signal.SIGTERM)
        shop.process.wait(90)
        reader.join()
