from __future__ import annotations

import socket
import threading

import pytest
import redis

from accounts import valkey
from accounts.valkey import Breaker, ValkeyUnavailable


@pytest.fixture(autouse=True)
def _closed_breaker():
    valkey.breaker.reset()
    yield
    valkey.breaker.reset()


@pytest.fixture
def nobody_there(settings) -> str:
    """A port that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        settings.REDIS_URL = f"redis://127.0.0.1:{held.getsockname()[1]}/0"
        yield settings.REDIS_URL


def test_a_call_gives_what_the_server_answers(valkey):
    from accounts.valkey import call

    assert call(lambda client: client.set("a", "1")) is True
    assert call(lambda client: client.get("a"), None) == b"1"


def test_without_a_server_the_default_is_given_or_the_caller_told(nobody_there):
    assert valkey.call(lambda client: client.get("a"), "default") == "default"
    with pytest.raises(ValkeyUnavailable, match="REDIS_URL"):
        valkey.call(lambda client: client.get("a"))


def test_after_three_failures_nobody_tries_any_more(nobody_there):
    tried = []

    def ask(client: redis.Redis) -> object:
        tried.append(1)
        return client.get("a")

    for _ in range(10):
        assert valkey.call(ask, None) is None
    assert len(tried) == 3
    assert valkey.breaker.is_open


def test_a_fault_of_ours_is_raised_and_is_no_outage(valkey):
    from accounts.valkey import breaker, call

    for _ in range(5):
        with pytest.raises(redis.ResponseError):
            call(lambda client: client.execute_command("NO SUCH COMMAND"), None)
    assert not breaker.is_open


def test_an_answer_that_never_comes_is_given_up_in_good_time(settings):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.REDIS_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        answers = []
        asker = threading.Thread(
            target=lambda: answers.append(valkey.call(lambda client: client.get("a"), "default"))
        )
        asker.start()
        asker.join(timeout=5)
    assert answers == ["default"]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("accounts.valkey.time.monotonic", clock)
    return clock


def test_half_open_lets_one_call_through_and_a_success_closes(clock):
    breaker = Breaker(failures=2, open_seconds=1.0)
    breaker.failed()
    assert breaker.admit()
    breaker.failed()
    assert not breaker.admit()
    clock.now += 1.0
    assert [breaker.admit() for _ in range(3)] == [True, False, False]
    breaker.failed()
    assert not breaker.admit()
    clock.now += 1.0
    assert breaker.admit()
    breaker.succeeded()
    assert [breaker.admit() for _ in range(3)] == [True, True, True]


def test_a_success_between_failures_forgives_them(clock):
    breaker = Breaker(failures=2, open_seconds=1.0)
    for _ in range(5):
        breaker.failed()
        breaker.succeeded()
    assert breaker.admit()


def test_keys_of_a_store_begin_with_it():
    assert valkey.key(7, "profile", "v", 12) == "etalage:7:profile:v:12"
