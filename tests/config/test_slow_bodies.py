"""Bodies that do not come."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from config.slow_bodies import BodyTooSlow, SlowBodies


class Body:
    """A body that is there once it is let go."""

    def __init__(self) -> None:
        self.may_go = threading.Event()
        self.is_read = threading.Event()

    def read(self, *size: int) -> bytes:
        self.is_read.set()
        assert self.may_go.wait(30)
        return b"body"


@pytest.fixture
def bodies() -> Iterator[list[Body]]:
    made = [Body() for _ in range(4)]
    yield made
    for body in made:
        body.may_go.set()


def _reads(environ: dict[str, Any], start_response: object) -> list[bytes]:
    return [environ["wsgi.input"].read(100)]


def _ask(application: SlowBodies, body: Body) -> list[bytes]:
    return list(application({"wsgi.input": body}, lambda *_: None))


def test_when_all_direct_reads_are_taken_a_body_is_waited_for_beside_and_then_given_up(
    bodies: list[Body],
) -> None:
    application = SlowBodies(_reads, direct_reads=2, side_reads=1, body_seconds=0.2)
    with ThreadPoolExecutor(2) as pool:
        slow = [pool.submit(_ask, application, body) for body in bodies[:2]]
        assert all(body.is_read.wait(10) for body in bodies[:2])
        with pytest.raises(BodyTooSlow, match=r"not there after 0\.2 seconds"):
            _ask(application, bodies[2])
        # Its reader still waits for the client, and there may be no second one.
        with pytest.raises(BodyTooSlow, match="Too many"):
            _ask(application, bodies[3])
        for body in bodies[:2]:
            body.may_go.set()
        assert [future.result(10) for future in slow] == [[b"body"]] * 2


def test_a_body_that_comes_in_time_is_read_beside_all_the_same(bodies: list[Body]) -> None:
    application = SlowBodies(_reads, direct_reads=1, side_reads=1, body_seconds=20)
    bodies[1].may_go.set()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(_ask, application, bodies[0])
        assert bodies[0].is_read.wait(10)
        for _ in range(3):  # the place beside is given back each time
            assert _ask(application, bodies[1]) == [b"body"]
        bodies[0].may_go.set()
        assert slow.result(10) == [b"body"]


def test_what_the_server_raises_reaches_the_application_from_beside_too(bodies: list[Body]) -> None:
    class Broken(Body):
        def read(self, *size: int) -> bytes:
            raise ConnectionResetError("the client hung up")

    application = SlowBodies(_reads, direct_reads=1, side_reads=1, body_seconds=20)
    with pytest.raises(ConnectionResetError):
        _ask(application, Broken())
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(_ask, application, bodies[0])
        assert bodies[0].is_read.wait(10)
        with pytest.raises(ConnectionResetError):
            _ask(application, Broken())
        bodies[0].may_go.set()
        slow.result(10)
