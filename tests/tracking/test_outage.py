"""Who may try while the database is known to be gone."""

from __future__ import annotations

from threading import Thread
from types import SimpleNamespace

import pytest
from django.test import Client

from accounts import keys
from tests.factories import StoreFactory
from tests.tracking.conftest import make_key, viewed
from tracking.ingestion import committer as committing
from tracking.ingestion.outage import PAUSE_SECONDS, PROBE_SECONDS, Outage


def test_after_a_failure_one_at_a_time_finds_out_whether_the_database_is_back(monkeypatch):
    now = 100.0
    monkeypatch.setattr("tracking.ingestion.outage.time.monotonic", lambda: now)
    outage = Outage(stall_seconds=10)
    outage.began_writing()
    outage.ended_writing(is_outage=True)
    assert not outage.admits()
    now += PAUSE_SECONDS
    assert [outage.admits() for _ in range(3)] == [True, False, False]
    now += PROBE_SECONDS  # the probe never came back
    assert [outage.admits() for _ in range(2)] == [True, False]
    outage.began_writing()
    outage.ended_writing(is_outage=False)
    assert [outage.admits() for _ in range(3)] == [True, True, True]


def test_while_a_write_hangs_nobody_is_let_in_to_wait_behind_it(monkeypatch):
    now = 100.0
    monkeypatch.setattr("tracking.ingestion.outage.time.monotonic", lambda: now)
    outage = Outage(stall_seconds=10)
    outage.began_writing()
    now += 10
    assert outage.admits()
    now += 0.1
    assert not outage.admits()
    outage.ended_writing(is_outage=False)
    assert outage.admits()


def test_what_the_database_refuses_for_another_reason_is_no_outage():
    outage = Outage(stall_seconds=10)
    outage.began_writing()
    outage.ended_writing(is_outage=False)
    assert outage.admits()
    outage.failed()
    assert not outage.admits()


def test_a_probe_that_ends_without_a_write_is_given_back(monkeypatch):
    now = 100.0
    monkeypatch.setattr("tracking.ingestion.outage.time.monotonic", lambda: now)
    outage = Outage(stall_seconds=10)
    outage.failed()
    outage.given_up()  # a request that came before the failure is no probe
    assert not outage.admits()
    now += PAUSE_SECONDS
    assert [outage.admits(), outage.admits()] == [True, False]
    other = Thread(target=outage.given_up)
    other.start()
    other.join()
    assert not outage.admits()
    outage.given_up()
    assert [outage.admits(), outage.admits()] == [True, False]
    outage.handed_in()
    outage.given_up()
    assert not outage.admits()


@pytest.fixture
def _own_committer():
    keys.forget_all()
    committing.close()
    yield
    committing.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_own_committer")
@pytest.mark.parametrize(
    ("wasted", "status"),
    [
        ({"writeKey": "nobodys", "batch": [viewed(messageId="m0")]}, 401),
        ({"batch": []}, 200),
    ],
)
def test_a_request_that_writes_nothing_does_not_use_up_the_probe(monkeypatch, wasted, status):
    _, secret = make_key(StoreFactory())
    now = 100.0
    # The clock of the outage alone: the committer's threads wait by the real one.
    monkeypatch.setattr("tracking.ingestion.outage.time", SimpleNamespace(monotonic=lambda: now))

    def send(body):
        return (
            Client()
            .post("/v1/batch", {"writeKey": secret, **body}, content_type="application/json")
            .status_code
        )

    good = {"batch": [viewed(messageId="m1")]}
    committing.failed()
    assert send(good) == 503
    now += PAUSE_SECONDS
    assert send(wasted) == status
    assert send(good) == 200
    now += 0.001  # well before a lost probe would be replaced
    assert send(good) == 200
