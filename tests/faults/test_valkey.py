"""Valkey killed, and Valkey that hangs: events are taken all the same, and the profiles are repaired later."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
import redis

from tests.faults.installation import Installation, Shop, Web
from tests.faults.load import Load
from tests.faults.reckoning import reckon
from tests.servers import PASSWORD, ROOT

pytestmark = pytest.mark.alone

# Without Valkey a request waits for it a few times 50 ms, and then for a second not at all.
ANSWERED_WITHIN_SECONDS = 10.0
PROFILE_EVENTS_OF_VISITORS = """
SELECT visitor_id, count(*) FROM tracking_event
 WHERE store_id = %s AND visitor_id IS NOT NULL AND purposes & 4 <> 0 AND NOT is_bot
   AND type = 1 AND name IN ('Product Viewed', 'Product Added', 'Order Completed')
 GROUP BY 1
"""
FOLD = (
    "import django; django.setup(); from tracking.folding import fold_new_events; fold_new_events({store_id})"
)


def sweep(installation: Installation, shop: Shop) -> None:
    """What the worker does every ten seconds."""
    done = subprocess.run(
        [sys.executable, "-c", FOLD.format(store_id=shop.store_id)],
        cwd=ROOT, env=installation.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def profiles(installation: Installation, shop: Shop) -> dict[int, int]:
    """Events in the profile of each visitor."""
    servers = installation.servers
    with redis.Redis(port=servers.valkey_port, password=PASSWORD) as client:
        names = client.keys(f"etalage:{shop.store_id}:profile:v:*")
        return {int(name.rsplit(b":", 1)[1]): int(client.zcard(name)) for name in names}


def test_killed_under_load_and_empty_when_it_returns(
    installation: Installation, shop: Shop, web: Web
) -> None:
    servers = installation.servers
    load = Load(shop, (web.port,), largest=40)
    with load.running():
        load.wait_for(60)
        servers.valkey_process.send_signal(signal.SIGKILL)
        servers.valkey_process.wait(5)
        load.wait_for(60)
        found = web.readiness()
        assert (found["code"], found["status"], found["checks"]["database"]) == (200, "degraded", "ok")
        assert found["checks"]["valkey"].startswith("failed")
        # The worst case: it comes back with nothing.
        for path in (servers.valkey.directory / "appendonlydir").glob("*"):
            path.unlink()
        servers.start_valkey()
        load.wait_for(60)
    assert not load.refused
    assert max(attempt.seconds for attempt in load.attempts) < ANSWERED_WITHIN_SECONDS
    reckon(installation, shop, load.attempts)
    sweep(installation, shop)
    in_log = dict(installation.query(PROFILE_EVENTS_OF_VISITORS, shop.store_id))
    assert len(in_log) > 20
    assert profiles(installation, shop) == {visitor: min(count, 300) for visitor, count in in_log.items()}


def test_hanging_it_costs_milliseconds(installation: Installation, shop: Shop, web: Web) -> None:
    """Stopped, not gone: connections are accepted and nobody answers."""
    servers = installation.servers
    load = Load(shop, (web.port,), largest=40)
    with load.running():
        load.wait_for(30)
        servers.valkey_process.send_signal(signal.SIGSTOP)
        try:
            load.wait_for(80)
            assert web.readiness()["status"] == "degraded"
        finally:
            servers.valkey_process.send_signal(signal.SIGCONT)
        load.wait_for(30)
    assert not load.refused
    assert max(attempt.seconds for attempt in load.attempts) < ANSWERED_WITHIN_SECONDS
    reckon(installation, shop, load.attempts)
    sweep(installation, shop)
    in_log = dict(installation.query(PROFILE_EVENTS_OF_VISITORS, shop.store_id))
    assert profiles(installation, shop) == {visitor: min(count, 300) for visitor, count in in_log.items()}
