"""Several workers at one request: nobody does a part twice, nobody waits for a worker that has died."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from django.db import connection, connections

from accounts import personal_data
from accounts.models import Customer
from accounts.personal_data import ErasureReport, Processor, Subject
from accounts.selectors.identity import subject_of
from consent.models import DataSubjectRequest, RequestPart
from consent.services.request_processing import advance, due_for_sweep, process_now, run_part
from consent.services.requests import request_open

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE_SECONDS = 30


class Slow:
    """A processor that waits in the middle of its first work until it is let go. `erased`: how often it came to the end."""

    def __init__(self) -> None:
        self.began, self.may_end = threading.Event(), threading.Event()
        self.backend_pid = 0
        self.erased = 0

    def erase(self, subject: Subject) -> ErasureReport:
        Customer.objects.for_store(subject.store).filter(pk__in=subject.customer_ids).update(city="half done")
        if not self.began.is_set():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                (self.backend_pid,) = cursor.fetchone()
            self.began.set()
            assert self.may_end.wait(PATIENCE_SECONDS)
        Customer.objects.for_store(subject.store).filter(pk__in=subject.customer_ids).update(city="")
        self.erased += 1
        return ErasureReport(deleted={"things": 1})


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch, tmp_path, settings) -> Slow:  # type: ignore[no-untyped-def]
    settings.ETALAGE_ANCHOR_DIR = tmp_path
    held = Slow()
    processor = Processor("slow", "Slow", lambda subject: [], held.erase)
    monkeypatch.setattr(personal_data, "_processors", {"slow": processor})
    return held


@pytest.fixture
def begun(customer: Customer, slow: Slow) -> Iterator[RequestPart]:
    """An erasure of which another worker is in the middle of the only part."""
    request = request_open(subject=subject_of(customer), kind="erasure", source="account")
    advance(request.pk, lambda part_id: None)
    part = RequestPart.all_stores.get(request=request)
    worker = threading.Thread(target=_work, args=(part.pk,))
    worker.start()
    assert slow.began.wait(PATIENCE_SECONDS)
    yield part
    slow.may_end.set()
    worker.join(PATIENCE_SECONDS)


def _work(part_id: int) -> None:
    try:
        run_part(part_id)
    except Exception:  # its connection was ended: this worker is dead
        pass
    finally:
        connections.close_all()


def test_a_part_that_somebody_works_on_is_left_to_them(begun: RequestPart, slow: Slow) -> None:
    assert not run_part(begun.pk)
    assert due_for_sweep() == []
    slow.may_end.set()
    process_when_free(begun)
    assert slow.erased == 1


def test_a_part_whose_worker_died_is_done_by_the_next_at_once(begun: RequestPart, slow: Slow) -> None:
    with connection.cursor() as cursor:
        # What the database sees of kill -9: the connection is gone, and with it the transaction and the lock.
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [slow.backend_pid])
    begun.refresh_from_db()
    assert begun.state == RequestPart.State.RUNNING
    assert due_for_sweep() == [begun.request_id]
    assert Customer.all_stores.get().city == ""  # its half-done work was taken back
    process_now(begun.request)
    assert begun.request.state == DataSubjectRequest.State.COMPLETE
    assert slow.erased == 1
    begun.refresh_from_db()
    assert (begun.state, begun.attempts) == (RequestPart.State.DONE, 2)


def process_when_free(part: RequestPart) -> None:
    """Until the other worker has let go of the part."""
    for _ in range(PATIENCE_SECONDS * 10):
        process_now(part.request)
        if part.request.state == DataSubjectRequest.State.COMPLETE:
            return
        threading.Event().wait(0.1)
    raise AssertionError(f"The request is {part.request.state}.")
