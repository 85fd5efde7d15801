"""Many quarantined events at once: one mend for all, in pieces that stop and go on, nothing lost and nothing twice."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from django.db import connection

from accounts.models import Scope, Store, User
from accounts.services.api_keys import api_key_create
from consent.models import AuditPayload
from consent.pseudonyms import IdentifierKind, pseudonym
from tests.factories import StoreFactory, UserFactory
from tests.tracking.conftest import make_key, viewed
from tracking import tasks
from tracking.ingestion.drafts import Reason
from tracking.models import Event, QuarantinedEvent, QuarantineJob
from tracking.quality.mending import Mend, NotMendable, Operation, mended, plain_number
from tracking.services import quarantine_jobs
from tracking.services.quarantine import quarantine_replay
from tracking.services.quarantine_jobs import (
    quarantine_job_run,
    quarantine_job_start,
    quarantine_job_stop,
    quarantine_mend_preview,
)
from tracking.tasks import run_quarantine_jobs

OBVIOUS = Mend(Operation.OBVIOUS)


@pytest.fixture
def person(db: None) -> User:
    return UserFactory()


def change(message: Any, mend: Mend, reason: str = "") -> Any:
    after = mended(json.dumps(message).encode(), reason, mend)
    return None if after is None else json.loads(after)


# The mend


def test_a_field_is_set_renamed_and_removed() -> None:
    message = {
        "event": "x",
        "properties": {"id": "P1", "products": [{"cost": 1}, {"cost": 2, "price": 3}, "odd"]},
    }
    assert (
        change(message, Mend(Operation.SET, "properties.currency", "EUR"))["properties"]["currency"] == "EUR"
    )
    assert change({}, Mend(Operation.SET, "context.page.url", 1)) == {"context": {"page": {"url": 1}}}
    renamed = change(message, Mend(Operation.RENAME, "properties.id", "product_id"))
    assert renamed["properties"]["product_id"] == "P1"
    assert "id" not in renamed["properties"]
    lines = change(message, Mend(Operation.RENAME, "properties.products[].cost", "price"))["properties"][
        "products"
    ]
    # What stands under the new name already is not overwritten.
    assert lines == [{"price": 1}, {"price": 3}, "odd"]
    assert "event" not in change(message, Mend(Operation.REMOVE, "event"))


def test_a_change_of_nothing_is_none() -> None:
    assert change({"a": 1}, Mend(Operation.REMOVE, "b")) is None
    assert change({"a": 1}, Mend(Operation.SET, "a", 1)) is None
    assert change([1], Mend(Operation.SET, "a", 1)) is None
    assert mended(b"{broken", "", Mend(Operation.SET, "a", 1)) is None
    assert change({"a": 1}, OBVIOUS, Reason.UNREADABLE) is None


@pytest.mark.parametrize("path", ["", "a..b", "a b", ".a", "a[0]", "a[]", "a." + "b" * 300])
def test_a_path_that_is_none_is_refused(path) -> None:
    with pytest.raises(NotMendable):
        Mend(Operation.REMOVE, path)


def test_a_rename_names_one_field() -> None:
    with pytest.raises(NotMendable, match="without dots"):
        Mend(Operation.RENAME, "a", "b.c")


@pytest.mark.parametrize(
    ("reason", "before", "after"),
    [
        (
            Reason.MISSING_PRODUCT_ID,
            {"properties": {"item_id": 7}},
            {"properties": {"item_id": 7, "product_id": 7}},
        ),
        (
            Reason.MISSING_ORDER_ID,
            {"properties": {"orderId": "A"}},
            {"properties": {"orderId": "A", "order_id": "A"}},
        ),
        (Reason.MISSING_QUERY, {"properties": {"q": "tent"}}, {"properties": {"q": "tent", "query": "tent"}}),
        (Reason.FORBIDDEN_ID, {"userId": "null", "anonymousId": "a"}, {"anonymousId": "a"}),
        (Reason.UNSIGNED_USER_ID, {"userId": "u1", "anonymousId": "a"}, {"anonymousId": "a"}),
        (Reason.FUTURE_TIME, {"timestamp": "2099-01-01", "sentAt": 1, "event": "x"}, {"event": "x"}),
        (Reason.UNKNOWN_TYPE, {"type": "Track"}, {"type": "track"}),
        (Reason.UNKNOWN_TYPE, {"type": "purchase", "event": "x"}, {"type": "track", "event": "x"}),
        (Reason.MISSING_EVENT_NAME, {"name": " Seen "}, {"name": " Seen ", "event": "Seen"}),
        (Reason.NUL_CHARACTER, {"a": ["x\0y", {"\0k": 1}]}, {"a": ["xy", {"k": 1}]}),
        (Reason.DATABASE_REFUSED, {"a": "x\ud800y"}, {"a": "x\ufffdy"}),
        (
            Reason.INVALID_PRODUCTS,
            {"properties": {"products": {"sku": "A"}}},
            {"properties": {"products": [{"sku": "A"}]}},
        ),
        (
            Reason.INVALID_AMOUNT,
            {"properties": {"total": "1.234,50 €", "tax": "1.234", "products": [{"price": "€ 5"}]}},
            {"properties": {"total": "1234.50", "tax": "1.234", "products": [{"price": "5"}]}},
        ),
    ],
)
def test_the_obvious_mend_of_a_reason(reason, before, after) -> None:
    assert change(before, OBVIOUS, reason) == after


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("19,99 €", "19.99"),
        ("€19.99", "19.99"),
        ("1,234.50", "1234.50"),
        ("1,234", "1234"),
        ("0,123", "0.123"),
        ("EUR 12", "12"),
        ("1.234.567", "1234567"),
        ("free", None),
        ("-5", None),
    ],
)
def test_amounts_of_people_become_numbers(text, number) -> None:
    assert plain_number(text) == number


# The jobs


@pytest.fixture
def hold(store: Store):
    """Quarantined events without a product id, which they have under another name."""
    key, _ = make_key(store)

    def make(count: int, **properties: Any) -> list[QuarantinedEvent]:
        first = QuarantinedEvent.objects.for_store(store).count()
        rows = []
        for number in range(first, first + count):
            message = {
                **viewed(anonymous_id=f"v{number}", messageId=f"m{number}"),
                "properties": properties or {"item_id": f"p{number}"},
            }
            rows.append(
                QuarantinedEvent.objects.create(
                    store=store, raw=json.dumps(message).encode(), digest=f"d{number}", message_id=f"m{number}",
                    event_name="Product Viewed", reason=Reason.MISSING_PRODUCT_ID, api_key=key,
                )
            )  # fmt: skip
        return rows

    return make


def everything(store: Store):
    return QuarantinedEvent.objects.for_store(store)


def start(
    store: Store, person: User | None, deed: str = "mend", mend: Mend | None = OBVIOUS, chosen=None
) -> QuarantineJob:
    return quarantine_job_start(
        store=store,
        chosen=everything(store) if chosen is None else chosen,
        deed=deed,
        actor=person,
        mend=mend,
    )


def states(store: Store) -> dict[str, int]:
    found: dict[str, int] = {}
    for state in everything(store).values_list("state", flat=True):
        found[state] = found.get(state, 0) + 1
    return found


def test_many_are_mended_and_stored_in_pieces(store, hold, person) -> None:
    hold(5)
    job = start(store, person)
    assert (job.total, quarantine_job_run(job=job, at_most=2)) == (5, 2)
    assert (job.done, job.finished_at, Event.objects.for_store(store).count()) == (2, None, 2)
    assert run_quarantine_jobs() == 3
    job.refresh_from_db()
    assert (job.stored, job.done) == (5, 5)
    assert job.finished_at is not None
    assert set(Event.objects.for_store(store).values_list("product_id", flat=True)) == {
        f"p{n}" for n in range(5)
    }
    assert states(store) == {"replayed": 5}
    told = AuditPayload.objects.for_store(store).get(entry__action="quarantine_job.mend")
    assert told.details == {"events": 5, "mend": "obvious", "path": ""}


def test_each_outcome_is_counted(store, hold, person) -> None:
    good, faulty, unmendable, twice, keyless = (hold(1, **properties)[0] for properties in (
        {"item_id": "a"}, {"item_id": "b", "price": "free"}, {"colour": "red"}, {"item_id": "c"}, {"item_id": "d"}
    ))  # fmt: skip
    quarantine_replay(event=twice, actor=None, raw=mended(bytes(twice.raw), twice.reason, OBVIOUS))
    everything(store).filter(pk=twice.pk).update(state="open")  # as if the process had died before it said so
    everything(store).filter(pk=keyless.pk).update(api_key=None)
    strict, _ = api_key_create(store=store, name="Strict", scopes=[Scope.WRITE_SECRET])
    [refused] = hold(1)
    everything(store).filter(pk=refused.pk).update(api_key=strict)
    job = start(store, person)
    quarantine_job_run(job=job)
    assert (job.stored, job.faulty, job.not_mended, job.duplicates, job.left_alone, job.not_permitted) == (
        1,
    ) * 6
    assert job.done == job.total == 6
    faulty.refresh_from_db()
    assert (faulty.state, faulty.reason, faulty.job) == ("open", Reason.INVALID_AMOUNT, None)
    assert json.loads(bytes(faulty.raw))["properties"]["product_id"] == "b"
    unmendable.refresh_from_db()
    assert (unmendable.state, unmendable.reason) == ("open", Reason.MISSING_PRODUCT_ID)
    good.refresh_from_db()
    assert good.state == "replayed"


def test_a_job_that_died_half_way_goes_on_and_stores_nothing_twice(store, hold, person, monkeypatch) -> None:
    hold(4)
    job = start(store, person)
    real, calls = quarantine_jobs.quarantine_replay, []

    def dies(**values: Any) -> Any:
        calls.append(values)
        if len(calls) == 3:
            real(**values)
            raise MemoryError("the process is gone, after the event was stored and before it was counted")
        return real(**values)

    monkeypatch.setattr(quarantine_jobs, "quarantine_replay", dies)
    with pytest.raises(MemoryError):
        quarantine_job_run(job=job)
    job.refresh_from_db()
    assert (job.stored, Event.objects.for_store(store).count(), states(store)) == (
        2,
        2,
        {"replayed": 2, "open": 2},
    )
    monkeypatch.undo()
    assert run_quarantine_jobs() == 2
    job.refresh_from_db()
    assert (job.stored, job.done, Event.objects.for_store(store).count()) == (4, 4, 4)


def test_an_event_that_raises_is_left_alone_and_stops_nothing(store, hold, person, monkeypatch) -> None:
    """Whatever it raises, a refusal of the database among it."""
    [_, bad, _] = hold(3)
    real = quarantine_jobs.quarantine_replay

    def refuses(**values: Any) -> Any:
        if values["event"].pk == bad.pk:
            with connection.cursor() as cursor:
                cursor.execute("SELECT (10::numeric ^ 30)::bigint")
        return real(**values)

    monkeypatch.setattr(quarantine_jobs, "quarantine_replay", refuses)
    job = start(store, person)
    assert run_quarantine_jobs() == 3
    job.refresh_from_db()
    assert (job.stored, job.left_alone, job.done) == (2, 1, 3)
    assert job.finished_at is not None
    bad.refresh_from_db()
    assert (bad.state, bad.job) == ("open", None)


def test_a_job_that_fails_stops_no_other(store, hold, person) -> None:
    broken = start(store, person, chosen=everything(store).filter(pk__in=[row.pk for row in hold(2)]))
    QuarantineJob.objects.for_store(store).filter(pk=broken.pk).update(stored=2**31 - 1)  # full
    whole = start(store, person, chosen=everything(store).filter(pk__in=[row.pk for row in hold(2)]))
    assert run_quarantine_jobs() == 2
    whole.refresh_from_db()
    assert whole.finished_at is not None


def test_jobs_take_turns(store, hold, person, monkeypatch) -> None:
    monkeypatch.setattr(tasks, "JOB_PIECE_EVENTS", 1)
    long, short = (
        start(store, person, chosen=everything(store).filter(pk__in=[row.pk for row in hold(count)]))
        for count in (6, 2)
    )
    assert run_quarantine_jobs() == 8
    short.refresh_from_db()
    assert short.stored == 2
    order = list(Event.objects.for_store(store).order_by("id").values_list("product_id", flat=True))
    assert {"p6", "p7"} <= set(order[:4]), f"the short job {short.pk} waited for the long one {long.pk}"


def test_a_choice_is_made_once(store, hold, person) -> None:
    """What comes later is not in it, what another job holds is not taken, and other stores have no part in it."""
    hold(2)
    other = StoreFactory()
    stranger = QuarantinedEvent.objects.create(store=other, raw=b"{}", digest="x", reason="unreadable")
    job = start(store, person, "discard", None, QuarantinedEvent.all_stores.all())
    hold(1)
    second = start(store, person, "discard", None)
    assert (job.total, second.total) == (2, 1)
    nothing = start(store, person, "discard", None)
    assert nothing.total == 0
    assert nothing.finished_at is not None
    quarantine_job_run(job=job)
    stranger.refresh_from_db()
    assert stranger.state == "open"
    assert states(store) == {"discarded": 2, "open": 1}


def test_a_long_reason_is_cut_wherever_it_is_kept(store, hold, person) -> None:
    hold(1)
    job = quarantine_job_start(
        store=store, chosen=everything(store), deed="discard", actor=person, reason="x" * 600
    )
    assert job.reason == "x" * 500
    quarantine_job_run(job=job)
    assert states(store) == {"discarded": 1}


def test_a_job_is_stopped_and_leaves_the_rest(store, hold, person) -> None:
    hold(3)
    job = start(store, person)
    quarantine_job_run(job=job, at_most=1)
    assert quarantine_job_stop(job=job, actor=person) == 2
    assert quarantine_job_run(job=job) == 0
    assert states(store) == {"replayed": 1, "open": 2}
    assert start(store, person).total == 2


def test_a_preview_stores_nothing_and_tells_what_would_become_of_them(store, hold) -> None:
    hold(2)
    hold(1, item_id="x", price="free")
    hold(1, colour="red")
    preview = quarantine_mend_preview(store=store, chosen=everything(store), mend=OBVIOUS, shown=2)
    assert preview.counts == {"good": 2, "faulty": 1, "unchanged": 1}
    assert (preview.tried, len(preview.trials)) == (4, 2)
    assert json.loads(preview.trials[0].after)["properties"]["product_id"] == "p0"
    assert not Event.objects.for_store(store).exists()
    assert "product_id" not in json.loads(bytes(everything(store).order_by("pk")[0].raw))["properties"]


def test_whoever_the_mended_bytes_name_is_found_by_an_erasure(store, hold) -> None:
    [event] = hold(1, price="free")
    raw = bytes(event.raw).replace(b'"v0"', b'"somebody-else"')
    assert quarantine_replay(event=event, actor=None, raw=raw).outcome == "faulty"
    assert event.subject_pseudonyms == [pseudonym(store.pk, IdentifierKind.ANONYMOUS_ID, "somebody-else")]


@pytest.mark.django_db(transaction=True)
def test_two_workers_share_a_job_and_store_each_event_once() -> None:
    store = StoreFactory()
    key, _ = make_key(store)
    QuarantinedEvent.all_stores.bulk_create(
        QuarantinedEvent(
            store=store, digest=f"d{n}", message_id=f"m{n}", event_name="Product Viewed",
            reason=Reason.MISSING_PRODUCT_ID, api_key=key,
            raw=json.dumps({**viewed(anonymous_id=f"v{n}", messageId=f"m{n}"), "properties": {"id": f"p{n}"}}).encode(),
        )
        for n in range(30)
    )  # fmt: skip
    job = start(store, None)
    done: list[int] = []

    def work() -> None:
        try:
            mine = QuarantineJob.all_stores.get(pk=job.pk)
            while count := quarantine_job_run(job=mine, at_most=5):
                done.append(count)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    run_quarantine_jobs()
    job.refresh_from_db()
    assert (job.stored, job.duplicates, job.total) == (30, 0, 30)
    assert job.finished_at is not None
    assert sum(done) <= 30
    assert Event.objects.for_store(store).count() == 30
