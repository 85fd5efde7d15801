"""Between two trainings: what ended since reaches the live version, and who was erased does not come back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import time_machine
from django.db import connections

from accounts.models import Visitor
from algorithms.types import Query
from consent.purposes import Purpose
from recommendations import privacy
from recommendations.model_store import folder as model_folder
from recommendations.model_store import forgotten, measuring
from recommendations.model_store import tail as model_tail
from recommendations.models import ModelVersion
from recommendations.pipeline import recommend
from recommendations.services.model_forget import people_forget
from recommendations.serving import store_state
from recommendations.shelf import RecommendationRequest
from recommendations.tasks import catch_up_models
from recommendations.training import catching_up
from recommendations.training.catching_up import catch_up
from recommendations.training.reporting import Silent
from recommendations.training.run import train
from tests.factories import StoreFactory, VisitorFactory
from tests.recommendations.shop import Shop, decide, event
from tracking.models import Event

APPENDS = {
    name: {} for name in ("popular", "trending", "popular_in_category", "session_knn", "viewed_next", "bought_together")
}  # fmt: skip
RECIPE: dict[str, Any] = {**APPENDS, "item_knn": {}}
TEN_DAYS_AGO = timedelta(days=10)


def train_as_of(shop: Shop, moment: datetime) -> ModelVersion:
    with time_machine.travel(moment, tick=True):
        is_first = not ModelVersion.objects.for_store(shop.store).exists()
        return train(shop.store, recipe=RECIPE, consent="A small shop" if is_first else "").version


def live_folder(shop: Shop, model_dir: Path) -> Path:
    return model_dir / ModelVersion.objects.for_store(shop.store).get(state="live").folder


def visit(shop: Shop, visitor: Visitor, begun: datetime, *product_ids: str) -> None:
    Event.all_stores.bulk_create(
        event(shop.store, product_id, begun + timedelta(minutes=n), visitor)
        for n, product_id in enumerate(product_ids)
    )


def test_what_was_appended_gives_what_a_full_training_gives(busy_shop: Shop, model_dir: Path) -> None:
    now = datetime.now(UTC)
    trained_at = now - TEN_DAYS_AGO
    # A visit that is open while the version is trained, and goes on afterwards.
    visit(busy_shop, VisitorFactory(store=busy_shop.store), trained_at - timedelta(minutes=2),
          "tents-0", "tents-1", "lamps-3", "lamps-4", "kettles-2")  # fmt: skip
    version = train_as_of(busy_shop, trained_at)
    caught_up = catch_up(busy_shop.store, now)
    assert caught_up is not None
    assert caught_up.visits > 10
    version.refresh_from_db()
    assert version.caught_up_until == now
    begun = model_folder.load(live_folder(busy_shop, model_dir), with_tail=True)
    before = model_folder.load(live_folder(busy_shop, model_dir))
    whole = model_folder.load(model_dir / train_as_of(busy_shop, now).folder)
    assert begun.known_until == now.timestamp() > before.known_until == before.manifest.data_until
    differs = set()
    for name in APPENDS:
        for item in (0, 1, 13, 24, 33):
            query = Query.of([item], now=now.timestamp(), context_item=item)
            expected = whole.strategies[name].score(query)
            np.testing.assert_allclose(
                begun.strategies[name].score(query), expected, rtol=1e-4, atol=1e-6, err_msg=name
            )
            if not np.allclose(before.strategies[name].score(query), expected, rtol=1e-4, atol=1e-6):
                differs.add(name)
    assert differs == set(APPENDS), "each has learned something"


def test_a_visit_that_goes_on_waits_for_its_end(busy_shop: Shop, model_dir: Path) -> None:
    train(busy_shop.store, recipe=RECIPE, consent="A small shop")
    now = datetime.now(UTC)
    visit(busy_shop, VisitorFactory(store=busy_shop.store), now, "tents-0", "kettles-9")
    assert catch_up(busy_shop.store, now + timedelta(minutes=20)).visits == 0  # type: ignore[union-attr]
    assert catch_up(busy_shop.store, now + timedelta(minutes=40)).visits == 1  # type: ignore[union-attr]


def test_the_next_page_knows_what_was_appended(
    busy_shop: Shop, model_dir: Path, django_capture_on_commit_callbacks: Any
) -> None:
    trained_at = datetime.now(UTC) - timedelta(hours=5)
    train_as_of(busy_shop, trained_at)
    busy_shop.set_weights("similar", {"viewed_next": 1.0})
    asked = RecommendationRequest(busy_shop.store, "similar", product_id="tents-0", limit=100)
    assert not {i.product.external_id: i for i in recommend(asked).items}["kettles-9"].strategies
    for minutes in (0, 5, 10):
        visitor = VisitorFactory(store=busy_shop.store)
        visit(busy_shop, visitor, trained_at + timedelta(hours=2, minutes=minutes), "tents-0", "kettles-9")
    with django_capture_on_commit_callbacks(execute=True):
        assert catch_up_models() == 1

    def strategies_of(product_id: str) -> dict[str, float]:
        shelf = recommend(asked)
        return dict({i.product.external_id: i for i in shelf.items}[product_id].strategies)

    deadline = datetime.now(UTC) + timedelta(seconds=20)
    while not strategies_of("kettles-9"):
        assert datetime.now(UTC) < deadline, "the process did not take up what was appended"
    assert catch_up_models() == 0, "the same log again is no news"


def test_who_was_erased_or_withdrew_is_not_in_what_was_appended(busy_shop: Shop, model_dir: Path) -> None:
    now = datetime.now(UTC)
    train_as_of(busy_shop, now - timedelta(hours=5))
    erased, withdrew, stays = (VisitorFactory(store=busy_shop.store) for _ in range(3))
    for visitor in (erased, withdrew, stays):
        visit(busy_shop, visitor, now - timedelta(hours=2), "tents-0", "kettles-9")
    assert catch_up(busy_shop.store, now).visits >= 3  # type: ignore[union-attr]
    folder = live_folder(busy_shop, model_dir)
    hashes = [privacy.owner_hash(busy_shop.store.pk, "v", erased.pk)]
    assert model_folder.count_sessions(folder, hashes) == 1

    Event.all_stores.filter(visitor=erased).delete()
    assert people_forget(store_id=busy_shop.store.pk, hashes=hashes)[0] == 1
    folder = live_folder(busy_shop, model_dir)
    assert model_folder.count_sessions(folder, hashes) == 0
    tail = model_tail.read(folder)
    assert tail is not None
    kettle = model_folder.load(folder).item_ids.index("kettles-9")
    assert int((tail.data.item == kettle).sum()) == 2

    decide(busy_shop.store, f"v:{withdrew.anonymous_id}", int(Purpose.NECESSARY))
    catch_up(busy_shop.store, now + timedelta(seconds=1))
    tail = model_tail.read(folder)
    assert tail is not None
    assert not tail.count([privacy.owner_hash(busy_shop.store.pk, "v", withdrew.pk)])
    assert int((tail.data.item == kettle).sum()) == 1, "the third one's visit is the only one left"


def test_who_is_erased_while_a_version_is_made_is_not_in_it(busy_shop: Shop, model_dir: Path) -> None:
    visitor = VisitorFactory(store=busy_shop.store)
    visit(busy_shop, visitor, datetime.now(UTC) - timedelta(days=3), "tents-0", "kettles-9")
    hashes = [privacy.owner_hash(busy_shop.store.pk, "v", visitor.pk)]

    class ErasesMeanwhile(Silent):
        @contextmanager
        def step(self, name: str) -> Iterator[None]:
            if name == "fit viewed_next":
                people_forget(store_id=busy_shop.store.pk, hashes=hashes)
            yield

    version = train(
        busy_shop.store, recipe=RECIPE, reporter=ErasesMeanwhile(), consent="A small shop"
    ).version
    assert version.state == ModelVersion.State.LIVE
    version.refresh_from_db()
    assert version.erased_at is not None
    folder = model_dir / version.folder
    assert model_folder.count_sessions(folder, hashes) == 0
    stored = model_folder.load(folder)
    tent, kettle = (stored.item_ids.index(name) for name in ("tents-0", "kettles-9"))
    scores = stored.strategies["viewed_next"].score(Query.of([tent], now=stored.manifest.data_until))
    assert scores[kettle] == 0


def test_notes_of_erasures_go_when_no_training_can_be_that_old(shop: Shop, model_dir: Path) -> None:
    old = datetime.now(UTC) - timedelta(seconds=forgotten.KEPT_SECONDS + 60)
    with time_machine.travel(old):
        forgotten.note(shop.store.pk, [11])
    forgotten.note(shop.store.pk, [22])
    assert forgotten.since(shop.store.pk, 0.0) == [22]
    assert forgotten.since(shop.store.pk, datetime.now(UTC).timestamp() + 5) == []


def test_without_a_version_or_with_an_old_one_there_is_nothing_to_catch_up(
    busy_shop: Shop, model_dir: Path
) -> None:
    assert catch_up(busy_shop.store) is None
    train(busy_shop.store, recipe={"popular": {}, "viewed_next": {}}, consent="A small shop")
    assert catch_up(busy_shop.store, datetime.now(UTC) + timedelta(days=15)) is None
    (live_folder(busy_shop, model_dir) / "model.json").unlink()
    assert catch_up(busy_shop.store) is None


def test_a_damaged_version_is_not_served_because_it_was_tried_before(
    busy_shop: Shop, model_dir: Path
) -> None:
    train(busy_shop.store, recipe=RECIPE, consent="A small shop")
    folder = live_folder(busy_shop, model_dir)
    file = folder / "viewed_next" / next(iter(model_folder.load(folder).strategies["viewed_next"].arrays()))
    file = file.with_suffix(".npy")
    whole = file.read_bytes()
    file.write_bytes(whole[:-4] + b"\x01\x02\x03\x04")
    asked = RecommendationRequest(busy_shop.store, "home")
    state = store_state.of_store(busy_shop.store.pk)
    assert recommend(asked).model_version is None
    assert state._live is not None
    state._loading = state._live
    state._swap(state._live)
    assert state.snapshot is not None
    assert state.snapshot.model is None, "the second look was as close as the first"
    file.write_bytes(whole)
    state._loading = state._live
    state._swap(state._live)
    assert state.snapshot.model is not None


@pytest.mark.parametrize(
    ("damaged", "is_named", "stays"),
    [
        ("directory", False, False),
        ("shopper.owners", False, False),
        ("shopper.scores", True, False),
        ("shopper.scores", False, True),  # nothing of theirs is in it, and that can be read
    ],
)
def test_measurements_that_are_damaged_hold_up_no_erasure(
    busy_shop: Shop, model_dir: Path, damaged: str, is_named: bool, stays: bool
) -> None:
    train(busy_shop.store, recipe=RECIPE, consent="A small shop")
    path = live_folder(busy_shop, model_dir) / measuring.FILE_NAME
    owners = measuring.read(path.parent)["shopper"].owners
    named = int(owners[owners > 0][0])
    whole = path.read_bytes()
    end = len(whole)
    if damaged != "directory":
        with ZipFile(path) as stored:
            array = stored.read(f"{damaged}.npy")
        end = whole.index(array) + len(array)
    path.write_bytes(whole[: end - 100] + bytes(100) + whole[end:])
    people_forget(store_id=busy_shop.store.pk, hashes=[named if is_named else 1])
    assert (live_folder(busy_shop, model_dir) / measuring.FILE_NAME).exists() is stays


@pytest.mark.parametrize("damage", [b"", b"PK not a zip"])
def test_a_tail_that_cannot_be_read_costs_nothing_but_itself(
    busy_shop: Shop, model_dir: Path, damage: bytes
) -> None:
    now = datetime.now(UTC)
    train_as_of(busy_shop, now - timedelta(hours=5))
    visit(busy_shop, VisitorFactory(store=busy_shop.store), now - timedelta(hours=2), "tents-0", "kettles-9")
    folder = live_folder(busy_shop, model_dir)
    tail_file = folder / model_tail.FILE_NAME
    catch_up(busy_shop.store, now)
    whole = tail_file.read_bytes()
    tail_file.write_bytes(damage)
    stored = model_folder.load(folder, with_tail=True)
    assert stored.known_until == stored.manifest.data_until
    assert catch_up(busy_shop.store, now) is not None
    assert len(tail_file.read_bytes()) == len(whole), "it is written anew"
    tail_file.write_bytes(damage)
    people_forget(store_id=busy_shop.store.pk, hashes=[1])
    assert not tail_file.exists(), "an erasure leaves no file that it could not look into"


def test_a_store_is_caught_up_by_one_process_at_a_time(busy_shop: Shop, model_dir: Path) -> None:
    now = datetime.now(UTC)
    train_as_of(busy_shop, now - timedelta(hours=5))
    visit(busy_shop, VisitorFactory(store=busy_shop.store), now - timedelta(hours=2), "tents-0", "kettles-9")
    other = connections["default"].copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", [catching_up.STORE_LOCK, busy_shop.store.pk])
        assert catch_up(busy_shop.store, now) is None
    finally:
        other.close()
    assert not (live_folder(busy_shop, model_dir) / model_tail.FILE_NAME).exists()


def test_an_erasure_that_replaces_the_folder_meanwhile_costs_one_more_look(
    busy_shop: Shop, model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    erased, stays = (VisitorFactory(store=busy_shop.store) for _ in range(2))
    visit(busy_shop, erased, now - timedelta(days=3), "tents-0", "kettles-9")
    train_as_of(busy_shop, now - timedelta(hours=5))
    visit(busy_shop, stays, now - timedelta(hours=2), "tents-0", "kettles-9")
    old = live_folder(busy_shop, model_dir)
    real = catching_up.read_interactions

    def read_while_somebody_is_erased(*args: Any, **values: Any) -> Any:
        people_forget(
            store_id=busy_shop.store.pk, hashes=[privacy.owner_hash(busy_shop.store.pk, "v", erased.pk)]
        )
        return real(*args, **values)

    monkeypatch.setattr(catching_up, "read_interactions", read_while_somebody_is_erased)
    caught_up = catch_up(busy_shop.store, now)
    assert not old.exists()
    assert caught_up is not None
    assert caught_up.is_news
    assert model_tail.read(live_folder(busy_shop, model_dir)) is not None


def test_a_store_that_fails_keeps_no_other_from_learning(
    busy_shop: Shop, model_dir: Path, django_capture_on_commit_callbacks: Any
) -> None:
    now = datetime.now(UTC)
    version = train_as_of(busy_shop, now - timedelta(hours=5))
    broken, later = live_folder(busy_shop, model_dir), StoreFactory()
    folder = model_dir / model_folder.relative_folder(later.pk, 1)
    shutil.copytree(broken, folder)
    ModelVersion.objects.create(
        store=later, number=1, state=version.state, folder=folder.relative_to(model_dir).as_posix()
    )
    visitor = VisitorFactory(store=later)
    Event.all_stores.bulk_create(
        event(later, product_id, now - timedelta(hours=2), visitor) for product_id in ("tents-0", "kettles-9")
    )
    (broken / "erasure" / "owners.npy").write_bytes(b"no array")
    with django_capture_on_commit_callbacks(execute=True):
        assert catch_up_models() == 1
    assert (folder / model_tail.FILE_NAME).exists()
