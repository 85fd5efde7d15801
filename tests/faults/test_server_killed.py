"""`kill -9` of the web server under load: of a worker process, and of the main process."""

from __future__ import annotations

import signal

import psutil
import pytest

from tests.faults.installation import Installation, Shop
from tests.faults.load import Load
from tests.faults.reckoning import reckon

pytestmark = pytest.mark.alone


def test_a_killed_worker_process_loses_nothing_acknowledged_and_is_replaced(
    installation: Installation, shop: Shop
) -> None:
    with installation.web(processes=2) as web:
        load = Load(shop, (web.port,))
        with load.running():
            for kills in (1, 2):
                load.wait_for(60)
                web.workers()[0].kill()
                # Granian takes two deaths within 5.5 s for a crash loop, so the second waits for its replacement.
                web.wait_for_workers(2 + kills)
            load.wait_for(60)
        assert len(web.workers()) == 2
    assert load.refused, "the kill hit nobody: this test would prove nothing"
    reckon(installation, shop, load.attempts)


def test_a_killed_main_process_leaves_no_orphans_and_its_successor_takes_over(
    installation: Installation, shop: Shop
) -> None:
    with installation.web(processes=2) as web:
        load = Load(shop, (web.port,))
        with load.running():
            load.wait_for(60)
            orphans = web.workers()
            web.main.send_signal(signal.SIGKILL)
            web.main.wait(5)
            # They would go on serving an old release beside the new one.
            assert not psutil.wait_procs(orphans, timeout=20)[1]
            web.start()
            load.wait_for(60)
    assert load.refused, "the kill hit nobody: this test would prove nothing"
    reckon(installation, shop, load.attempts)
