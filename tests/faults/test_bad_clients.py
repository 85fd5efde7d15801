"""Clients that send half a body, or hang up: their own affair, and nobody else's."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.installation import Installation, Shop, Web, wait_until
from tests.faults.load import Batch, HttpClient, Load, Mix
from tests.faults.reckoning import books_of, reckon

pytestmark = pytest.mark.alone

OTHERS_WITHIN_SECONDS = 10.0
SLOW_CLIENTS = 20  # more than two processes have threads that work, 8 each


def _socket(web: Web) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", web.port), timeout=20)
    connection.settimeout(20)
    return connection


def _head(shop: Shop, length: int | None, *more: str) -> bytes:
    lines = ["POST /v1/batch HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    lines += [f"Authorization: {HttpClient(0, shop.key).headers['Authorization']}", *more]
    lines += [f"Content-Length: {length}"] if length is not None else []
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _answer(connection: socket.socket) -> tuple[int, dict[str, str]]:
    """Status and JSON of the first answer."""
    response = http.client.HTTPResponse(connection, method="POST")
    response.begin()
    return response.status, json.loads(response.read())


@contextmanager
def _slow_clients(web: Web, shop: Shop, body: bytes) -> Iterator[list[socket.socket]]:
    connections = [_socket(web) for _ in range(SLOW_CLIENTS)]
    for connection in connections:
        connection.sendall(_head(shop, len(body)) + body[: len(body) // 2])
    try:
        yield connections
    finally:
        for connection in connections:
            connection.close()


def test_the_kernel_asks_whether_a_silent_client_is_still_there(web: Web) -> None:
    """Else a phone that lost its network would hold its thread for ever."""

    def is_asked() -> bool:
        web.get("/healthz")  # a process sees to it with its first request
        with _socket(web) as connection:
            client_port = connection.getsockname()[1]
            return wait_until(lambda: _timer(web.port, client_port), 5, "its side of the connection") == "02"

    wait_until(is_asked, 10, "a keep-alive timer")


def _timer(local_port: int, remote_port: int) -> str | None:
    """Which timer runs on the server's side of a connection, as in proc_net_tcp(5): 02 is that of keep-alive."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, _, timer, *_ = line.split()
        if (int(local.split(":")[1], 16), int(remote.split(":")[1], 16)) == (local_port, remote_port):
            return timer[:2]
    return None


def test_slow_bodies_do_not_hold_up_anybody_else(installation: Installation, shop: Shop, web: Web) -> None:
    slow = Mix("slow", shop.store_id, 40).batch()
    load = Load(shop, (web.port,))
    with _slow_clients(web, shop, slow.body()) as connections, load.running():
        load.wait_for(100)
        assert web.get("/healthz", 5.0)[0] == 200
        statuses = [_status_if_answered(connection) for connection in connections]
    assert not load.refused
    assert max(attempt.seconds for attempt in load.attempts) < OTHERS_WITHIN_SECONDS
    reckon(installation, shop, load.attempts)
    assert set(statuses) == {None}
    assert not [name for name in books_of(installation, shop).log if name.startswith("slow")]


def test_long_bodies_that_stall_do_not_hold_up_anybody_else(
    installation: Installation, shop: Shop, web: Web
) -> None:
    """Past what a batch may hold too, and whatever they are sent to, without a key."""
    announced = 5 * 1024 * 1024
    heads = [
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {announced}\r\n\r\n"
        for path, kind in (
            ("/v1/batch", "application/json"),
            ("/admin/login/", "multipart/form-data; boundary=x"),
        )
    ]
    start = b"--x\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\n"
    part = start + b"x" * (4 * 1024 * 1024 + 1 - len(start))
    connections = [_socket(web) for _ in range(SLOW_CLIENTS)]
    client = HttpClient(web.port, shop.key)
    try:
        for number, connection in enumerate(connections):
            connection.sendall(heads[number % 2].encode() + part)
        mix = Mix("beside", shop.store_id)
        attempts = [client.send(mix.batch()) for _ in range(20)]
        assert web.get("/healthz", 5.0)[0] == 200
        assert {_status_if_answered(connection) for connection in connections} == {None}
        for connection in connections[::2]:  # whoever sends it all is told
            connection.settimeout(20)
            connection.sendall(b"x" * (announced - len(part)))
            assert _answer(connection)[0] == 413
    finally:
        client.close()
        for connection in connections:
            connection.close()
    assert {attempt.status for attempt in attempts} == {200}
    reckon(installation, shop, attempts)


def _status_if_answered(connection: socket.socket) -> int | None:
    connection.setblocking(False)
    try:
        return int(connection.recv(65_536).split()[1])
    except BlockingIOError:
        return None


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_half_a_body_stores_nothing(installation: Installation, shop: Shop, web: Web, framing: str) -> None:
    whole = Mix("half", shop.store_id, 100).batch()
    body = whole.body()
    for share in (0.0, 0.1, 0.5, 0.99):
        part = body[: int(len(body) * share)]
        connection = _socket(web)
        if framing == "length":
            connection.sendall(_head(shop, len(body)) + part)
        else:
            chunk = f"{len(part):x}\r\n".encode() + part + b"\r\n" if part else b""
            connection.sendall(_head(shop, None, "Transfer-Encoding: chunked") + chunk)
        connection.close()
    # Whoever comes after is served by the same threads.
    client = HttpClient(web.port, shop.key)
    other = [client.send(Mix("other", shop.store_id).batch())]
    reckon(installation, shop, other)
    assert not [name for name in books_of(installation, shop).log if name.startswith("half")]
    attempts = [*other, client.send(whole)]
    reckon(installation, shop, attempts)
    client.close()


def test_lengths_that_are_wrong_and_gzip_that_is_cut_are_refused_and_store_nothing(
    installation: Installation, shop: Shop, web: Web
) -> None:
    body = Batch(({"type": "track", "event": "Product Viewed", "messageId": "1-log", "anonymousId": "a",
                   "properties": {"product_id": "p1"}},)).body()  # fmt: skip
    packed = gzip.compress(body)
    cases = {
        "longer than announced": (_head(shop, len(body) - 10) + body, 400, "invalid_json"),
        "cut gzip": (_head(shop, len(packed) - 9, "Content-Encoding: gzip") + packed[:-9], 400, "invalid_gzip"),
        "flipped gzip": (
            _head(shop, len(packed), "Content-Encoding: gzip") + packed[:-8] + b"\0" * 8, 400, "invalid_gzip"
        ),
    }  # fmt: skip
    for name, (request, status, code) in cases.items():
        with _socket(web) as connection:
            connection.sendall(request)
            answer = _answer(connection)
        assert (answer[0], answer[1]["code"]) == (status, code), name
    # Shorter than announced, and nothing follows: the client cannot tell whether it was understood. It was not.
    with _socket(web) as connection:
        connection.sendall(_head(shop, len(body) + 10) + body)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100).split()[1:2] in ([], [b"408"], [b"400"])
    client = HttpClient(web.port, shop.key)
    reckon(installation, shop, [client.send(Mix("after", shop.store_id).batch())])
    client.close()
    assert "1-log" not in books_of(installation, shop).log


def test_a_client_that_hangs_up_before_the_answer_may_send_again(
    installation: Installation, shop: Shop, web: Web
) -> None:
    mix = Mix("gone", shop.store_id, 60)
    batches = [mix.batch() for _ in range(25)]
    for batch in batches:
        body = batch.body()
        connection = _socket(web)
        connection.sendall(_head(shop, len(body)) + body)
        connection.close()
    client = HttpClient(web.port, shop.key)
    attempts = [client.send(batch) for batch in batches]
    client.close()
    assert {attempt.status for attempt in attempts} == {200}
    wait_until(lambda: web.metric("etalage_pending_events") == 0, 10, "an empty queue")
    books = books_of(installation, shop)
    sent = {message["messageId"] for batch in batches for message in batch.messages}
    assert books.log == {name: 1 for name in sent if name.endswith("-log")}
    assert books.quarantine == {name: 1 for name in sent if name.endswith("-quarantine")}
    # Counted once or twice: nothing is kept by which a second count could be told.
    once = sum(batch.discardable for batch in batches)
    assert once <= books.discarded <= 2 * once
