"""SIGTERM: what has begun is answered, and the server is gone in its stated time."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import psutil
import pytest

from config.serving import DRAIN_SECONDS
from tests.faults.installation import Installation, Shop, Web, wait_until
from tests.faults.load import Attempt, Batch, HttpClient, Load
from tests.faults.reckoning import reckon

pytestmark = pytest.mark.alone

IN_FLIGHT = 6
_WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'etalage'"
)


def _end(web: Web) -> float:
    """Send SIGTERM; seconds until the last process of the server is gone."""
    family = [psutil.Process(web.main.pid), *web.workers()]
    started = time.monotonic()
    web.main.send_signal(signal.SIGTERM)
    web.main.wait(DRAIN_SECONDS + 10)
    assert not psutil.wait_procs(family, timeout=1)[1]
    return time.monotonic() - started


def test_under_load_the_server_ends_soon_and_nothing_acknowledged_is_lost(
    installation: Installation, shop: Shop
) -> None:
    with installation.web() as web:
        load = Load(shop, (web.port,), clients=8, patience_seconds=0)
        with load.running():
            load.wait_for(100)
            seconds = _end(web)
        assert web.main.returncode == 0
    assert seconds < DRAIN_SECONDS
    assert {attempt.status for attempt in load.refused} <= {None, 503}
    reckon(installation, shop, load.attempts)


@contextmanager
def _in_flight(installation: Installation, shop: Shop, web: Web) -> Iterator[list[Future[Attempt]]]:
    """Requests that wait for their commit, which waits for a lock until the block is left."""
    with installation.connect() as blocker, ThreadPoolExecutor(IN_FLIGHT) as pool:
        blocker.autocommit = False
        blocker.execute("LOCK TABLE tracking_event IN ACCESS EXCLUSIVE MODE")

        def send(number: int) -> Attempt:
            message = {"type": "track", "event": "Product Viewed", "anonymousId": f"anon-{number}"}
            message |= {"messageId": f"{number}-log", "properties": {"product_id": "p1"}}
            client = HttpClient(web.port, shop.key)
            try:
                return client.send(Batch((message,)))
            finally:
                client.close()

        answers = [pool.submit(send, 0)]
        wait_until(lambda: installation.query(_WAITING)[0][0] == 1, 10, "a commit that waits")
        answers += [pool.submit(send, number) for number in range(1, IN_FLIGHT)]
        wait_until(lambda: web.metric("etalage_pending_events") == IN_FLIGHT - 1, 10, "requests that wait")
        yield answers
        blocker.rollback()


def test_every_request_in_flight_is_answered(installation: Installation, shop: Shop) -> None:
    with installation.web(processes=1) as web:
        with _in_flight(installation, shop, web) as answers:
            web.main.send_signal(signal.SIGTERM)
            wait_until(lambda: b"Shutting down granian" in web.log.read_bytes(), 10, "a server that ends")
        attempts = [answer.result() for answer in answers]
        assert web.main.wait(DRAIN_SECONDS) == 0
    assert [attempt.status for attempt in attempts] == [200] * IN_FLIGHT
    assert len(reckon(installation, shop, attempts).log) == IN_FLIGHT


def test_a_database_that_hangs_does_not_keep_the_server_from_ending(
    installation: Installation, shop: Shop
) -> None:
    with installation.web(processes=1, INGEST_TIMEOUT_SECONDS="3") as web:
        with _in_flight(installation, shop, web) as answers:
            seconds = _end(web)
            attempts = [answer.result() for answer in answers]
        assert [attempt.status for attempt in attempts] == [503] * IN_FLIGHT
        assert all(attempt.seconds < 3 + 2 for attempt in attempts)
    assert seconds < DRAIN_SECONDS + 2
    # What was refused may have been written all the same, never the other way round; a resend finds it.
    counts = installation.query(
        "SELECT count(*), count(DISTINCT message_id) FROM tracking_event WHERE store_id = %s", shop.store_id
    )
    assert counts[0][0] == counts[0][1] <= 1
