"""Bodies that do not come."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest

from config import slow_bodies
from config.slow_bodies import SlowBodies


class Body(BytesIO):
    """A body that is there once it is let go."""

    def __init__(self, content: bytes = b"body") -> None:
        super().__init__(content)
        self.may_go = threading.Event()
        self.is_read = threading.Event()

    def read(self, size: int | None = -1) -> bytes:
        self.is_read.set()
        assert self.may_go.wait(30)
        return super().read(size)


@pytest.fixture
def bodies() -> Iterator[list[Body]]:
    made = [Body() for _ in range(3)]
    yield made
    for body in made:
        body.may_go.set()


def _echo(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [])
    return [environ["wsgi.input"].read(100)]


def _ask(application: SlowBodies, body: BytesIO, length: str = "4", **environ: str) -> tuple[str, bytes]:
    statuses: list[str] = []
    answer = application(
        {"wsgi.input": body, "CONTENT_LENGTH": length, **environ}, lambda status, _: statuses.append(status)
    )
    return statuses[0], b"".join(answer)


def test_requests_that_share_a_commit_take_no_place() -> None:
    meet = threading.Barrier(3)

    def commit(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        meet.wait(10)
        start_response("200 OK", [])
        return [b""]

    application = SlowBodies(commit, threads=1, waiting=3, is_brief=lambda path: path == "/v1/batch")
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(_ask, application, BytesIO(b"body"), PATH_INFO="/v1/batch") for _ in range(3)]
        assert [one.result(20)[0] for one in asked] == ["200 OK"] * 3, "three at once, with one place to work"


def test_whoever_waits_for_a_body_takes_no_place_of_those_who_work(bodies: list[Body]) -> None:
    application = SlowBodies(_echo, threads=1, waiting=2)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(_ask, application, bodies[0])
        assert bodies[0].is_read.wait(10)
        for _ in range(3):
            assert _ask(application, BytesIO(b"fast")) == ("200 OK", b"fast")
        bodies[0].may_go.set()
        assert slow.result(10) == ("200 OK", b"body")


def test_where_too_many_wait_bodies_are_refused_unread_and_the_rest_is_served(bodies: list[Body]) -> None:
    application = SlowBodies(_echo, threads=1, waiting=2)
    with ThreadPoolExecutor(2) as pool:
        slow = [pool.submit(_ask, application, body) for body in bodies[:2]]
        assert all(body.is_read.wait(10) for body in bodies[:2])
        status, answer = _ask(application, bodies[2])
        assert (status, json.loads(answer)["code"]) == ("503 Service Unavailable", "unavailable")
        assert not bodies[2].is_read.is_set()
        assert _ask(application, BytesIO(), length="")[0] == "200 OK"
        assert _ask(application, BytesIO(), length="0")[0] == "200 OK"
        for body in bodies[:2]:
            body.may_go.set()
        assert [future.result(10)[0] for future in slow] == ["200 OK"] * 2
    assert _ask(application, BytesIO(b"fast"))[0] == "200 OK"


def test_no_more_than_its_threads_work_at_once() -> None:
    at_once, most, lock, both = 0, 0, threading.Lock(), threading.Barrier(2)

    def work(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        both.wait(10)
        with lock:
            at_once -= 1
        return []

    application = SlowBodies(work, threads=2, waiting=8)
    with ThreadPoolExecutor(6) as pool:
        for future in [pool.submit(application, {"CONTENT_LENGTH": ""}, lambda *_: None) for _ in range(6)]:
            future.result(20)
    assert most == 2


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_bodies, "FIRST_BYTES", 10)
    monkeypatch.setattr(slow_bodies, "MAX_BYTES", 25)


CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked"}


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("length", ["25", ""])
def test_a_long_body_is_read_like_any_other(length: str) -> None:
    content = b"first line\nsecond\nand last"[:25]

    def ask(use: Callable[[Any], Any]) -> Any:
        found: list[Any] = []

        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
            found.append(use(environ["wsgi.input"]))
            return []

        environ = {"wsgi.input": BytesIO(content), "CONTENT_LENGTH": length, **CHUNKED}
        SlowBodies(application, threads=1)(environ, lambda *_: None)
        return found[0]

    assert ask(lambda stream: stream.read()) == content
    assert b"".join(ask(lambda stream: list(iter(lambda: stream.read(4), b"")))) == content
    assert ask(list) == content.splitlines(keepends=True)
    assert ask(lambda stream: [stream.readline(4), stream.readline(), stream.read(0), stream.read(3)]) == [
        b"firs", b"t line\n", b"", b"sec",
    ]  # fmt: skip


class Stalling(BytesIO):
    """Gives `there` bytes at once, and the rest when it is let go."""

    def __init__(self, content: bytes, there: int) -> None:
        super().__init__(content)
        self.there = there
        self.may_go = threading.Event()
        self.stalls = threading.Event()

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() < self.there:
            return super().read(min(size or 0, self.there - self.tell()))
        self.stalls.set()
        assert self.may_go.wait(30)
        return super().read(size)


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("length", ["20", ""])
def test_a_long_body_that_stalls_takes_no_place_of_those_who_work(length: str) -> None:
    stalling = Stalling(b"x" * 20, there=12)
    application = SlowBodies(_echo, threads=1, waiting=2)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(_ask, application, stalling, length, **CHUNKED)
        try:
            assert stalling.stalls.wait(10)
            with ThreadPoolExecutor(1) as others:
                assert others.submit(_ask, application, BytesIO(b"fast")).result(10) == ("200 OK", b"fast")
        finally:
            stalling.may_go.set()
        assert slow.result(10) == ("200 OK", b"x" * 20)


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("length", ["26", ""])
def test_what_is_longer_than_anything_may_be_is_refused(length: str) -> None:
    application = SlowBodies(_echo, threads=1, waiting=1)
    status, answer = _ask(application, BytesIO(b"x" * 26), length, **CHUNKED)
    assert (status, json.loads(answer)["code"]) == ("413 Content Too Large", "too_large")
    assert _ask(application, BytesIO(b"x" * 25), "25") == ("200 OK", b"x" * 25)
