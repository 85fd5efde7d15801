"""The load: processes of their own, each with some connections that send, wait for the answer, and send
again."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from urllib.parse import unquote, urlsplit

EVENT = (
    b'{"type":"track","event":"Product Viewed","messageId":"%s-%d","anonymousId":"bench-%d",%s"timestamp":"%s",'
    b'"properties":{"product_id":"p%d","category":"camping/tents","name":"Ridge tent","price":199.9,"currency":"EUR"},'
    b'"context":{"library":{"name":"bench","version":"1"},"locale":"de-DE","page":{"path":"/p/tent","url":"https://shop.example/p/tent"}}}'
)
VISITORS = 5_000
PATIENCE_SECONDS = 30.0
SHARE_OF_CUSTOMERS = 5  # every fifth visitor names a customer


@dataclass(frozen=True)
class NewEvents:
    """Gives the shopper of each path a new event before the path is asked for, so that no answer is one that was given before.

    `profiles` are the keys in the Valkey at `url` under which the shoppers of `Target.paths` stand; events are views of `products`,
    stored as the collector stores them, or where `events` are given what stands there for each path (a stored event without its id;
    None: nothing happens before). Waiting for Valkey is not part of a request's time.
    """

    url: str
    profiles: tuple[str, ...]
    products: tuple[str, ...]
    kept: int = 30  # events of a profile
    events: tuple[str | None, ...] = ()

    def command(self, number: int, name: bytes) -> bytes:
        """ZADD of the event, and a ZREMRANGEBYRANK that keeps the profile as short as it is; empty where nothing happens."""
        event = self._event(number)
        if event is None:
            return b""
        key = self.profiles[number % len(self.profiles)].encode()
        identifier = f"{zlib.crc32(name):08x}{number & 0xFFFFFFFF:08x}"
        member = f'["{identifier}",{event}]'.encode()
        return _resp(b"ZADD", key, b"%.3f" % time.time(), member) + _resp(
            b"ZREMRANGEBYRANK", key, b"0", b"-%d" % (self.kept + 1)
        )

    def _event(self, number: int) -> str | None:
        if self.events:
            return self.events[number % len(self.events)]
        product = self.products[number * 7919 % len(self.products)]
        return f'0,null,[["{product}",1.0]],""'

    def greeting(self) -> list[bytes]:
        parts = urlsplit(self.url)
        password = [_resp(b"AUTH", unquote(parts.password).encode())] if parts.password else []
        return [*password, _resp(b"SELECT", parts.path.strip("/").encode() or b"0")]


def _resp(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class _Answers(asyncio.Protocol):
    """Counts the one-line answers of Valkey, and calls back when as many as were waited for are there."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.expected = 0
        self.then: Callable[[], None] = lambda: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def ask(self, commands: bytes, expected: int, then: Callable[[], None]) -> None:
        self.expected, self.then = expected, then
        self.transport.write(commands)

    def data_received(self, data: bytes) -> None:
        if data[:1] == b"-":
            raise RuntimeError(f"Valkey: {data!r}")
        self.expected -= data.count(b"\r\n")
        if self.expected == 0:
            self.then()


@dataclass(frozen=True)
class Target:
    """Where to send, and what: `batch_size` events a request; where it is 0, `method` of `path`, or of `paths` in
    turn.

    A batch size of 1 is a single message, without the envelope of a batch. `interval` is the mean time in seconds
    between two requests of a connection, 0 for as fast as answers come: shoppers do not click in step, so each pause is between half of
    it and one and a half, and connections begin at different moments; `headers` are lines that each end with CR LF. With
    `new_events`, the shopper of each of `paths` does something first.
    """

    host: str
    port: int
    write_key: str
    batch_size: int
    path: str = "/v1/batch"
    paths: tuple[str, ...] = ()
    headers: str = ""
    interval: float = 0.0
    method: str = "GET"
    new_events: NewEvents | None = None


@dataclass
class Load:
    """What a run measured. Times in seconds.

    `requests` were answered with success within the time, `late` after it; `refused` with anything else,
    by status in `refusals`; `failed` not at all. `cpu_seconds` is what the load generator itself used.
    """

    seconds: float = 0.0
    requests: int = 0
    late: int = 0
    refused: int = 0
    failed: int = 0
    cpu_seconds: float = 0.0
    refusals: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0

    @property
    def requests_per_second(self) -> float:
        return self.requests / self.seconds if self.seconds else 0.0

    def add(self, other: Load) -> None:
        self.requests += other.requests
        self.late += other.late
        self.refused += other.refused
        self.failed += other.failed
        self.cpu_seconds += other.cpu_seconds
        self.refusals += other.refusals
        self.latencies += other.latencies


def run_load(target: Target, connections: int, seconds: float, processes: int = 2) -> Load:
    """Closed loop: as many requests at a time as there are connections. Counts what was answered with 200
    within the time."""
    processes = min(processes, connections)
    shares = [connections // processes + (n < connections % processes) for n in range(processes)]
    context = multiprocessing.get_context("spawn")
    workers = []
    for number, share in enumerate(shares):
        ours, theirs = context.Pipe()
        worker = context.Process(target=_work, args=(theirs, target, number, share, seconds), daemon=True)
        worker.start()
        workers.append((worker, ours))
    for _, pipe in workers:
        pipe.recv()  # imported and ready
    for _, pipe in workers:
        pipe.send(True)
    total = Load(seconds=seconds)
    for worker, pipe in workers:
        part: Load = pipe.recv()
        total.add(part)
        worker.join()
    return total


def _work(pipe: Connection, target: Target, number: int, connections: int, seconds: float) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, load_cores())
    pipe.send(True)
    pipe.recv()
    started = time.process_time()
    load = asyncio.run(_drive(target, number, connections, seconds))
    load.cpu_seconds = time.process_time() - started
    pipe.send(load)


def load_cores() -> set[int]:
    """The cores that load generators keep to: the upper half of the machine's, so that however fast they are,
    the other half is left to what they measure. All where there is one, or the system does not say."""
    if not hasattr(os, "sched_getaffinity"):
        return set(range(os.cpu_count() or 1))
    cores = sorted(os.sched_getaffinity(0))
    return set(cores[len(cores) // 2 :])


async def _drive(target: Target, number: int, connections: int, seconds: float) -> Load:
    load = Load()
    until = time.perf_counter() + seconds
    clients = [_Client(target, f"{number}-{n}-{time.time_ns()}", load, until) for n in range(connections)]
    # Whoever has no answer long after the end will have none.
    _, silent = await asyncio.wait(
        [asyncio.create_task(client.run()) for client in clients], timeout=seconds + PATIENCE_SECONDS
    )
    load.failed += len(silent)
    for task in silent:
        task.cancel()
    return load


class _Client(asyncio.Protocol):
    """One connection of HTTP/1.1, as little of it as the measurement needs."""

    def __init__(self, target: Target, name: str, load: Load, until: float) -> None:
        self.target = target
        self.name = name.encode()
        self.load = load
        self.until = until
        self.sent = 0
        self.first = zlib.crc32(self.name)
        self.random = random.Random(self.first)
        self.buffer = b""
        self.started = 0.0
        self.valkey: _Answers | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            if self.target.new_events is not None:
                await self._greet(self.target.new_events)
            transport, _ = await loop.create_connection(lambda: self, self.target.host, self.target.port)
        except OSError:
            self.load.failed += 1
            return
        await self.done
        transport.close()
        if self.valkey is not None:
            self.valkey.transport.close()

    async def _greet(self, events: NewEvents) -> None:
        loop = asyncio.get_running_loop()
        address = urlsplit(events.url)
        _, self.valkey = await loop.create_connection(
            _Answers, address.hostname or "localhost", address.port or 6379
        )
        ready: asyncio.Future[None] = loop.create_future()
        greeting = events.greeting()
        self.valkey.ask(b"".join(greeting), len(greeting), lambda: ready.set_result(None))
        await ready

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        if self.target.interval:
            asyncio.get_running_loop().call_later(self.target.interval * self.random.random(), self._send)
        else:
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.load.failed += 1
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, separator, rest = self.buffer.partition(b"\r\n\r\n")
        if not separator or len(rest) < _content_length(head):
            return
        self.buffer = b""
        now = time.perf_counter()
        if head[9:10] == b"2":
            if now <= self.until:
                self.load.requests += 1
                self.load.latencies.append(now - self.started)
            else:
                self.load.late += 1
        else:
            self.load.refused += 1
            self.load.refusals[head[9:12].decode("ascii", "replace")] += 1
        wait = self.target.interval * (0.5 + self.random.random()) - (now - self.started)
        if now + max(wait, 0.0) < self.until:
            if wait > 0:
                asyncio.get_running_loop().call_later(wait, self._send)
            else:
                self._send()
        elif not self.done.done():
            self.done.set_result(None)

    def _send(self) -> None:
        events = self.target.new_events
        # Of the path that is asked for next.
        command = b"" if events is None else events.command(self.first + self.sent + 1, self.name)
        if self.valkey is None or not command:
            self._ask()
        else:
            self.valkey.ask(command, 2, self._ask)

    def _ask(self) -> None:
        self.started = time.perf_counter()
        self.transport.write(self._request())

    def _next(self) -> int:
        """Connections go through the paths from different beginnings."""
        self.sent += 1
        return self.first + self.sent

    def _request(self) -> bytes:
        target = self.target
        if not target.batch_size:
            path = target.paths[self._next() % len(target.paths)] if target.paths else target.path
            return f"{target.method} {path} HTTP/1.1\r\nHost: {target.host}\r\n{target.headers}\r\n".encode()
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()).encode()
        first = self.sent
        self.sent += target.batch_size
        events = b",".join(_event(self.name, first + n, moment) for n in range(target.batch_size))
        key = target.write_key.encode()
        if target.batch_size == 1:
            path, body = "/v1/track", b'{"writeKey":"%s",%s' % (key, events[1:])
        else:
            path, body = target.path, b'{"writeKey":"%s","batch":[%s]}' % (key, events)
        head = f"POST {path} HTTP/1.1\r\nHost: {target.host}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body


def _event(name: bytes, number: int, moment: bytes) -> bytes:
    visitor = (number * 7919) % VISITORS
    user = b"" if visitor % SHARE_OF_CUSTOMERS else b'"userId":"bench-customer-%d",' % visitor
    return EVENT % (name, number, visitor, user, moment, number % 500)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == b"content-length":
            return int(value)
    return 0


__all__: Sequence[str] = ["VISITORS", "Load", "NewEvents", "Target", "run_load"]
