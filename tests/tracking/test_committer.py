"""The group commit with real threads and real commits."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import DataError, OperationalError, connection
from django.test import Client

from accounts import keys
from profiles import store as profile_store
from tests.factories import StoreFactory
from tests.tracking.conftest import Sender, make_key, quarantined, stored, viewed
from tracking.ingestion import committer as committing
from tracking.ingestion.committer import Committer, Unavailable
from tracking.ingestion.drafts import Arrival, Source
from tracking.ingestion.uuid7 import uuid7s
from tracking.ingestion.validation import draft_of_fields
from tracking.models import Event, QuarantinedEvent

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop():
    keys.forget_all()
    store = StoreFactory()
    key, secret = make_key(store)
    return store, key, secret


@pytest.fixture(autouse=True)
def _own_committer() -> Iterator[None]:
    committing.close()
    yield
    committing.close()


def drafts(key, *messages):
    from django.utils import timezone

    arrival = Arrival(Source.of(key), timezone.now())
    return [draft_of_fields(message, arrival) for message in messages]


def test_requests_from_many_threads_are_each_answered_after_their_commit(shop):
    store, _, secret = shop

    def send(number: int) -> int:
        try:
            Sender(Client(), secret).batch(*[viewed(f"p{n}", messageId=f"{number}-{n}") for n in range(5)])
            return Event.objects.for_store(store).filter(message_id__startswith=f"{number}-").count()
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(send, range(40))) == [5] * 40
    assert Event.objects.for_store(store).count() == 200


def test_a_message_id_that_many_send_at_once_is_one_row(shop):
    """Two committers stand for two processes: nothing but the database keeps them apart."""
    store, key, _ = shop
    committers = [Committer(max_pending_events=10_000, timeout_seconds=30) for _ in range(2)]
    barrier = threading.Barrier(8)

    def send(number: int) -> None:
        barrier.wait()
        for round_ in range(10):
            names = range(round_ * 20, round_ * 20 + 20)
            messages = [viewed(f"p{n}", f"anon-{n % 7}", messageId=f"m{n}") for n in names]
            # Half of them in the opposite order: unordered inserts would deadlock.
            committers[number % 2].submit(drafts(key, *(messages if number % 3 else reversed(messages))))

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(send, number) for number in range(8)]:
            future.result()
    for committer in committers:
        committer.close()
    counts = Counter(event.message_id for event in stored(store))
    assert counts == {f"m{n}": 1 for n in range(200)}
    assert {event.visitor.anonymous_id for event in stored(store)} == {f"anon-{n}" for n in range(7)}


def hold(committer: Committer, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let the committer wait in its next commit until the event is set."""
    may_go, real = threading.Event(), committing.commit

    def wait(groups):
        assert may_go.wait(30)
        return real(groups)

    monkeypatch.setattr(committing, "commit", wait)
    return may_go


def wait_until(condition) -> None:
    pause = threading.Event()
    for _ in range(3000):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("It did not come to pass.")


def test_what_arrives_during_a_commit_is_written_together(shop, monkeypatch):
    store, key, _ = shop
    committer = Committer(max_pending_events=1000, timeout_seconds=30)
    sizes: list[int] = []
    may_go, real = threading.Event(), committing.commit

    def watch(groups):
        sizes.append(len(groups))
        assert may_go.wait(30)
        return real(groups)

    monkeypatch.setattr(committing, "commit", watch)
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(committer.submit, drafts(key, viewed(messageId="first")))
        wait_until(lambda: sizes == [1])
        others = [pool.submit(committer.submit, drafts(key, viewed(messageId=f"m{n}"))) for n in range(5)]
        wait_until(lambda: committer.pending_events == 5)
        may_go.set()
        for future in [first, *others]:
            future.result()
    committer.close()
    assert sizes == [1, 5]
    assert len({event.xact_id for event in stored(store)}) == 2
    assert len(stored(store)) == 6


def test_a_full_queue_refuses_at_once_and_stores_nothing_of_it(shop, monkeypatch):
    store, key, _ = shop
    committer = Committer(max_pending_events=3, timeout_seconds=30)
    may_go = hold(committer, monkeypatch)
    with ThreadPoolExecutor(3) as pool:
        writing = pool.submit(committer.submit, drafts(key, viewed(messageId="writing")))
        wait_until(lambda: committer.pending_events == 0 and committer._thread is not None)
        waiting = pool.submit(committer.submit, drafts(key, *[viewed(messageId=f"w{n}") for n in range(3)]))
        wait_until(lambda: committer.pending_events == 3)
        with pytest.raises(Unavailable):
            committer.submit(drafts(key, viewed(messageId="too-many")))
        may_go.set()
        writing.result()
        waiting.result()
    committer.close()
    assert {event.message_id for event in stored(store)} == {"writing", "w0", "w1", "w2"}


def test_a_request_that_waited_too_long_is_refused_and_never_written(shop, monkeypatch):
    store, key, _ = shop
    committer = Committer(max_pending_events=100, timeout_seconds=0.2)
    may_go = hold(committer, monkeypatch)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(committer.submit, drafts(key, viewed(messageId="first")))
        wait_until(lambda: committer.pending_events == 0 and committer._thread is not None)
        with pytest.raises(Unavailable):
            committer.submit(drafts(key, viewed(messageId="late")))
        may_go.set()
        with pytest.raises(Unavailable):
            first.result()
    committer.close()
    # The first was being written when its client gave up: a resend finds it. The other never began.
    assert [event.message_id for event in stored(store)] == ["first"]


def test_closing_writes_what_waits_and_takes_nothing_more(shop, monkeypatch):
    store, key, _ = shop
    committer = Committer(max_pending_events=100, timeout_seconds=30)
    may_go = hold(committer, monkeypatch)
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(committer.submit, drafts(key, viewed(messageId=f"m{n}"))) for n in range(2)]
        wait_until(lambda: committer._thread is not None)
        closing = threading.Thread(target=committer.close)
        closing.start()
        wait_until(lambda: committer._is_closing)
        with pytest.raises(Unavailable):
            committer.submit(drafts(key, viewed(messageId="after")))
        may_go.set()
        closing.join(30)
        for future in futures:
            future.result()
    assert {event.message_id for event in stored(store)} == {"m0", "m1"}


def test_the_database_gone_is_503_and_its_return_is_noticed(shop, monkeypatch):
    store, _, secret = shop
    sender = Sender(Client(), secret)
    sender.batch(viewed(messageId="before"))
    real = committing._write_by_store

    def unreachable(groups):
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(committing, "_write_by_store", unreachable)
    response = sender.post("/v1/batch", {"batch": [viewed(messageId="lost")]})
    assert (response.status_code, response["Retry-After"]) == (503, "2")
    monkeypatch.setattr(committing, "_write_by_store", real)
    # For a moment everybody is refused at once; then one request finds out that it is back.
    wait_until(lambda: sender.post("/v1/batch", {"batch": [viewed(messageId="lost")]}).status_code == 200)
    assert [event.message_id for event in stored(store)] == ["before", "lost"]


def test_a_connection_that_the_server_closed_is_replaced_unnoticed(shop):
    store, _, secret = shop
    sender = Sender(Client(), secret)
    sender.batch(viewed(messageId="m1"))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    sender.batch(viewed(messageId="m2"))
    assert [event.message_id for event in stored(store)] == ["m1", "m2"]


def test_what_only_the_database_refuses_costs_its_own_event_alone(shop, monkeypatch):
    """Whatever our own checks let through: requests are committed one by one, and the faulty one event by
    event."""
    store, key, _ = shop
    good = drafts(key, viewed(messageId="m1"), viewed(messageId="m2"))
    mixed = drafts(key, viewed(messageId="m3"), viewed(messageId="bad"), viewed(messageId="m4"))
    mixed[1].encoded_properties = b'{"note": "\\u0000"}'  # jsonb refuses it
    tallies = committing.commit([good, mixed])
    assert [(tally.stored, tally.quarantined) for tally in tallies] == [(2, 0), (2, 1)]
    assert [event.message_id for event in stored(store)] == ["m1", "m2", "m3", "m4"]
    assert quarantined(store) == {"bad": "database_refused"}
    assert QuarantinedEvent.objects.for_store(store).get().detail == "unsupported Unicode escape sequence"


def test_an_event_that_trips_our_own_code_costs_nobody_else(shop, monkeypatch):
    store, key, _ = shop
    from tracking.ingestion import people

    real = people.resolve

    def trip(cursor, store, drafts, known):
        if any(draft.product_id == "trap" for draft in drafts):
            raise KeyError("trap")
        real(cursor, store, drafts, known)

    monkeypatch.setattr(people, "resolve", trip)
    committing.commit(
        [
            drafts(key, viewed("trap", messageId="bad"), viewed(messageId="m1")),
            drafts(key, viewed(messageId="m2")),
        ]
    )
    assert [event.message_id for event in stored(store)] == ["m1", "m2"]
    assert quarantined(store) == {"bad": "database_refused"}


def test_requests_for_two_stores_share_a_transaction(shop):
    store, key, _ = shop
    other = StoreFactory()
    other_key, _ = make_key(other)
    committing.commit([drafts(key, viewed(messageId="m")), drafts(other_key, viewed(messageId="m"))])
    assert stored(store)[0].xact_id == stored(other)[0].xact_id
    assert stored(store)[0].visitor != stored(other)[0].visitor


def test_an_erasure_waits_for_the_commit_and_the_commit_for_an_erasure(shop):
    from consent.gate import ERASURE_LOCK

    store, key, _ = shop
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [ERASURE_LOCK, store.pk])
    committer = Committer(max_pending_events=100, timeout_seconds=0.3)
    with pytest.raises(Unavailable):
        committer.submit(drafts(key, viewed(messageId="m")))
    assert not stored(store)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [ERASURE_LOCK, store.pk])
    committer.close()


def test_without_valkey_events_are_stored_all_the_same(shop, settings):
    from accounts import valkey

    store, _, secret = shop
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    try:
        Sender(Client(), secret).batch(viewed(messageId="m"))
    finally:
        valkey.breaker.reset()
    assert len(stored(store)) == 1


def test_the_profile_holds_the_event_when_the_answer_comes(shop):
    store, _, secret = shop
    Sender(Client(), secret).batch(viewed("p7", messageId="m"))
    key = profile_store.visitor_key(stored(store)[0].visitor_id)
    assert [event.products for event in profile_store.recent(store.pk, [key])] == [(("p7", 1.0),)]


def test_data_errors_are_what_django_calls_them(shop):
    """The fallback relies on it: COPY raises psycopg's own errors unless they are wrapped."""
    _, key, _ = shop
    faulty = drafts(key, viewed())
    faulty[0].encoded_properties = b"no json"
    with pytest.raises(DataError):
        committing._commit_together([faulty])


def test_keys_are_ordered_in_time_and_unique_across_threads():
    with ThreadPoolExecutor(4) as pool:
        batches = list(pool.map(uuid7s, [3000] * 8))
    assert all(batch == sorted(batch) for batch in batches)
    assert len({key for batch in batches for key in batch}) == 24_000
    first = batches[0][0]
    assert (first.version, first.variant) == (7, "specified in RFC 4122")
    assert uuid7s(0) == []
