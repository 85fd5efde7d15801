"""`make demo`: open within minutes, closed without a trace."""

import json
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import Shop, close_shop, open_shop, wait_until
from tests.servers import ROOT

pytestmark = [pytest.mark.xdist_group("shop"), pytest.mark.django_db]


def _get(url: str) -> tuple[int, bytes]:
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.status, response.read()


def test_everything_that_the_demo_announces_answers(shop: Shop) -> None:
    status, body = _get(f"{shop.url}/readyz")
    assert (status, json.loads(body)["status"]) == (200, "ok")
    announced = [word for line in shop.lines for word in line.split() if word.startswith(shop.url)]
    assert len(announced) >= 4
    for address in announced:
        assert _get(address)[0] == 200, address


def test_logins_and_a_write_key_are_printed(shop: Shop) -> None:
    printed = "".join(shop.lines)
    assert shop.write_key in printed
    assert shop.logins
    for login in shop.logins.values():
        assert login["email"] in printed
        assert login["password"] in printed


def test_web_and_worker_are_the_runtime_role(shop: Shop) -> None:
    users = shop.query(
        "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert users == [("etalage_app",)]


def test_metrics_add_up_over_processes(shop: Shop) -> None:
    def served() -> float:
        lines = _get(f"{shop.url}/metrics")[1].decode().splitlines()
        name = "django_http_requests_before_middlewares_total "
        return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))

    before = served()
    for _ in range(20):
        _get(f"{shop.url}/healthz")
    assert served() >= before + 20


@pytest.fixture
def closing(tmp_path: Path, django_db_setup: None) -> Iterator[Shop]:
    shop = open_shop(tmp_path, "shop_closing", "--shoppers", "20", "--days", "5")
    yield shop
    shop.process.kill()
    shop.process.communicate()


@pytest.mark.parametrize("moment", ["Furnishing the shop", "Letting shoppers shop"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ended_while_it_prepares_it_leaves_no_process(
    closing: Shop, moment: str, number: signal.Signals
) -> None:
    wait_until(closing, moment)
    family = psutil.Process(closing.process.pid)
    while not (children := family.children(recursive=True)):
        assert closing.process.poll() is None
    closing.process.send_signal(number)
    output = closing.process.communicate(timeout=60)[0]
    assert closing.process.returncode == 0, output
    assert "Stopped." in output
    assert psutil.wait_procs(children, timeout=10)[1] == []


def test_ended_it_leaves_no_process_and_starts_again_in_seconds(
    tmp_path: Path, django_db_setup: None
) -> None:
    first = open_shop(tmp_path, "shop_twice", "--shoppers", "20", "--days", "5")
    wait_until(first, "Ctrl-C stops everything")
    children = psutil.Process(first.process.pid).children(recursive=True)
    assert len(children) >= 4  # Granian and its workers, Celery's worker and beat
    close_shop(first)
    assert first.process.returncode == 0
    assert psutil.wait_procs(children, timeout=10)[1] == []

    # The same shop: its database is there, and its folder.
    again = subprocess.Popen(
        first.process.args,
        cwd=ROOT,
        env=first.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    second = Shop(first.url, first.data_dir, first.environment, again)
    try:
        wait_until(second, "Ctrl-C stops everything", seconds=60)
        assert not any("Training" in line for line in second.lines)
    finally:
        close_shop(second)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        make = subprocess.run(
            ["make", "--no-print-directory", "demo", f"PORT={port}"],
            cwd=ROOT, env={**os.environ, "ETALAGE_DATA_DIR": str(tmp_path)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert make.returncode != 0
    assert f"Port {port} is taken" in make.stderr
    assert f"PORT={port + 1} make demo" in make.stderr


def test_nothing_is_written_into_the_home_folder(shop: Shop) -> None:
    home = Path(shop.environment["HOME"])
    assert list(home.rglob("*")) == []
    assert {path.name for path in shop.data_dir.iterdir()} >= {"demo.json", "logs", "models", "static"}
