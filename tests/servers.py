"""PostgreSQL and Valkey of the test run's own: loaded with `-p tests.servers`, before the settings are read.

The process that the run began with starts both in a temporary folder, on free ports, as children that die
with it. xdist workers share them: each has a database, a Valkey index and a data folder of its own. The
database is a copy of a template that was migrated once; the migrated cluster is kept under
`.etalage/test-template/`, by a hash of all it depends on, so that the next run starts in a second.
"""

import atexit
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from psycopg import sql

from config.postgres import PostgresServer, Role
from config.processes import give_to
from config.services import OWNER_ROLE, RUNTIME_ROLE
from config.valkey import ValkeyServer

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = "etalage_template"
PASSWORD = "only-in-tests"
KEPT_TEMPLATES = 3
POSTGRES_PARAMETERS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    # An autovacuum worker in the template would make CREATE DATABASE wait for it.
    "autovacuum": "off",
    "log_min_messages": "fatal",
}
KEYS = {
    "SECRET_KEY": "only-in-tests-" + "x" * 50,
    "ETALAGE_MASTER_KEY": "dGVzdC1tYXN0ZXIta2V5LW9mLTMyLWJ5dGVzLWxvbmc=",
    "ETALAGE_SUPPRESSION_KEY": "dGVzdC1zdXBwcmVzcy1rZXktb2YtMzItYnl0ZXMtb2s=",
}


def worker_id() -> str:
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


def _worker_index() -> int:
    return int(worker_id()[2:]) + 1 if worker_id() != "main" else 0


def database_name() -> str:
    return f"test_etalage_{worker_id()}"


@dataclass
class TestServers:
    """The two servers of this run. Ports are held from the first moment, so that the settings can name
    them before anything is started.
    """

    __test__ = False

    home: Path
    postgres_port: int
    valkey_port: int
    held: list[socket.socket] = field(default_factory=list)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    is_started: bool = False

    @property
    def postgres(self) -> PostgresServer:
        return PostgresServer(self.home, PASSWORD, parameters=POSTGRES_PARAMETERS)

    @property
    def valkey(self) -> ValkeyServer:
        return ValkeyServer(self.home, PASSWORD, directives={"appendonly": "no"})

    def database_url(self, database: str, role: str = OWNER_ROLE) -> str:
        return f"postgres://{role}:{PASSWORD}@127.0.0.1:{self.postgres_port}/{database}"

    def environment(self, database: str, valkey_index: int, data_dir: Path) -> dict[str, str]:
        """The variables that point a process at these servers.

        The data folder is made with a place for static files, which have none in tests.
        """
        (data_dir / "static").mkdir(parents=True, exist_ok=True)
        return {
            **KEYS,
            "DATABASE_URL": self.database_url(database),
            "DATABASE_OWNER_URL": self.database_url(database),
            "REDIS_URL": self.valkey.url(self.valkey_port, valkey_index),
            "ETALAGE_DATA_DIR": str(data_dir),
            "ETALAGE_TEST_HOME": str(self.home),
            "ETALAGE_TEST_PORTS": f"{self.postgres_port},{self.valkey_port}",
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }

    def start(self) -> None:
        if self.is_started:
            return
        self.is_started = True
        for held in self.held:
            held.close()
        cache = ROOT / ".etalage" / "test-template" / _fingerprint()
        if (cache / "PG_VERSION").exists():
            os.utime(cache)
            shutil.copytree(cache, self.home / "postgres", symlinks=True)
            give_to(self.postgres.account, self.home / "postgres")
        else:
            self._make_template(cache)
        self._start_postgres()
        valkey = self.valkey.start(self.valkey_port, attached=True)
        assert valkey is not None
        self.processes.append(valkey)

    def _start_postgres(self) -> None:
        process = self.postgres.start(self.postgres_port, attached=True)
        assert process is not None
        self.processes.append(process)

    def _make_template(self, cache: Path) -> None:
        server = self.postgres
        server.initialise()
        self._start_postgres()
        server.ensure_roles(
            self.postgres_port,
            Role(RUNTIME_ROLE, PASSWORD),
            Role(OWNER_ROLE, PASSWORD, can_create_databases=True, member_of=RUNTIME_ROLE),
        )
        server.ensure_database(self.postgres_port, TEMPLATE, OWNER_ROLE)
        environment = {**os.environ, **self.environment(TEMPLATE, 0, self.home / "template")}
        migrate = subprocess.run(
            [sys.executable, "manage.py", "migrate", "--no-input", "--skip-checks", "-v", "0"],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if migrate.returncode:
            self.stop()
            pytest.exit(
                f"The test database could not be migrated:\n{migrate.stdout}\n{migrate.stderr}", returncode=3
            )
        server.stop()
        self.processes.pop().wait()
        _keep(server.directory, cache)

    def create_database(self, name: str) -> None:
        """A fresh copy of the template; one of that name goes first, whoever is connected to it."""
        with self.postgres.connect(self.postgres_port) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {} STRATEGY file_copy").format(
                    sql.Identifier(name), sql.Identifier(TEMPLATE), sql.Identifier(OWNER_ROLE)
                )
            )

    def stop(self) -> None:
        for held in self.held:
            held.close()
        for process in self.processes:
            process.kill()
            process.wait()
        self.processes.clear()
        shutil.rmtree(self.home, ignore_errors=True)


def _fingerprint() -> str:
    """Of all that the migrated template depends on: migrations, models, settings, versions."""
    digest = hashlib.sha256()
    paths = [
        *ROOT.glob("*/migrations/*.py"),
        *ROOT.glob("*/models.py"),
        *ROOT.glob("*/models/*.py"),
        *ROOT.glob("config/management/commands/migrate.py"),
        *(
            ROOT / name
            for name in ("config/settings.py", "config/postgres.py", "config/services.py", "requirements.txt")
        ),
        Path(__file__),
    ]
    for path in sorted(paths):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _keep(cluster: Path, cache: Path) -> None:
    draft = cache.with_name(f"{cache.name}.{os.getpid()}")
    try:
        shutil.copytree(cluster, draft, symlinks=True)
        draft.rename(cache)
    except OSError:  # another run was quicker, or the folder cannot be written: the next run migrates again
        shutil.rmtree(draft, ignore_errors=True)
        return
    templates = sorted(cache.parent.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in templates[KEPT_TEMPLATES:]:
        shutil.rmtree(old, ignore_errors=True)


def _hold_a_port() -> socket.socket:
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


def _connect_to_the_run() -> TestServers:
    if worker_id() != "main":
        postgres_port, valkey_port = map(int, os.environ["ETALAGE_TEST_PORTS"].split(","))
        return TestServers(Path(os.environ["ETALAGE_TEST_HOME"]), postgres_port, valkey_port, is_started=True)
    home = Path(tempfile.mkdtemp(prefix="etalage-test-"))
    home.chmod(0o711)  # PostgreSQL's account has to get through
    held = [_hold_a_port(), _hold_a_port()]
    return TestServers(home, held[0].getsockname()[1], held[1].getsockname()[1], held)


SERVERS = _connect_to_the_run()
os.environ.update(SERVERS.environment(database_name(), _worker_index(), SERVERS.home / f"data-{worker_id()}"))
for inherited in ("CELERY_BROKER_URL", "ETALAGE_MODEL_DIR", "DEBUG"):
    os.environ.pop(inherited, None)


if worker_id() == "main":
    atexit.register(SERVERS.stop)  # also when the run ends before it has begun


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """With xdist, before the workers are spawned."""
    if worker_id() == "main" and session.config.getoption("numprocesses", None):
        SERVERS.start()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Without xdist, once it is known that a test needs them: `tests/algorithms` alone runs without."""
    if worker_id() != "main" or session.config.option.collectonly:
        return
    if any("tests/algorithms/" not in item.nodeid for item in session.items):
        SERVERS.start()


def pytest_unconfigure() -> None:
    if worker_id() == "main":
        SERVERS.stop()
