"""A disk that fills up under load: refused with 503 while it is full, taken again once there is room."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from psycopg import sql

from tests.faults.conftest import make_installation
from tests.faults.installation import DATABASE, Installation, Shop, Web, wait_until
from tests.faults.load import Load
from tests.faults.reckoning import reckon

pytestmark = pytest.mark.alone


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A file system of its own size. The test is skipped where nobody may mount one."""
    folder = Path(tempfile.mkdtemp(prefix="etalage-small-disk-"))
    options = f"size={megabytes}m,mode=0711"
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=False, capture_output=True
    )
    if not mounted or mounted.returncode:
        folder.rmdir()
        pytest.skip("needs the right to mount a small file system (root)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()


def _enlarge(folder: Path, megabytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={megabytes}m", folder], check=True)


def _run_into_the_wall(load: Load) -> None:
    """Until every client has been refused a few times, and nothing has been taken in between."""

    def is_full() -> bool:
        last = load.attempts[-3 * load.clients :]
        return len(last) == 3 * load.clients and all(attempt.status == 503 for attempt in last)

    wait_until(is_full, 60, "refusals only")


def test_no_room_for_the_log(installation: Installation, shop: Shop, web: Web) -> None:
    """The log's table on a file system of 2 MB: PostgreSQL answers 53100, disk_full, to the commit."""
    servers = installation.servers
    with small_disk(2) as folder:
        account = servers.postgres.account
        assert account is not None
        os.chown(folder, account.pw_uid, account.pw_gid)
        with servers.postgres.connect(servers.postgres_port, DATABASE) as superuser:
            superuser.execute(sql.SQL("CREATE TABLESPACE small LOCATION {}").format(str(folder)))
        try:
            _move_log(installation, "small")
            load = Load(shop, (web.port,))
            with load.running():
                _run_into_the_wall(load)
                assert web.readiness()["checks"]["database"] == "ok"
                _enlarge(folder, 200)
                load.wait_for(60)
            reckon(installation, shop, load.attempts)
            assert {attempt.status for attempt in load.refused} == {503}
        finally:
            _enlarge(folder, 200)
            _move_log(installation, "pg_default")
            with servers.postgres.connect(servers.postgres_port, DATABASE) as superuser:
                superuser.execute("DROP TABLESPACE small")


def _move_log(installation: Installation, tablespace: str) -> None:
    """An empty log: what other tests left in it is theirs no more."""
    servers = installation.servers
    with servers.postgres.connect(servers.postgres_port, DATABASE) as superuser:
        superuser.execute("TRUNCATE tracking_event")
        superuser.execute(f"ALTER TABLE tracking_event SET TABLESPACE {tablespace}")


def test_refused_by_the_database_for_want_of_room(installation: Installation, shop: Shop, web: Web) -> None:
    """The same where nothing may be mounted: a trigger raises the error that a full disk raises."""
    installation.query(
        "CREATE FUNCTION disk_is_full() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$"
    )
    load = Load(shop, (web.port,))
    try:
        with load.running():
            load.wait_for(30)
            installation.query(
                "CREATE TRIGGER full_disk BEFORE INSERT ON tracking_event EXECUTE FUNCTION disk_is_full()"
            )
            _run_into_the_wall(load)
            installation.query("DROP TRIGGER full_disk ON tracking_event")
            load.wait_for(30)
    finally:
        installation.query("DROP FUNCTION disk_is_full CASCADE")
    reckon(installation, shop, load.attempts)
    assert {attempt.status for attempt in load.refused} == {503}


def test_no_room_for_anything() -> None:
    """The whole database on a small file system. PostgreSQL stops itself when its own log finds no room; the
    operator makes room and starts it again.
    """
    with small_disk(900) as folder:
        installation = make_installation(home=folder)
        servers = installation.servers
        try:
            shop = next(installation.furnish(1))
            with installation.web() as web:
                load = Load(shop, (web.port,))
                with load.running():
                    load.wait_for(30)
                    ballast = folder / "ballast"
                    with ballast.open("wb") as file, suppress(OSError):
                        while True:
                            os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), 2**20)
                    os.truncate(ballast, max(0, ballast.stat().st_size - 2**20))
                    _run_into_the_wall(load)
                    ballast.unlink()
                    if servers.postgres_process.poll() is not None:
                        servers.start_postgres()
                    load.wait_for(60)
                reckon(installation, shop, load.attempts)
                assert {attempt.status for attempt in load.refused} <= {503}
        finally:
            servers.stop()
