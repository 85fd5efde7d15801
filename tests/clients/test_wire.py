"""What proxies, phones and other vendors' clients put on the wire, which no test of a view can show."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.clients.shop import Shop

VIEW = {
    "type": "track",
    "event": "Product Viewed",
    "anonymousId": "anon-1",
    "messageId": "m1",
    "properties": {"product_id": "p1"},
}


def _send(url: str, path: str, body: Any, key: str, **headers: str) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    given = {"Authorization": "Basic " + b64encode(f"{key}:".encode()).decode(), **headers}
    try:
        connection.request("POST", path, body, given, encode_chunked=not isinstance(body, bytes))
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def _pieces(body: bytes, size: int = 40) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_body_in_chunks_without_a_length(is_packed: bool, etalage: str, shop: Shop) -> None:
    body = json.dumps({"batch": [VIEW, {**VIEW, "messageId": "m2"}]}).encode()
    body, headers = (gzip.compress(body), {"Content-Encoding": "gzip"}) if is_packed else (body, {})
    headers["Transfer-Encoding"] = "chunked"
    assert _send(etalage, "/v1/batch", _pieces(body), shop.server_key, **headers) == (200, {"success": True})
    assert shop.message_ids() == ["m1", "m2"]


@pytest.mark.parametrize("megabytes", [5, 15])
@pytest.mark.parametrize("is_in_chunks", [True, False])
def test_a_body_that_is_too_large_is_told_so(
    is_in_chunks: bool, megabytes: int, etalage: str, shop: Shop
) -> None:
    """A connection that breaks while the client still writes looks like a fault of the network: it would send it again."""
    body = json.dumps({"batch": [{**VIEW, "properties": {"note": "x" * megabytes * 1024**2}}]}).encode()
    if is_in_chunks:
        status, answer = _send(
            etalage, "/v1/batch", _pieces(body, 65_536), shop.server_key, **{"Transfer-Encoding": "chunked"}
        )
    else:
        status, answer = _send(etalage, "/v1/batch", body, shop.server_key)
    assert (status, set(answer)) == (413, {"code", "message"})
    assert shop.events() == []


def test_a_client_that_expects_to_be_told_to_continue(etalage: str, shop: Shop) -> None:
    """As curl and libraries on top of it do with bodies of more than a kilobyte or a megabyte."""
    body = json.dumps(VIEW).encode()
    host = urlsplit(etalage)
    key = b64encode(f"{shop.server_key}:".encode()).decode()
    head = (
        f"POST /v1/track HTTP/1.1\r\nHost: {host.netloc}\r\nAuthorization: Basic {key}\r\nExpect: 100-continue\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((host.hostname, host.port), timeout=20) as line:
        line.sendall(head.encode())
        assert line.recv(1000).startswith(b"HTTP/1.1 100")
        line.sendall(body)
        answer = b"".join(iter(lambda: line.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'{"success":true}' in answer
    assert shop.message_ids() == ["m1"]


def test_half_a_body_is_not_taken(etalage: str, shop: Shop) -> None:
    host = urlsplit(etalage)
    key = b64encode(f"{shop.server_key}:".encode()).decode()
    body = json.dumps(VIEW).encode()
    head = f"POST /v1/track HTTP/1.1\r\nHost: {host.netloc}\r\nAuthorization: Basic {key}\r\nContent-Length: {len(body) + 10}\r\n\r\n"
    with socket.create_connection((host.hostname, host.port), timeout=20) as line:
        line.sendall(head.encode() + body)
        line.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: line.recv(4096), b""))
    assert b" 200 " not in answer.split(b"\r\n")[0]
    assert shop.events() == []


def test_many_requests_on_one_connection(etalage: str, shop: Shop) -> None:
    connection = http.client.HTTPConnection(urlsplit(etalage).netloc, timeout=20)
    for number in range(5):
        message = {**VIEW, "messageId": f"m{number}", "writeKey": shop.server_key}
        # A refusal in between must not spoil the connection for what follows.
        connection.request("POST", "/v1/track", b"{" if number == 2 else json.dumps(message).encode())
        response = connection.getresponse()
        response.read()
        assert response.status == (400 if number == 2 else 200)
    connection.close()
    assert shop.message_ids() == ["m0", "m1", "m3", "m4"]


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/batch/", "/v1/b"])
def test_each_address_of_batches(path: str, etalage: str, shop: Shop) -> None:
    status, _ = _send(etalage, path, json.dumps({"batch": [VIEW]}).encode(), shop.server_key)
    assert status == 200
    assert shop.message_ids() == ["m1"]
