"""Valkey, with short patience: pooled connections, 50 ms timeouts and a circuit breaker.

Nothing that a shopper waits for may hang on the cache. `call` therefore gives up quickly, and after a few failures in a
row refuses at once for a moment instead of making every request wait out its own timeout.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeVar

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

T = TypeVar("T")

TIMEOUT_SECONDS: Final = 0.05
PATIENT_SECONDS: Final = 5.0
CONNECT_TIMEOUT_SECONDS: Final = 0.25
POOL_SIZE: Final = 64
FAILURES_BEFORE_OPEN: Final = 3
OPEN_SECONDS: Final = 1.0


class ValkeyUnavailable(RuntimeError):
    """Valkey did not answer in time, or the breaker is open. Callers go on without it."""


class Breaker:
    """Closed: calls pass. Open for `open_seconds` after `failures` in a row. Then one call tries, the others still fail."""

    def __init__(self, failures: int = FAILURES_BEFORE_OPEN, open_seconds: float = OPEN_SECONDS) -> None:
        self.failures = failures
        self.open_seconds = open_seconds
        self._lock = threading.Lock()
        self._failed_in_a_row = 0
        self._retry_at = 0.0

    @property
    def is_open(self) -> bool:
        return self._failed_in_a_row >= self.failures and time.monotonic() < self._retry_at

    def admit(self) -> bool:
        """Whether a call may go out now. While half open, only the first caller of each `open_seconds` is let through."""
        if self._failed_in_a_row < self.failures:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self._retry_at:
                return False
            self._retry_at = now + self.open_seconds
            return True

    def succeeded(self) -> None:
        if self._failed_in_a_row:
            self.reset()

    def failed(self) -> None:
        with self._lock:
            self._failed_in_a_row += 1
            self._retry_at = time.monotonic() + self.open_seconds

    def reset(self) -> None:
        with self._lock:
            self._failed_in_a_row = 0
            self._retry_at = 0.0


breaker = Breaker()


@lru_cache(maxsize=8)
def _client_for(url: str, timeout_seconds: float) -> redis.Redis:
    # One repeat, and only of a lost connection: a pooled socket that a restarted server has closed is not an outage.
    retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=POOL_SIZE,
        timeout=TIMEOUT_SECONDS,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
        retry=retry,
        client_name="etalage",
    )
    return redis.Redis(connection_pool=pool)


def client(timeout_seconds: float = TIMEOUT_SECONDS) -> redis.Redis:
    """The pooled client of this process for `settings.REDIS_URL`. Answers are bytes. Prefer `call` on a request's path."""
    return _client_for(settings.REDIS_URL, timeout_seconds)


def call(operation: Callable[[redis.Redis], T], *default: T, timeout_seconds: float = TIMEOUT_SECONDS) -> T:
    """`operation(client())` behind the breaker.

    With a `default`, gives that when Valkey cannot be used; without one raises ValkeyUnavailable. Work that nobody
    waits for takes its time: `timeout_seconds=PATIENT_SECONDS`.
    """
    cause: Exception | None = None
    if breaker.admit():
        try:
            answer = operation(client(timeout_seconds))
        except redis.ResponseError:
            # The server is there and says that the command is wrong: a bug of ours, not an outage.
            breaker.succeeded()
            raise
        except (RedisError, OSError) as error:
            breaker.failed()
            cause = error
        else:
            breaker.succeeded()
            return answer
    if default:
        return default[0]
    raise ValkeyUnavailable(
        "Valkey cannot be reached: check REDIS_URL and `manage.py services status`."
    ) from cause


class _Kept(threading.local):
    """The connection of a thread, the pool whose it would be, and the process that opened it."""

    pool: Any = None
    process = 0
    connection: Any = None

    def of(self, pool: Any) -> Any:
        if self.pool is not pool or self.process != os.getpid():
            self.pool, self.process = pool, os.getpid()
            self.connection = pool.connection_class(**pool.connection_kwargs)
        return self.connection


_kept = _Kept()


def command(client: redis.Redis, *parts: str | bytes | int) -> Any:
    """The answer to one command, on a connection that this thread keeps: what a pool and a client do around a command takes twice as
    long as Valkey takes to answer. Call it within `call`. Raises what `client` would, and repeats a command once, as it does, where the
    connection was lost."""
    connection = _kept.of(client.connection_pool)
    packed = connection.pack_command(*parts)
    try:
        connection.send_packed_command(packed, check_health=False)
        return connection.read_response()
    except redis.ConnectionError:
        connection.disconnect()
        connection.send_packed_command(packed, check_health=False)
        return connection.read_response()


def key(store_id: int, *parts: object) -> str:
    """`etalage:{store_id}:part:part`. Every key of a store starts so, and erasure relies on it."""
    return ":".join(["etalage", str(store_id), *map(str, parts)])
