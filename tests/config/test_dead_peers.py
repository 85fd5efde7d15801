"""Clients that vanish without a word."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from config.dead_peers import IDLE_SECONDS, notice_dead_peers

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux's /proc and options")


def test_connections_take_the_setting_over_from_the_socket_that_they_were_accepted_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert notice_dead_peers() >= 1
        with socket.create_connection(listener.getsockname()) as client:
            server_side, _ = listener.accept()
            with server_side:
                assert server_side.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                assert server_side.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == IDLE_SECONDS
            # Nothing else is touched: neither other sockets nor what is no socket at all.
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    readable, writable = os.pipe()
    with (
        socket.create_server(("127.0.0.1", 0)),
        (tmp_path / "file").open("w"),
        os.fdopen(readable, "rb"),
        os.fdopen(writable, "wb"),
    ):
        before = len(os.listdir("/proc/self/fd"))
        assert notice_dead_peers() >= 1
        assert len(os.listdir("/proc/self/fd")) == before
