"""`make demo`: everything of Etalage on one machine, from nothing to a shop that one can shop in."""

import fcntl
import json
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from django.conf import settings
from django.db import connection
from environ import Env

from config import demo_state
from config.processes import ServiceError, port_is_free
from config.services import Services
from config.serving import THREADS, web_command
from config.supervisor import Interrupted, Server, Supervisor

PLACES = {"Shop": "/", "Admin": "/admin/", "Privacy centre": "/privacy/", "API documentation": "/api/docs/"}
READY_SECONDS = 120.0
TASKS_AT_ONCE = 2
# A small crowd leaves too few test cases for the gate: whoever starts the demonstration wants to see shelves all the same.
DEMO_CONSENT = "A demonstration: its shoppers are simulated."


class CannotStart(Exception):
    """What stands in the way, and what to do about it."""


@dataclass
class Demo:
    """One run of the demo. `say`: where lines for the person at the terminal go; `simulation`: options of `simulate`."""

    host: str
    port: int
    say: Callable[[str], None]
    simulation: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.data_dir: Path = settings.DATA_DIR
        self.services = Services(self.data_dir)
        self.supervisor = Supervisor(self._environment())
        self.started_services: list[str] = []

    @property
    def url(self) -> str:
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{host}:{self.port}"

    def _environment(self) -> dict[str, str]:
        return {
            "OPENBLAS_NUM_THREADS": "1",
            "PORT": str(self.port),
            "PROMETHEUS_MULTIPROC_DIR": str(self.data_dir / "metrics"),
            "PYTHONUNBUFFERED": "1",
            "LOG_FORMAT": os.environ.get("LOG_FORMAT", "console"),
        }

    def run(self) -> None:
        """Until somebody asks us to end. Raises CannotStart, ServiceError, ChildFailed; leaves no process
        behind in any case.
        """
        self.supervisor.listen()
        with self._only_one():
            if not port_is_free(self.port, self.host):
                raise CannotStart(
                    f"Port {self.port} is taken. Choose another: PORT={self.port + 1} make demo"
                )
            try:
                self._prepare()
                self._serve()
                self._introduce()
                self.supervisor.watch()
            except Interrupted:
                self.say("\nStopping …")
            finally:
                self.supervisor.shut_down()
                self.services.stop(self.started_services)
        self.say("Stopped. Everything it knows stays in .etalage/: the next start takes seconds.")

    def _only_one(self) -> IO[str]:
        """A lock that dies with us. Raises CannotStart when another demo holds it."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        lock = (self.data_dir / "demo.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise CannotStart(
                "The demo of this clone already runs. Stop that one first (Ctrl-C in its terminal)."
            ) from error
        return lock

    def _prepare(self) -> None:
        # Commands count too (training): their files need the folder before the first of them runs.
        metrics = self.data_dir / "metrics"
        shutil.rmtree(metrics, ignore_errors=True)
        metrics.mkdir(parents=True)
        self._step("Starting PostgreSQL and Valkey", self._start_services)
        is_upgraded = demo_state.migrations_wait()
        if is_upgraded:
            self._manage("Migrating the database", "migrate", "--no-input", "-v", "0")
        if demo_state.static_files_changed():
            self._manage("Collecting static files", "collectstatic", "--no-input", "-v", "0")
            demo_state.note_static_files()
        if is_upgraded or not demo_state.is_furnished():
            self._manage("Furnishing the shop", "seed_demo")
        if not demo_state.has_shoppers():
            self._manage("Letting shoppers shop", "simulate", *self.simulation)
        if not demo_state.has_live_model():
            self._manage("Finding segments", "recompute_segments")
            self._manage("Training the recommendations", "train", "--consent", DEMO_CONSENT)
        # From here on this process only watches.
        connection.close()

    def _step(self, title: str, work: Callable[[], None]) -> None:
        self.supervisor.check()
        self.say(f"▸ {title}")
        started = time.monotonic()
        work()
        seconds = time.monotonic() - started
        if seconds >= 1:
            self.say(f"  {seconds:.1f} s")

    def _manage(self, title: str, *command: str) -> None:
        name = f"manage.py {command[0]}"
        manage = [sys.executable, str(settings.BASE_DIR / "manage.py"), *command]
        self._step(title, lambda: self.supervisor.run(manage, name=name))

    def _start_services(self) -> None:
        try:
            self.started_services = self.services.start()
        except ServiceError:
            # PostgreSQL may already run when it was Valkey that failed.
            self.started_services = ["postgres", "valkey"]
            raise
        addresses = json.loads(self.services.path.read_text())
        if "DATABASE_URL" not in os.environ:
            # This process read its settings before the server had an address.
            connection.settings_dict.update(Env.db_url_config(addresses["DATABASE_URL"]))

    def _serve(self) -> None:
        self.say("▸ Opening the shop")
        logs = self.data_dir / "logs"
        for name, command in self._servers().items():
            self.supervisor.serve(Server(name, command, logs / f"{name}.log"))
        if not self.supervisor.wait_until(self._is_ready, seconds=READY_SECONDS):
            raise CannotStart(
                f"{self.url}/readyz does not say ok after {READY_SECONDS:.0f} s; the logs are in {logs}"
            )

    def _servers(self) -> dict[str, list[str]]:
        """Commands. Web processes stay up one by one; the others are kept up by us."""
        web = web_command(
            host=self.host,
            port=self.port,
            processes=int(os.environ.get("WEB_PROCESSES") or os.cpu_count() or 1),
            threads=int(os.environ.get("WEB_THREADS") or THREADS),
        )
        tasks = os.environ.get("WORKER_PROCESSES") or TASKS_AT_ONCE
        celery = [sys.executable, "-m", "celery", "-A", "config"]
        return {
            "web": web,
            "worker": [*celery, "worker", f"--concurrency={tasks}", "--without-gossip", "--without-mingle"],
            "beat": [*celery, "beat", "--pidfile="],
        }

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as response:
                return json.load(response)["status"] == "ok"
        except (urllib.error.URLError, OSError, ValueError):
            return False

    def _introduce(self) -> None:
        path = self.data_dir / "demo.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        logins = [(login["role"], login["email"], login["password"]) for login in known.get("logins", [])]
        width = max(20, *(len(role) for role, _, _ in logins)) if logins else 20
        lines = ["", "Etalage is open.", ""]
        lines += [f"  {name:{width}}  {self.url}{address}" for name, address in PLACES.items()]
        lines += ["", "Logins of the demo"]
        lines += [f"  {role:{width}}  {email:30}  {password}" for role, email, password in logins]
        lines += ["", f"  {'Write key':{width}}  {known.get('write_key', '')}"]
        lines += [f"  {'Logs':{width}}  {self.data_dir / 'logs'}", "", "Ctrl-C stops everything."]
        self.say("\n".join(lines))
