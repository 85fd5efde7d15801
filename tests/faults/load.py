"""Clients that send batches as real ones do, and remember what they were answered.

A message's id says what must become of it: `…-log`, `…-quarantine` or `…-discard`.
"""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.faults.installation import Shop, wait_until

REQUEST_TIMEOUT_SECONDS = 25.0
LONGEST_PAUSE_SECONDS = 0.3
OVERSIZED = "x" * 33_000
DENIED = {
    "consent": {"categoryPreferences": {"analytics": False, "personalisation": False, "marketing": False}}
}


@dataclass(frozen=True)
class Batch:
    """Messages of one request; resends are the same batch."""

    messages: tuple[dict[str, Any], ...]

    @property
    def discardable(self) -> int:
        return sum(message["messageId"].endswith("-discard") for message in self.messages)

    def body(self) -> bytes:
        return json.dumps({"batch": self.messages, "sentAt": datetime.now(UTC).isoformat()}).encode()


@dataclass(frozen=True)
class Attempt:
    """One request. `status` None: the connection failed before an answer was there."""

    batch: Batch
    status: int | None
    seconds: float
    retry_after: str | None = None
    detail: str = ""

    @property
    def is_acknowledged(self) -> bool:
        return self.status == 200

    @property
    def is_retryable(self) -> bool:
        return self.status is None or self.status == 429 or self.status >= 500


class Mix:
    """Batches of 1 to `largest` messages: four of five good, the others faulty or not permitted, and now and then
    messages that an earlier request brought already."""

    def __init__(self, name: str, seed: int, largest: int = 200) -> None:
        self.name = name
        self.largest = largest
        self.random = random.Random(f"{name}/{seed}")
        self.count = 0
        self.earlier: list[dict[str, Any]] = []

    def batch(self) -> Batch:
        size = min(self.largest, int(1.5 ** self.random.uniform(0, 13.1)))
        messages = [self._message() for _ in range(max(1, size))]
        if self.earlier and self.random.random() < 0.3:
            messages += self.random.sample(self.earlier, min(5, len(self.earlier)))
        self.earlier = [message for message in messages if not message["messageId"].endswith("-discard")][:20]
        return Batch(tuple(messages))

    def _message(self) -> dict[str, Any]:
        self.count += 1
        chance = self.random.random()
        fate = "log" if chance < 0.8 else "quarantine" if chance < 0.88 else "discard"
        message = self._good() if fate != "quarantine" else self._faulty()
        if fate == "discard":
            message["context"] = DENIED
            message["type"], message["event"] = "track", "Product Viewed"
            message["properties"] = {"product_id": "p1"}
        return {**message, "messageId": f"{self.name}-{self.count}-{fate}"}

    def _good(self) -> dict[str, Any]:
        person = f"{self.name}-person-{self.random.randrange(40)}"
        product = f"p{self.random.randrange(500)}"
        moment = datetime.now(UTC) - timedelta(seconds=self.random.randrange(3600))
        known = {"anonymousId": person, "timestamp": moment.isoformat()}
        chance = self.random.random()
        if chance < 0.03:
            return {"type": "identify", "userId": f"customer-{self.random.randrange(200)}", **known}
        if chance < 0.06:
            lines = [{"product_id": product, "quantity": 1, "price": 12.5}]
            order = {
                "order_id": f"{self.name}-{self.count}",
                "total": 12.5,
                "currency": "EUR",
                "products": lines,
            }
            return {"type": "track", "event": "Order Completed", "properties": order, **known}
        name = "Product Viewed" if chance < 0.8 else "Product Added"
        return {"type": "track", "event": name, "properties": {"product_id": product}, **known}

    def _faulty(self) -> dict[str, Any]:
        good = {
            "type": "track",
            "event": "Product Viewed",
            "anonymousId": "anon",
            "properties": {"product_id": "p"},
        }
        tomorrow = (datetime.now(UTC) + timedelta(days=3)).isoformat()
        return self.random.choice(
            [
                {**good, "properties": {}},
                {**good, "timestamp": tomorrow},
                {**good, "type": "alias", "previousId": "anon"},
                {**good, "type": "nonsense"},
                {**good, "properties": {"product_id": "p", "note": OVERSIZED}},
                {**good, "properties": {"product_id": "p", "note": "nul \0"}},
            ]
        )


class HttpClient:
    """A keep-alive connection of one shop's server. The library never resends on its own."""

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        credentials = base64.b64encode(f"{key}:".encode()).decode()
        self.headers = {"Content-Type": "application/json", "Authorization": f"Basic {credentials}"}
        self.connection: http.client.HTTPConnection | None = None

    def send(self, batch: Batch, *, is_zipped: bool = False) -> Attempt:
        started = time.monotonic()
        headers = {**self.headers, "Content-Encoding": "gzip"} if is_zipped else self.headers
        body = gzip.compress(batch.body(), 1) if is_zipped else batch.body()
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(
                    "127.0.0.1", self.port, timeout=REQUEST_TIMEOUT_SECONDS
                )
            self.connection.request("POST", "/v1/batch", body, headers)
            response = self.connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Attempt(batch, None, time.monotonic() - started, detail=repr(error))
        detail = "" if response.status == 200 else answer[:300].decode(errors="replace")
        return Attempt(
            batch, response.status, time.monotonic() - started, response.headers.get("Retry-After"), detail
        )

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection = None


def send_alone(port: int, shop: Shop, batch: Batch) -> Attempt:
    """Over a connection of its own."""
    client = HttpClient(port, shop.key)
    try:
        return client.send(batch)
    finally:
        client.close()


@dataclass
class Load:
    """Several clients that send until they are told to stop, and send again what was refused until it is taken.

    `largest`: messages in the largest batch. `resends` False: what was refused is given up, as by a client that has
    gone away.
    """

    shop: Shop
    ports: tuple[int, ...]
    clients: int = 6
    largest: int = 200
    resends: bool = True
    patience_seconds: float = 15.0
    name: str = ""
    attempts: list[Attempt] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def acknowledged(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.is_acknowledged]

    @property
    def refused(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if not attempt.is_acknowledged]

    def wait_for(self, acknowledged: int, seconds: float = 60.0) -> None:
        """Until so many more requests have been acknowledged."""
        start = len(self.attempts)

        def are_there() -> bool:
            return sum(attempt.is_acknowledged for attempt in self.attempts[start:]) >= acknowledged

        wait_until(are_there, seconds, f"{acknowledged} acknowledged requests")

    @contextmanager
    def running(self) -> Iterator[Load]:
        """Clients send while the block runs; at its end they finish what they have begun."""
        self.threads = [
            threading.Thread(target=self._run, args=(number,), name=f"client-{number}", daemon=True)
            for number in range(self.clients)
        ]
        for thread in self.threads:
            thread.start()
        try:
            yield self
        finally:
            self.stopping.set()
            for thread in self.threads:
                thread.join(REQUEST_TIMEOUT_SECONDS + self.patience_seconds)
        assert not any(thread.is_alive() for thread in self.threads), "a client waits for an answer for ever"

    def _run(self, number: int) -> None:
        mix = Mix(f"{self.name or 'client'}{number}", self.shop.store_id, self.largest)
        client = HttpClient(self.ports[number % len(self.ports)], self.shop.key)
        try:
            while not self.stopping.is_set():
                self._deliver(client, mix)
        finally:
            client.close()

    def _deliver(self, client: HttpClient, mix: Mix) -> None:
        batch, is_zipped = mix.batch(), mix.random.random() < 0.3
        give_up_at = None
        while True:
            attempt = client.send(batch, is_zipped=is_zipped)
            self.attempts.append(attempt)
            if not attempt.is_retryable or not self.resends:
                return
            if self.stopping.is_set():
                give_up_at = give_up_at or time.monotonic() + self.patience_seconds
                if time.monotonic() > give_up_at:
                    return
            time.sleep(LONGEST_PAUSE_SECONDS * mix.random.random())
