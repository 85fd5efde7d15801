"""Following the log: every event once, in whatever order transactions end."""

from __future__ import annotations

import threading

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from accounts.valkey import ValkeyUnavailable
from profiles import store as profile_store
from tests.factories import StoreFactory
from tests.tracking.conftest import make_key, order_completed, viewed
from tracking import folding
from tracking.folding import Fold, fold_new_events, rebuild, renumber_after_restore
from tracking.ingestion.importing import ingest_messages
from tracking.ingestion.metrics import FOLD_FAILURES
from tracking.models import Event, LogPosition, Order, Session
from tracking.tasks import fold_all_stores


class Recorder:
    """A fold that notes what it is given."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.resets = 0
        self.fold = Fold(
            name="recorder", apply=self.apply, reset=self.reset, event_names=frozenset({"Product Viewed"})
        )

    def apply(self, store_id, events):
        self.seen += [event.message_id for event in events]

    def reset(self, store_id):
        self.resets += 1
        self.seen.clear()


@pytest.fixture
def recorder(monkeypatch):
    recorder = Recorder()
    monkeypatch.setattr(folding, "_folds", {"recorder": recorder.fold})
    return recorder


def ingest(store, *message_ids, **fields):
    key, _ = make_key(store)
    ingest_messages(store, key, [viewed(messageId=message_id, **fields) for message_id in message_ids])


@pytest.mark.alone  # the horizon of transactions is the whole server's: other tests' hold it back
@pytest.mark.django_db(transaction=True)
def test_an_event_whose_transaction_ends_late_is_not_missed(recorder):
    """The first transaction takes its number before the second and commits after the reader has been there."""
    store = StoreFactory()
    key, _ = make_key(store)
    has_written, may_commit = threading.Event(), threading.Event()

    def write_slowly():
        with transaction.atomic():
            ingest_messages(store, key, [viewed(anonymous_id="anon-2", messageId="slow")])
            has_written.set()
            may_commit.wait(30)
        connection.close()

    slow = threading.Thread(target=write_slowly)
    slow.start()
    assert has_written.wait(30)
    ingest_messages(store, key, [viewed(messageId="quick")])
    fold_new_events(store)
    assert recorder.seen == []  # "quick" is visible, but something before it may still come
    may_commit.set()
    slow.join()
    fold_new_events(store)
    assert sorted(recorder.seen) == ["quick", "slow"]
    fold_new_events(store)
    assert sorted(recorder.seen) == ["quick", "slow"]


@pytest.mark.alone  # the horizon of transactions is the whole server's: other tests' hold it back
@pytest.mark.django_db(transaction=True)
def test_chunks_end_between_transactions_and_leave_nothing_out(recorder, monkeypatch):
    monkeypatch.setattr(folding, "CHUNK_EVENTS", 3)
    store = StoreFactory()
    names = []
    for size in (2, 5, 1, 1, 7):
        batch = [f"{size}-{len(names) + n}" for n in range(size)]
        ingest(store, *batch)
        names += batch
    progress = []
    assert fold_new_events(store, progress=lambda name, count: progress.append(count)) == {"recorder": 16}
    assert sorted(recorder.seen) == sorted(names)
    assert sum(progress) == 16
    assert len(progress) > 2


@pytest.mark.alone  # the horizon of transactions is the whole server's: other tests' hold it back
@pytest.mark.django_db(transaction=True)
def test_a_fold_that_fails_stays_where_it_was(recorder):
    store = StoreFactory()
    ingest(store, "m1")

    def fail(store_id, events):
        raise ValkeyUnavailable("gone")

    healthy = recorder.fold
    folding._folds["recorder"] = Fold(name="recorder", apply=fail, reset=recorder.reset)
    assert fold_new_events(store) == {}
    folding._folds["recorder"] = healthy
    assert fold_new_events(store) == {"recorder": 1}


def test_a_fold_that_fails_holds_back_neither_other_folds_nor_other_stores(recorder, store):
    """Over what one store's log holds: the fold of that store alone stays where it was, and is counted."""
    ingest(store, "poison")
    other = StoreFactory(slug="other")
    ingest(other, "m1")

    def fail(store_id, events):
        if store_id == store.pk:
            with connection.cursor() as cursor:
                cursor.execute("SELECT (10::numeric ^ 30)::bigint")

    folding._folds["broken"] = Fold(name="broken", apply=fail, reset=recorder.reset, stage=1)
    before = FOLD_FAILURES.labels("broken")._value.get()
    folded = fold_all_stores()
    assert (folded["shop"], folded["other"]) == ({"recorder": 1}, {"recorder": 1, "broken": 1})
    assert sorted(recorder.seen) == ["m1", "poison"]
    assert not LogPosition.objects.for_store(store).filter(reader="broken", xact_id__gt=0).exists()
    assert FOLD_FAILURES.labels("broken")._value.get() == before + 1
    with pytest.raises(CommandError, match="broken of shop"):
        call_command("fold", verbosity=0)


def test_only_asked_names_and_the_own_store_are_read(recorder, store):
    ingest(store, "m1")
    ingest(StoreFactory(), "other")
    key, _ = make_key(store)
    ingest_messages(store, key, [order_completed(messageId="order")])
    fold_new_events(store)
    assert recorder.seen == ["m1"]


def test_a_rebuild_reads_everything_again(recorder, store):
    ingest(store, "m1", "m2")
    fold_new_events(store)
    assert rebuild(store) == {"recorder": 2}
    assert (sorted(recorder.seen), recorder.resets) == (["m1", "m2"], 1)


def test_two_folds_of_one_name_are_a_mistake(recorder):
    with pytest.raises(ValueError, match="recorder"):
        folding.register(Fold(name="recorder", apply=recorder.apply, reset=lambda store_id: None))


@pytest.mark.alone  # the horizon of transactions is the whole server's: other tests' hold it back
@pytest.mark.django_db(transaction=True)
def test_after_a_restore_every_event_is_read_again_and_new_ones_are_not_missed(recorder):
    store = StoreFactory()
    ingest(store, "m1")
    # As in a server whose transaction numbers were far ahead of this one's.
    Event.objects.for_store(store).update(xact_id=10**12)
    LogPosition.objects.create(store=store, reader="recorder", xact_id=10**12)
    ingest(store, "m2")
    assert fold_new_events(store) == {"recorder": 0}
    assert renumber_after_restore() == 2
    fold_new_events(store)
    assert sorted(recorder.seen) == ["m1", "m2"]


class TestOurOwnFolds:
    def test_the_command_brings_everything_up_to_date(self, store, capsys):
        key, _ = make_key(store)
        ingest_messages(store, key, [viewed(), order_completed()])
        call_command("fold", "--store", "shop", verbosity=1)
        assert "sessions 2, orders 1, profiles 2" in capsys.readouterr().out
        assert (Session.objects.for_store(store).count(), Order.objects.for_store(store).count()) == (1, 1)

    def test_a_rebuild_changes_nothing(self, store):
        key, _ = make_key(store)
        ingest_messages(store, key, [viewed(), viewed("p2"), order_completed()])
        fold_new_events(store)
        before = list(Session.objects.for_store(store).values()), self.orders(store)
        call_command("fold", "--rebuild", verbosity=0)
        assert (list(Session.objects.for_store(store).values()), self.orders(store)) == before

    @staticmethod
    def orders(store):
        return [
            {k: v for k, v in row.items() if k != "id"} for row in Order.objects.for_store(store).values()
        ]

    @pytest.mark.parametrize("options", [["--store", "nowhere"], ["--only", "everything"]])
    def test_the_command_names_what_it_does_not_know(self, store, options):
        with pytest.raises(CommandError, match="There is no"):
            call_command("fold", *options)

    def test_the_task_goes_through_every_store(self, store):
        ingest(store, "m1")
        ingest(StoreFactory(slug="other"), "m1")
        assert {
            slug: counts["sessions"]
            for slug, counts in fold_all_stores().items()
            if slug in ("shop", "other")
        } == {
            "shop": 1,
            "other": 1,
        }

    def test_profiles_lost_with_valkey_are_there_again_after_the_sweep(self, store, valkey):
        ingest(store, "m1")
        fold_new_events(store)
        key = profile_store.visitor_key(Event.objects.for_store(store).get().visitor_id)
        assert profile_store.is_complete(store.pk)
        valkey.flushdb()
        assert profile_store.recent(store.pk, [key]) == []
        fold_new_events(store)
        assert profile_store.is_complete(store.pk)
        assert len(profile_store.recent(store.pk, [key])) == 1
