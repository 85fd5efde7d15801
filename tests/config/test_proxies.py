"""Whose address a request has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest

from accounts.client_address import client_address
from config.proxies import behind_proxies

PEER = "10.0.0.1"


def _address(forwarded: str | None, proxies: int, peer: str = PEER) -> str:
    found: list[str] = []

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        found.append(client_address(WSGIRequest(environ)))
        return []

    header = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    environ = {"REQUEST_METHOD": "GET", "wsgi.input": BytesIO(), "REMOTE_ADDR": peer, **header}
    behind_proxies(application, proxies=proxies)(environ, lambda *_: None)
    return found[0]


@pytest.mark.parametrize("forwarded", [None, "", "203.0.113.7", "203.0.113.7, 198.51.100.2"])
def test_without_a_proxy_the_header_is_anybodys_word(forwarded: str | None) -> None:
    assert _address(forwarded, proxies=0) == PEER


@pytest.mark.parametrize(
    ("forwarded", "proxies", "expected"),
    [
        ("203.0.113.7", 1, "203.0.113.7"),
        # What the client sent itself stands to the left of what our proxies appended.
        ("127.0.0.1, 203.0.113.7", 1, "203.0.113.7"),
        # Granian joins a header that is sent twice, without a space.
        ("127.0.0.1,203.0.113.7", 1, "203.0.113.7"),
        ("203.0.113.7, 198.51.100.2", 2, "203.0.113.7"),
        ("127.0.0.1, 8.8.8.8, 203.0.113.7, 198.51.100.2", 2, "203.0.113.7"),
    ],
)
def test_the_entry_that_the_outermost_proxy_wrote_is_believed(
    forwarded: str, proxies: int, expected: str
) -> None:
    assert _address(forwarded, proxies) == expected


@pytest.mark.parametrize(
    ("forwarded", "proxies"),
    [
        (None, 1),
        ("", 1),
        ("203.0.113.7", 2),  # came past the outer proxy: its one entry says no more than the peer's address
        ("unknown", 1),
        ("203.0.113.7, _hidden", 1),
        ("203.0.113.7,", 1),
        ("203.0.113.7:port", 1),
        ("203.0.113.7:", 1),
        ("203.0.113.999", 1),
        ("[2001:db8::1", 2),
        ("[2001:db8::1]x", 1),
        ("203.0.113.7\x00", 1),
        ("<script>", 1),
    ],
)
def test_what_is_no_address_leaves_the_peers(forwarded: str | None, proxies: int) -> None:
    assert _address(forwarded, proxies) == PEER


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("203.0.113.7:4711", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        # A proxy that listens on both families: the same shopper must not have two buckets.
        ("::ffff:203.0.113.7", "203.0.113.7"),
    ],
)
def test_addresses_in_all_their_forms(entry: str, expected: str) -> None:
    assert _address(f"192.0.2.1, {entry}", proxies=1) == expected


_ASK = """
import json, io
from config.wsgi import application
found = {}
def ask(path, **headers):
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "SCRIPT_NAME": "", "SERVER_NAME": "localhost",
               "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http", "wsgi.version": (1, 0),
               "wsgi.input": io.BytesIO(), "REMOTE_ADDR": "127.0.0.1", **headers}
    statuses = []
    b"".join(application(environ, lambda status, _: statuses.append(int(status[:3]))))
    return statuses[0]
print(json.dumps([ask("/metrics", HTTP_X_FORWARDED_FOR=value) for value in ("203.0.113.7", "127.0.0.1, 203.0.113.7")]))
"""


@pytest.mark.django_db
@pytest.mark.parametrize(("proxies", "expected"), [("0", [200, 200]), ("1", [403, 403])])
def test_the_web_application_reads_it_where_proxies_are_set(proxies: str, expected: list[int]) -> None:
    """With nginx on the same machine the peer is 127.0.0.1, which may read the metrics."""
    done = subprocess.run(
        [sys.executable, "-c", _ASK],
        env={**os.environ, "PROXY_COUNT": proxies, "METRICS_TOKEN": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == expected


def test_nobody_applies_the_header_a_second_time() -> None:
    """Django REST framework reads REMOTE_ADDR, which has been set by then, whatever PROXY_COUNT is."""
    assert settings.REST_FRAMEWORK["NUM_PROXIES"] == 0
