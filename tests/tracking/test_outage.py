"""Who may try while the database is known to be gone."""

from __future__ import annotations

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
