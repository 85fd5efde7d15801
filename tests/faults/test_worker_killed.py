"""`kill -9` of the Celery worker while it folds the log: what it left undone, its successor does."""

from __future__ import annotations

import pytest

from tests.faults.installation import Installation, Shop, Web, wait_until
from tests.faults.load import Load
from tests.faults.reckoning import reckon

pytestmark = pytest.mark.alone

_BEHIND = """
SELECT count(*) FROM tracking_event
 WHERE store_id = %(store)s AND xact_id >= coalesce(
   (SELECT min(xact_id) FROM tracking_logposition WHERE store_id = %(store)s), 0)
"""
_POSITION = "SELECT coalesce(min(xact_id), 0) FROM tracking_logposition WHERE store_id = %s"
_IN_SESSIONS = "SELECT coalesce(sum(event_count), 0) FROM tracking_session WHERE store_id = %s"
_FOR_SESSIONS = """
SELECT count(*) FROM tracking_event
 WHERE store_id = %s AND visitor_id IS NOT NULL AND purposes & 2 <> 0 AND type IN (1, 2, 3, 6)
"""
_ORDERS = "SELECT count(*), count(DISTINCT order_id) FROM tracking_order WHERE store_id = %s"
_ORDER_EVENTS = "SELECT count(*) FROM tracking_event WHERE store_id = %s AND name = 'Order Completed'"


def test_folds_catch_up_after_the_worker_was_killed(installation: Installation, shop: Shop, web: Web) -> None:
    load = Load(shop, (web.port,), clients=4, largest=60)
    with load.running():
        with installation.worker() as first:
            wait_until(lambda: installation.query(_POSITION, shop.store_id)[0][0] > 0, 120, "a first fold")
            first.kill()
        load.wait_for(40)
    reckon(installation, shop, load.attempts)
    behind = installation.query(_BEHIND.replace("%(store)s", str(shop.store_id)))[0][0]
    assert behind > 0, "nothing was left to catch up with: this test would prove nothing"
    with installation.worker():
        visits = installation.query(_FOR_SESSIONS, shop.store_id)
        wait_until(lambda: installation.query(_IN_SESSIONS, shop.store_id) == visits, 60, "all sessions")
        [(ordered,)] = installation.query(_ORDER_EVENTS, shop.store_id)
        wait_until(
            lambda: installation.query(_ORDERS, shop.store_id) == [(ordered, ordered)], 60, "all orders"
        )
