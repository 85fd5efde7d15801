"""PostgreSQL restarted under load, shut down in order and by a crash. It fsyncs here, as in production."""

from __future__ import annotations

import signal
import time

import pytest

from tests.faults.installation import Installation, Shop, Web, wait_until
from tests.faults.load import Attempt, Load, Mix, send_alone
from tests.faults.reckoning import reckon

pytestmark = pytest.mark.alone

# What `docs/operations.md` states, twice and more of it: other tests may run beside.
REFUSED_WITHIN_SECONDS = 15.0
BACK_WITHIN_SECONDS = 15.0


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGQUIT], ids=["fast shutdown", "immediate shutdown"]
)
def test_a_restart_under_load_loses_nothing_acknowledged(
    installation: Installation, shop: Shop, web: Web, number: signal.Signals
) -> None:
    load = Load(shop, (web.port,), clients=8)
    with load.running():
        load.wait_for(60)
        installation.servers.end_postgres(number)
        refused_before = len(load.refused)
        wait_until(lambda: len(load.refused) >= refused_before + 8, 60, "refusals")
        installation.servers.start_postgres()
        back_at = time.monotonic()
        load.wait_for(1)
        took = time.monotonic() - back_at
        load.wait_for(60)
    reckon(installation, shop, load.attempts)
    assert {attempt.status for attempt in load.refused} == {503}
    assert max(attempt.seconds for attempt in load.attempts) < REFUSED_WITHIN_SECONDS
    assert took < BACK_WITHIN_SECONDS


def test_a_backend_that_dies_takes_nothing_acknowledged_along(
    installation: Installation, shop: Shop, web: Web
) -> None:
    """`kill -9` of one backend: PostgreSQL then throws everybody out and recovers by its log."""
    import psutil

    load = Load(shop, (web.port,))
    with load.running():
        load.wait_for(60)
        [(pid,)] = installation.query(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'etalage' AND backend_type = 'client backend'"
            " ORDER BY xact_start NULLS LAST LIMIT 1"
        )
        psutil.Process(pid).kill()
        load.wait_for(60)
    reckon(installation, shop, load.attempts)
    assert {attempt.status for attempt in load.refused} <= {503}


def test_while_it_is_down_every_client_is_refused_in_bounded_time(
    installation: Installation, shop: Shop, web: Web
) -> None:
    """More clients than threads: nobody may wait in a queue behind others who wait."""
    installation.servers.end_postgres(signal.SIGINT)
    try:
        load = Load(shop, (web.port,), clients=48, largest=3, resends=False)
        with load.running():
            wait_until(lambda: len(load.refused) >= 200, 60, "200 refusals")
        status = web.readiness()
    finally:
        installation.servers.start_postgres()
    assert {attempt.status for attempt in load.attempts} == {503}
    assert all(int(attempt.retry_after or 0) >= 1 for attempt in load.attempts)
    assert max(attempt.seconds for attempt in load.attempts) < REFUSED_WITHIN_SECONDS
    assert (status["code"], status["status"]) == (503, "unavailable")
    assert web.metric("etalage_events_refused_total") >= 200
    batch = Mix("afterwards", shop.store_id).batch()
    attempts: list[Attempt] = []

    def is_back() -> bool:
        attempts.append(send_alone(web.port, shop, batch))
        return attempts[-1].is_acknowledged

    wait_until(is_back, BACK_WITHIN_SECONDS, "200")
    reckon(installation, shop, attempts)
