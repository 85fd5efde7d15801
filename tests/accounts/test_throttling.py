from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from accounts import keys
from accounts import valkey as cache
from accounts.client_address import client_address
from accounts.models import Scope
from accounts.services import api_key_create
from accounts.throttling import admit
from tests.factories import StoreFactory


@pytest.fixture(autouse=True)
def _fresh():
    keys.forget_all()
    cache.breaker.reset()
    yield
    cache.breaker.reset()


class Clock:
    now = 1_000_000 * 60.0  # the start of a window

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("accounts.throttling.time.time", clock)
    return clock


def test_calls_up_to_the_limit_pass_and_then_wait_for_the_window(valkey, clock):
    assert [admit("a", 3).is_allowed for _ in range(5)] == [True, True, True, False, False]
    clock.now += 20
    assert admit("a", 3).retry_after_seconds == 40
    assert admit("b", 3).is_allowed


def test_the_window_slides(valkey, clock):
    """10 calls in the last window, a quarter of the new one gone: 7.5 of them still count. Two more make 9.5, a third 10.5."""
    for _ in range(10):
        admit("a", 10)
    clock.now += 75
    assert [admit("a", 10).is_allowed for _ in range(3)] == [True, True, False]
    clock.now += 120
    assert admit("a", 10).is_allowed


def test_a_call_may_cost_more_than_one(valkey, clock):
    assert admit("a", 100, cost=60).is_allowed
    assert not admit("a", 100, cost=60).is_allowed


def test_no_limit_is_no_limit(valkey, clock):
    assert all(admit("a", 0).is_allowed for _ in range(20))


def test_counts_go_away_by_themselves(valkey, clock):
    admit("a", 5)
    (name,) = valkey.keys("etalage:throttle:*")
    assert 0 < valkey.ttl(name) <= 120


def test_without_valkey_nobody_is_refused(settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert all(admit("a", 1).is_allowed for _ in range(5))


@pytest.mark.django_db
def test_the_api_refuses_with_a_time_to_wait_by_key_and_address(valkey, settings):
    settings.ETALAGE_PUBLIC_CALLS_PER_MINUTE = 2
    store = StoreFactory()
    client = APIClient()
    _, secret = api_key_create(store=store, name="page", scopes=[Scope.RECOMMENDATIONS_READ])
    _, other = api_key_create(store=store, name="other", scopes=[Scope.RECOMMENDATIONS_READ])

    def ask(key: str, address: str):
        return client.get("/api/v1/products/", headers={"X-Api-Key": key}, REMOTE_ADDR=address)

    assert [ask(secret, "192.0.2.1").status_code for _ in range(3)] == [200, 200, 429]
    refused = ask(secret, "192.0.2.1")
    assert refused.json()["code"] == "too_many_requests"
    assert 1 <= int(refused["Retry-After"]) <= 60
    assert ask(secret, "192.0.2.2").status_code == 200
    assert ask(other, "192.0.2.1").status_code == 200


@pytest.mark.django_db
def test_a_secret_key_has_a_limit_of_its_own(valkey, settings):
    settings.ETALAGE_PUBLIC_CALLS_PER_MINUTE = 1
    settings.ETALAGE_SECRET_CALLS_PER_MINUTE = 3
    _, secret = api_key_create(store=StoreFactory(), name="server", scopes=[Scope.MANAGE])
    client = APIClient(headers={"X-Api-Key": secret})
    assert [client.get("/api/v1/products/").status_code for _ in range(4)] == [200, 200, 200, 429]


@pytest.mark.parametrize(
    ("address", "expected"),
    [("192.0.2.1", "192.0.2.1"), ("2001:DB8::1", "2001:db8::1"), ("", ""), ("unix:", "")],
)
def test_the_clients_address(rf, address, expected):
    request = rf.get("/", REMOTE_ADDR=address, headers={"X-Forwarded-For": "10.0.0.1"})
    assert client_address(request) == expected
