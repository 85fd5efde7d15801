from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.installation import DATABASE, DurableServers, Installation, Shop, Web
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
def web(installation: Installation) -> Iterator[Web]:
    """A web server of two processes, for tests that leave it whole."""
    with installation.web() as web:
        yield web


@pytest.fixture
def new_shop(_shops: Iterator[Shop]) -> Callable[[], Shop]:
    return lambda: next(_shops)
