"""`make demo`: open within minutes, closed without a trace."""

import json
import os
import shutil
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import Closing, Shop, close, open_shop, wait_until
from tests.servers import ROOT

pytestmark = [pytest.mark.alone, pytest.mark.django_db]


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


def test_ended_it_leaves_no_process(closed_shop: tuple[Shop, Closing]) -> None:
    _, closing = closed_shop
    assert len(closing.children) >= 6  # Granian and its two workers, Celery's worker with its pool, beat
    assert (closing.status, closing.left_behind) == (0, [])
    assert "Stopped." in closing.output


def test_the_second_start_does_nothing_twice(closed_shop: tuple[Shop, Closing], shop: Shop) -> None:
    first, _ = closed_shop
    steps = [line.strip() for line in first.lines if line.startswith("▸")]
    assert "▸ Training the recommendations" in steps
    again = [line.strip() for line in shop.lines if line.startswith("▸")]
    assert again == ["▸ Starting PostgreSQL and Valkey", "▸ Opening the shop"]


@pytest.mark.parametrize(
    ("moment", "number"), [("Furnishing the shop", signal.SIGTERM), ("Letting shoppers shop", signal.SIGINT)]
)
def test_ended_while_it_prepares_it_leaves_no_process(
    tmp_path: Path, closed_shop: tuple[Shop, Closing], moment: str, number: signal.Signals
) -> None:
    shutil.copytree(
        closed_shop[0].data_dir / "static", tmp_path / "static"
    )  # collecting them is not the point
    shop = open_shop(tmp_path, "shop_closing", "--shoppers", "20", "--days", "5")
    try:
        wait_until(shop, moment)
        family = psutil.Process(shop.process.pid)
        while not family.children(recursive=True):
            assert shop.process.poll() is None
        closing = close(shop, number)
    finally:
        shop.process.kill()
        shop.process.communicate()
    assert closing.children
    assert (closing.status, closing.left_behind) == (0, [])
    assert "Stopped." in closing.output


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
