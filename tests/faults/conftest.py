from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.installation import DATABASE, DurableServers, Installation, Shop, Web, wait_until
from tests.faults.load import Mix, send_alone
from tests.servers import _hold_a_port

STORES = 40


@pytest.fixture(autouse=True)
def _empty_valkey() -> None:
    """These tests have a Valkey of their own."""


def make_installation(home: Path | None = None) -> Installation:
    home = Path(tempfile.mkdtemp(prefix="etalage-faults-", dir=home))
    home.chmod(0o711)  # PostgreSQL's account has to get through
    held = [_hold_a_port(), _hold_a_port()]
    servers = DurableServers(home, held[0].getsockname()[1], held[1].getsockname()[1], held)
    servers.start()
    servers.create_database(DATABASE)
    return Installation(servers, home / "data")


@pytest.fixture(scope="package")
def installation() -> Iterator[Installation]:
    """PostgreSQL and Valkey for the whole folder; a test that ends one starts it again."""
    installation = make_installation()
    yield installation
    installation.servers.stop()


@pytest.fixture(scope="package")
def _shops(installation: Installation) -> Iterator[Shop]:
    return installation.furnish(STORES)


@pytest.fixture
def shop(_shops: Iterator[Shop]) -> Shop:
    """A store that no other test sends to."""
    return next(_shops)


@pytest.fixture(scope="package")
def _web(installation: Installation, _shops: Iterator[Shop]) -> Iterator[tuple[Web, Shop]]:
    shop = next(_shops)
    with installation.web() as web:
        yield web, shop


@pytest.fixture
def web(_web: tuple[Web, Shop]) -> Web:
    """A web server of two processes, for tests that leave it whole. Each of them has noticed that what the test before
    took away is back: connections are spread over both at random.
    """
    web, shop = _web
    mix = Mix(f"well-{time.monotonic_ns()}", shop.store_id, 3)

    def is_well() -> bool:
        return all(send_alone(web.port, shop, mix.batch()).is_acknowledged for _ in range(12))

    wait_until(is_well, 60, "a web server that is well")
    return web
