"""More than the database takes: refused in bounded time, and nothing that was acknowledged is missing or there twice.

The database is slowed by itself: by a lock on the log, and by a trigger that sleeps.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import pytest
from django.conf import settings as configured
from django.db import connection
from django.test import Client

from accounts import keys
from accounts.models import Store
from tests.factories import StoreFactory
from tests.tracking.conftest import make_key, viewed
from tracking.ingestion import committer as committing
from tracking.models import Event

pytestmark = pytest.mark.django_db(transaction=True)

CLIENTS = 12
BATCH = 10
MAX_PENDING = 40
TIMEOUT_SECONDS = 1.5
# What a busy machine adds to the wait.
MARGIN_SECONDS = 5.0


@pytest.fixture(autouse=True)
def _small_queue(settings) -> Iterator[None]:
    settings.ETALAGE_INGEST_MAX_PENDING_EVENTS = MAX_PENDING
    settings.ETALAGE_INGEST_TIMEOUT_SECONDS = TIMEOUT_SECONDS
    keys.forget_all()
    committing.close()
    yield
    committing.close()


@pytest.fixture
def shop() -> tuple[Store, str]:
    store = StoreFactory()
    return store, make_key(store)[1]


@dataclass(frozen=True)
class Answer:
    batch: str
    status: int
    retry_after: str
    seconds: float


def send(secret: str, batch: str) -> Answer:
    messages = [viewed(f"p{n}", f"anon-{batch}", messageId=f"{batch}-{n}") for n in range(BATCH)]
    started = time.monotonic()
    try:
        response = Client().post(
            "/v1/batch", {"writeKey": secret, "batch": messages}, content_type="application/json"
        )
    finally:
        connection.close()
    waited = time.monotonic() - started
    return Answer(batch, response.status_code, response.headers.get("Retry-After", ""), waited)


@contextmanager
def owner() -> Iterator[psycopg.Connection]:
    """A connection beside those of the application, as the owner of the tables."""
    name = connection.settings_dict["NAME"]
    url = configured.ETALAGE_DATABASE_OWNER_URL.rpartition("/")[0].replace("postgres://", "postgresql://")
    with psycopg.connect(f"{url}/{name}", autocommit=True) as beside:
        yield beside


@contextmanager
def watched_queue() -> Iterator[list[int]]:
    """How many events wait, as often as a thread can look."""
    seen, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.001):
            seen.append(committing.committer().pending_events)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def assert_refused_as_promised(answers: list[Answer]) -> None:
    for answer in answers:
        assert answer.status in (200, 503)
        assert answer.seconds < TIMEOUT_SECONDS + MARGIN_SECONDS
        if answer.status == 503:
            assert answer.retry_after.isdecimal()
            assert int(answer.retry_after) >= 1


def send_again_until_taken(secret: str, answers: list[Answer]) -> None:
    """As clients do: whatever was refused, with the same message ids."""
    for answer in answers:
        if answer.status != 200:
            deadline = time.monotonic() + 30
            while send(secret, answer.batch).status != 200:
                assert time.monotonic() < deadline, f"{answer.batch} is still refused"


def stored_once(store: Store) -> Counter[str]:
    """Batches by number of their events in the log; fails for one that is there twice."""
    ids = list(Event.objects.for_store(store).values_list("message_id", flat=True))
    assert len(ids) == len(set(ids))
    return Counter(message_id.rpartition("-")[0] for message_id in ids)


def test_a_log_that_cannot_be_written_refuses_in_bounded_time_and_recovers(shop) -> None:
    store, secret = shop
    assert send(secret, "before").status == 200
    with (
        owner() as beside,
        watched_queue() as pending,
        ThreadPoolExecutor(CLIENTS) as pool,
        beside.transaction(),
    ):
        beside.execute("LOCK TABLE tracking_event IN EXCLUSIVE MODE")
        answers = list(pool.map(lambda n: send(secret, f"locked{n}"), range(3 * CLIENTS)))
        assert stored_once_by(beside, store) == {"before"}
    assert {answer.status for answer in answers} == {503}
    assert_refused_as_promised(answers)
    # Of twelve clients with ten events each, four wait and one group is being written.
    assert max(pending) == MAX_PENDING
    # The queue was full for most: they did not wait at all.
    assert sum(answer.seconds < TIMEOUT_SECONDS / 2 for answer in answers) >= CLIENTS
    send_again_until_taken(secret, answers)
    assert stored_once(store) == {"before": BATCH, **{f"locked{n}": BATCH for n in range(3 * CLIENTS)}}
    assert committing.committer().pending_events == 0


def stored_once_by(beside: psycopg.Connection, store: Store) -> set[str]:
    rows = beside.execute("SELECT message_id FROM tracking_event WHERE store_id = %s", [store.pk]).fetchall()
    return {message_id.rpartition("-")[0] for (message_id,) in rows}


def test_a_database_that_is_too_slow_takes_what_it_can_and_refuses_the_rest(shop) -> None:
    store, secret = shop
    with owner() as beside, watched_queue() as pending, ThreadPoolExecutor(CLIENTS) as pool:
        beside.execute(
            """
            CREATE FUNCTION sleep_a_little() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END $$;
            CREATE TRIGGER slow BEFORE INSERT ON tracking_event FOR EACH STATEMENT EXECUTE FUNCTION sleep_a_little();
            """
        )
        answers = list(pool.map(lambda n: send(secret, f"slow{n}"), range(6 * CLIENTS)))
        beside.execute("DROP TRIGGER slow ON tracking_event")
    assert {answer.status for answer in answers} == {200, 503}
    assert_refused_as_promised(answers)
    assert 0 < max(pending) <= MAX_PENDING
    counts = stored_once(store)
    # Every acknowledged batch is there whole; of the others none in part.
    assert all(counts[answer.batch] == BATCH for answer in answers if answer.status == 200)
    assert set(counts.values()) == {BATCH}
    send_again_until_taken(secret, answers)
    assert stored_once(store) == {f"slow{n}": BATCH for n in range(6 * CLIENTS)}
