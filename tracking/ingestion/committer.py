"""The group commit: requests that arrive together are written by one thread in one transaction.

A request's thread hands in its drafts and waits, holding no connection. The committer takes all that is
waiting, writes it, and answers everybody after the commit. While it waits for the database, the next group
gathers. The queue is bounded, and so is the wait: beyond either the request is refused, so that its client
tries again.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from django.conf import settings
from django.db import (
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    OperationalError,
    connection,
    transaction,
)

from tracking.debugging import reporting
from tracking.ingestion import after_commit, metrics
from tracking.ingestion.drafts import Draft, Reason, Tally
from tracking.ingestion.outage import Outage
from tracking.ingestion.submission import Submission
from tracking.ingestion.writing import prepare, write

log = structlog.get_logger(__name__)

MAX_GROUP_EVENTS: Final = 5_000
MAX_GATHER_SECONDS: Final = 0.002
GATHER_SHARE: Final = 0.25  # of the time that the last commit took
_RETRIED_STATES: Final = frozenset({"40001", "40P01"})  # serialization failure, deadlock


class Unavailable(Exception):
    """The events were not stored, and nobody knows that they would be soon: try again after
    `retry_after_seconds`."""

    def __init__(self, message: str, retry_after_seconds: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


def commit(
    groups: Sequence[Sequence[Draft]], *, alongside: Callable[[Tally], object] | None = None
) -> list[Tally]:
    """Write several requests' drafts; each inner sequence is of one store. Gives what became of each.

    All in one transaction. Where the database refuses a value, one transaction a request, and of a request
    that is refused one an event, so that only the faulty event goes to quarantine. Raises django.db.Error
    where the database cannot be used.

    `alongside` (with a single group) is called with its tally in the transaction that writes it, so that what
    it writes stands or falls with the events.
    """
    try:
        tallies = _commit_together(groups, alongside)
    except Exception as error:
        if not _is_refusal(error):
            raise
        log.info("ingestion.refused", groups=len(groups), error=type(error).__name__)
        if len(groups) > 1:
            return [commit([group])[0] for group in groups]
        tallies = [_commit_singly(groups[0], alongside)]
    for outcome in ("stored", "duplicates", "quarantined", "discarded"):
        metrics.EVENTS.labels(outcome).inc(sum(getattr(tally, outcome) for tally in tallies))
    after_commit.announce([draft for group in groups for draft in group])
    reporting.committed(groups, tallies)
    return tallies


def _commit_together(
    groups: Sequence[Sequence[Draft]], alongside: Callable[[Tally], object] | None = None
) -> list[Tally]:
    def run() -> list[Tally]:
        if not connection.in_atomic_block:
            prepare()
        with transaction.atomic():
            tallies = _write_by_store(groups)
            if alongside is not None:
                alongside(tallies[0])
            return tallies

    return _with_retries(run)


def _write_by_store(groups: Sequence[Sequence[Draft]]) -> list[Tally]:
    """One write a store, in the order of the stores. A group's own tally is exact where it was written alone."""
    by_store: dict[int, list[int]] = {}
    for position, group in enumerate(groups):
        if group:
            by_store.setdefault(group[0].arrival.source.store_id, []).append(position)
    tallies = [Tally() for _ in groups]
    for _, positions in sorted(by_store.items()):
        drafts = [draft for position in positions for draft in groups[position]]
        tallies[positions[0]] = write(drafts)
    return tallies


def _is_refusal(error: Exception) -> bool:
    """Whether it is the events' fault, not the database's: a value that it does not take, or that trips our
    own code."""
    return isinstance(error, DataError | IntegrityError) or not isinstance(error, Error)


def _commit_singly(drafts: Sequence[Draft], alongside: Callable[[Tally], object] | None = None) -> Tally:
    if alongside is not None:
        with transaction.atomic():
            total = _commit_singly(drafts)
            alongside(total)
            return total
    total = Tally()
    for draft in drafts:
        try:
            total.add(_commit_together([[draft]])[0])
        except Exception as error:
            if not _is_refusal(error):
                raise
            if not isinstance(error, Error):
                log.exception("ingestion.event_failed", event_name=draft.name)
            detail = str(error).splitlines()[0] if str(error) else type(error).__name__
            draft.reject(Reason.DATABASE_REFUSED, detail)
            total.add(_commit_together([[draft]])[0])
    return total


def _with_retries(run: Callable[[], list[Tally]], attempts: int = 3) -> list[Tally]:
    """Again after a deadlock, and once after a lost connection: message ids make a second write harmless."""
    for attempt in range(1, attempts + 1):
        before = connection.connection
        try:
            return run()
        except (OperationalError, InterfaceError) as error:
            is_ours = not connection.in_atomic_block
            state = getattr(error.__cause__, "sqlstate", None)
            is_worth_it = state in _RETRIED_STATES or (
                attempt == 1 and before is not None and _is_lost(before)
            )
            if not is_ours or attempt == attempts or not is_worth_it:
                raise
    raise AssertionError("unreachable")


def _is_lost(before: object) -> bool:
    """Whether the connection that was there before is gone; Django may have replaced it on its way out."""
    if connection.connection is before and not connection.is_usable():
        connection.close()
    return connection.connection is not before


class Committer:
    """One thread and one connection of its own. `submit` may be called from any thread."""

    def __init__(
        self, *, max_pending_events: int, timeout_seconds: float, max_group_events: int = MAX_GROUP_EVENTS
    ) -> None:
        self.max_pending_events = max_pending_events
        self.timeout_seconds = timeout_seconds
        self.max_group_events = max_group_events
        self._queue: deque[Submission] = deque()
        self._pending_events = 0
        self._is_closing = False
        self._changed = threading.Condition()
        self._wanted_requests = 1
        self._last_requests = 1
        self._last_seconds = 0.0
        self._outage = Outage(stall_seconds=timeout_seconds)
        self._thread: threading.Thread | None = None

    @property
    def pending_events(self) -> int:
        return self._pending_events

    def check(self) -> None:
        """Raises Unavailable at once where it is known that nothing can be stored now: waiting would only keep
        others waiting too. Who is let in calls `ended` when the request is over, whatever became of it."""
        if self._is_closing:
            raise Unavailable("The server is shutting down.")
        if not self._outage.admits():
            raise Unavailable("The database was out of reach a moment ago.", retry_after_seconds=2.0)

    def ended(self) -> None:
        """The request that this thread was let in for is over. One that had nothing to write (a key that is refused)
        has not found out whether the database is back: somebody else may."""
        self._outage.given_up()

    def failed(self) -> None:
        """Note that somebody else found the database out of reach."""
        self._outage.failed()

    def submit(self, drafts: Sequence[Draft]) -> None:
        """Return when the drafts are committed. Raises Unavailable when they are not, within the timeout."""
        submission = Submission(drafts)
        with self._changed:
            if self._is_closing:
                raise Unavailable("The server is shutting down.")
            if self._pending_events and self._pending_events + len(drafts) > self.max_pending_events:
                raise Unavailable("More events are waiting than the database takes at the moment.")
            self._pending_events += len(drafts)
            metrics.PENDING.set(self._pending_events)
            self._queue.append(submission)
            self._outage.handed_in()
            self._start()
            if len(self._queue) >= self._wanted_requests:
                self._changed.notify()
        try:
            submission.wait(self.timeout_seconds)
        except TimeoutError:
            # Cancelled in time, it is never written; otherwise the client's second try finds it stored.
            submission.cancel()
            raise Unavailable("The database did not answer in time.", retry_after_seconds=5.0) from None

    def close(self, timeout_seconds: float | None = None) -> None:
        """Take nothing more, write what is waiting, end the thread."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_seconds)

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="etalage-committer", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        try:
            while group := self._take():
                self._commit(group)
        finally:
            connection.close()

    def _take(self) -> list[Submission]:
        """Everything that waits, up to `max_group_events` (but at least one request); empty when closing."""
        with self._changed:
            while not self._queue and not self._is_closing:
                self._changed.wait()
            self._gather()
            group: list[Submission] = []
            size = 0
            while self._queue and (not group or size + len(self._queue[0].drafts) <= self.max_group_events):
                submission = self._queue.popleft()
                self._pending_events -= len(submission.drafts)
                if submission.start():
                    group.append(submission)
                    size += len(submission.drafts)
                elif not self._queue and not self._is_closing:
                    self._changed.wait_for(lambda: self._queue or self._is_closing)
            return group

    def _gather(self) -> None:
        """Wait a moment for as many requests as came together the last time.

        Clients that were answered together send again together, a little apart: without the moment, the first of them
        gets a commit of its own, and all others wait for it. Alone, nobody waits.
        """
        self._wanted_requests = self._last_requests
        try:
            pause = min(MAX_GATHER_SECONDS, self._last_seconds * GATHER_SHARE)
            self._changed.wait_for(
                lambda: len(self._queue) >= self._wanted_requests or self._is_closing, pause
            )
        finally:
            self._wanted_requests = 1

    def _take_all(self) -> list[Submission]:
        with self._changed:
            waiting = [submission for submission in self._queue if submission.start()]
            self._queue.clear()
            self._pending_events = 0
            metrics.PENDING.set(0)
        return waiting

    def _commit(self, group: Sequence[Submission]) -> None:
        error: BaseException | None = Unavailable("The events could not be stored.", retry_after_seconds=5.0)
        is_outage = False
        events = sum(len(submission.drafts) for submission in group)
        metrics.GROUP_EVENTS.observe(events)
        metrics.PENDING.set(self._pending_events)
        self._outage.began_writing()
        started = time.monotonic()
        try:
            with metrics.COMMIT_SECONDS.time():
                commit([submission.drafts for submission in group])
            error = None
        except Error as cause:
            is_outage = isinstance(cause, OperationalError | InterfaceError) and (
                getattr(cause.__cause__, "sqlstate", None) not in _RETRIED_STATES
            )
            log.warning("ingestion.unavailable", error=str(cause).strip(), events=events)
            error = Unavailable(
                "The database cannot be reached or does not accept writes.", retry_after_seconds=2.0
            )
            connection.close()
        except Exception:
            log.exception("ingestion.failed")
            connection.close()
        finally:
            self._outage.ended_writing(is_outage=is_outage)
            self._last_requests, self._last_seconds = len(group), time.monotonic() - started
            # Those who came meanwhile would each find out for themselves, one wait after the other.
            for submission in [*group, *(self._take_all() if is_outage else ())]:
                submission.finish(error)


_committer: Committer | None = None
_lock = threading.Lock()


def committer() -> Committer:
    """This process's own, made when first asked for: threads do not survive a fork."""
    global _committer
    if _committer is None:
        with _lock:
            if _committer is None:
                _committer = Committer(
                    max_pending_events=settings.ETALAGE_INGEST_MAX_PENDING_EVENTS,
                    timeout_seconds=settings.ETALAGE_INGEST_TIMEOUT_SECONDS,
                )
    return _committer


def check() -> None:
    """Raises Unavailable where a request had better not wait; see `Committer.check`."""
    if not connection.in_atomic_block:
        committer().check()


def ended() -> None:
    """The request of this thread is over; see `Committer.ended`."""
    if _committer is not None:
        _committer.ended()


def failed() -> None:
    """Somebody else in this process found the database out of reach."""
    committer().failed()


def submit(drafts: Sequence[Draft]) -> None:
    """Have drafts stored before returning. Raises Unavailable.

    Inside of a caller's transaction they are written in it, on the caller's connection: nobody else could see
    its rows.
    """
    if connection.in_atomic_block:
        commit([drafts])
    elif drafts:
        committer().submit(drafts)


def close(timeout_seconds: float | None = None) -> None:
    """Let go of this process's committer; the next request makes a new one."""
    global _committer
    with _lock:
        ending, _committer = _committer, None
    if ending is not None:
        ending.close(timeout_seconds)


def _forget_after_fork() -> None:
    global _committer, _lock
    _committer, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_after_fork)
atexit.register(close, 10.0)
