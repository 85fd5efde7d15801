"""From the log to a version: what is learned from, what is measured, what goes live, what happens when it fails."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from consent.purposes import Purpose
from recommendations.metrics import TRAINING_FAILURES
from recommendations.model_store import folder as model_folder
from recommendations.models import ModelVersion, TrainingRun, TrainingSchedule
from recommendations.pipeline import recommend
from recommendations.selectors.schedule import schedule_status
from recommendations.services.schedule_update import schedule_update
from recommendations.services.training_request import run_acknowledge
from recommendations.shelf import RecommendationRequest
from recommendations.tasks import train_store
from recommendations.training import run as training
from recommendations.training.customer_features import customer_features
from recommendations.training.item_features import CatalogueItem, item_features
from recommendations.training.preparation import TooLittleData
from recommendations.training.recipe import build
from recommendations.training.run import AlreadyTraining, train
from recommendations.training.user_features import user_features
from recommendations.training.watch import failures_to_show, find_killed_runs
from segments.models import Segment, SegmentMembership
from tests.factories import CustomerFactory, UserFactory, VisitorFactory
from tests.recommendations.shop import Shop, event

TINY = {"popular": {}, "trending": {}, "session_knn": {}, "content": {}}


def test_a_version_is_trained_measured_and_live(busy_shop: Shop, model_dir: Path) -> None:
    trained = train(busy_shop.store, recipe=TINY, consent="A small shop")

    version, run = trained.version, trained.run
    assert (version.number, version.state) == (1, ModelVersion.State.LIVE)
    assert version.item_count == 40
    # 120 shoppers, two visits of four products; 40 of them bought two of them.
    assert version.event_count == 120 * 2 * 4 + 40 * 2
    assert "500 are needed to tell: a person may publish it" in version.gate_reason
    assert set(version.metrics["strategies"]) == set(TINY)
    assert version.metrics["unseen"]["blend"]["ndcg@10"] > version.metrics["unseen"]["popular"]["ndcg@10"]
    assert (run.state, run.version, run.step, run.error) == (TrainingRun.State.DONE, version, "", "")
    assert [step["name"] for step in run.steps][:2] == ["read the log", "prepare"]
    assert run.steps[-1]["name"] == "save"


def test_the_folder_is_whole_and_holds_no_pickle(busy_shop: Shop, model_dir: Path) -> None:
    version = train(busy_shop.store, recipe=TINY).version
    folder = model_dir / version.folder
    stored = model_folder.load(folder)
    assert stored.item_ids == tuple(
        product.external_id for product in sorted(busy_shop.products.values(), key=lambda p: p.pk)
    )
    assert set(stored.strategies) == set(TINY)
    assert stored.manifest.hashes.keys() == {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
        and path.name not in ("model.json", "measuring.npz", "item_features.json")
        and "erasure" not in path.parts
    }
    for path in folder.rglob("*.npy"):
        np.load(path, allow_pickle=False)
    assert not list(model_dir.rglob("*.partial*"))


def test_the_same_seed_gives_the_same_model(busy_shop: Shop, model_dir: Path) -> None:
    now = timezone.now()
    hashes = []
    for _ in range(2):
        version = train(busy_shop.store, recipe=TINY, seed=3).version
        stored = model_folder.load(model_dir / version.folder)
        hashes.append(
            {
                name: value
                for name, value in stored.manifest.hashes.items()
                if name.startswith(("session_knn", "content"))
            }
        )
    assert hashes[0] == hashes[1]
    assert timezone.now() > now


def test_what_a_purpose_does_not_permit_is_not_learned_from(busy_shop: Shop, model_dir: Path) -> None:
    visitor = VisitorFactory(store=busy_shop.store)
    row = event(busy_shop.store, "tents-1", datetime.now(UTC) - timedelta(days=1), visitor)
    row.purposes = int(Purpose.ANALYTICS)
    row.save()
    assert train(busy_shop.store, recipe=TINY).version.event_count == 120 * 2 * 4 + 40 * 2


def test_weights_of_events_are_the_merchandisers(busy_shop: Shop, model_dir: Path) -> None:
    from recommendations.models import EventWeight

    EventWeight.objects.for_store(busy_shop.store).filter(event_name="Product Viewed").update(weight=0)
    assert train(busy_shop.store, recipe=TINY).version.event_count == 40 * 2


def test_events_about_unknown_products_are_passed_over(busy_shop: Shop, model_dir: Path) -> None:
    visitor = VisitorFactory(store=busy_shop.store)
    event(busy_shop.store, "unicorn", datetime.now(UTC) - timedelta(days=1), visitor).save()
    assert train(busy_shop.store, recipe=TINY).version.event_count == 120 * 2 * 4 + 40 * 2


def test_an_empty_store_waits_without_alarm(shop: Shop, model_dir: Path) -> None:
    before = TRAINING_FAILURES.labels(store=str(shop.store.pk))._value.get()
    with pytest.raises(TooLittleData, match="nobody has done anything yet"):
        train(shop.store, recipe=TINY)
    assert failures_to_show(shop.store.pk) == []
    assert TRAINING_FAILURES.labels(store=str(shop.store.pk))._value.get() == before
    assert not ModelVersion.objects.for_store(shop.store).exists()


def test_a_failed_run_is_told_and_leaves_the_live_version_alone(busy_shop: Shop, model_dir: Path) -> None:
    live = train(busy_shop.store, recipe=TINY, consent="A small shop").version
    failures = TRAINING_FAILURES.labels(store=str(busy_shop.store.pk))._value.get()
    folders = sorted(path.name for path in (model_dir / str(busy_shop.store.pk)).iterdir())

    with pytest.raises(TypeError):
        train(busy_shop.store, recipe={**TINY, "als": {"no_such_parameter": 1}})

    run = TrainingRun.objects.for_store(busy_shop.store).first()
    assert run is not None
    assert run.state == TrainingRun.State.FAILED
    assert "no_such_parameter" in run.error
    assert TRAINING_FAILURES.labels(store=str(busy_shop.store.pk))._value.get() == failures + 1
    assert failures_to_show(busy_shop.store.pk) == [run]
    live.refresh_from_db()
    assert live.state == ModelVersion.State.LIVE
    assert sorted(path.name for path in (model_dir / str(busy_shop.store.pk)).iterdir()) == folders
    assert recommend(RecommendationRequest(busy_shop.store, "home")).model_version == 1
    run_acknowledge(run=run, user=UserFactory())
    assert failures_to_show(busy_shop.store.pk) == []


def test_a_run_that_no_longer_beats_was_killed(shop: Shop) -> None:
    dead = TrainingRun.objects.create(
        store=shop.store, heartbeat_at=timezone.now() - timedelta(minutes=5), step="fit als"
    )
    alive = TrainingRun.objects.create(store=shop.store, heartbeat_at=timezone.now())
    assert find_killed_runs() == [dead]
    dead.refresh_from_db()
    alive.refresh_from_db()
    assert (dead.state, alive.state) == (TrainingRun.State.FAILED, TrainingRun.State.RUNNING)
    assert "killed or lost during fit als" in dead.error
    assert failures_to_show(shop.store.pk) == [dead]
    assert find_killed_runs() == []


def test_a_store_is_trained_by_one_process_at_a_time(busy_shop: Shop, model_dir: Path) -> None:
    from django.db import connections

    other = connections["default"].copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", [training.STORE_LOCK, busy_shop.store.pk])
        with pytest.raises(AlreadyTraining, match="another process"):
            train(busy_shop.store, recipe=TINY)
    finally:
        other.close()
    assert not TrainingRun.objects.for_store(busy_shop.store).exists()


def test_a_second_version_is_refused_or_left_to_a_person_and_says_why(
    busy_shop: Shop, model_dir: Path
) -> None:
    train(busy_shop.store, recipe=TINY, consent="A small shop")
    second = train(busy_shop.store, recipe=TINY).version
    assert second.metrics["unseen_cases"] < 500
    assert second.state == ModelVersion.State.CANDIDATE
    assert "500 are needed to tell: a person may publish it" in second.gate_reason
    assert ModelVersion.objects.for_store(busy_shop.store).get(state=ModelVersion.State.LIVE).number == 1


def test_item_features_by_hand() -> None:
    items = [
        CatalogueItem(
            "a",
            "Tent",
            "warm",
            "camping/tents",
            "nord",
            100,
            {"colour": "red", "size": ["S", "M"]},
            ["new"],
            1.0,
        ),
        CatalogueItem("b", "Tent 2", "", "camping/tents", "nord", 200, {"colour": "red"}, [], 2.0),
        CatalogueItem("c", "Pot", "", "camping", "sud", 300, {"size": ["M"]}, ["new"], 3.0),
        CatalogueItem("d", "Odd", "", "", "", 400, {"nested": {"no": 1}}, [], 4.0),
    ]
    features = item_features(items)
    # What one product has alone is left out: sud, S, the price bands that stand alone.
    assert {
        "brand:nord",
        "category:camping",
        "category:camping/tents",
        "colour:red",
        "size:M",
        "tag:new",
    } <= set(features.space.names)
    assert not {"brand:sud", "size:S"} & set(features.space.names)
    dense = features.matrix.toarray()
    column = features.space.names.index("category:camping")
    assert dense[:, column].tolist() == [1.0, 1.0, 1.0, 0.0]
    assert features.category.tolist() == [1, 1, 0, -1]
    assert features.texts[0] == "Tent Tent warm"


def test_customer_features_are_bands_and_words_and_nothing_for_who_objects(shop: Shop) -> None:
    fields = {
        "birth_year": 1990,
        "gender": "f",
        "country": "DE",
        "interests": [{"kind": "brand", "value": "nord"}],
    }
    customer = CustomerFactory(store=shop.store, **fields)
    today = datetime(2026, 6, 1, tzinfo=UTC).date()
    assert customer_features(customer, today=today) == (
        "age:35-44",
        "gender:f",
        "country:DE",
        "interest:brand:nord",
    )
    customer.has_objected_to_profiling = True
    assert customer_features(customer, today=today) == ()


@pytest.mark.parametrize(
    ("birth_year", "band"),
    [(2010, "under 18"), (2008, "18-24"), (1960, "65+"), (1961, "65+"), (1962, "55-64")],
)
def test_age_bands(shop: Shop, birth_year: int, band: str) -> None:
    today = datetime(2026, 6, 1, tzinfo=UTC).date()
    customer = CustomerFactory(store=shop.store, birth_year=birth_year)
    assert customer_features(customer, today=today) == (f"age:{band}",)


def test_unknown_strategies_are_named() -> None:
    with pytest.raises(ValueError, match="no strategy crystal_ball"):
        build({"crystal_ball": {}})


def test_the_schedule_stands_in_beats_own_table(shop: Shop) -> None:
    schedule = TrainingSchedule.objects.for_store(shop.store).get()
    task = PeriodicTask.objects.get(pk=schedule.periodic_task_id)
    assert (task.enabled, task.interval.every, str(task.interval.period)) == (True, 24, "hours")
    assert json.loads(task.kwargs) == {"store_id": shop.store.pk, "trigger": "schedule"}
    assert task.task == train_store.name

    schedule = schedule_update(store=shop.store, every_hours=6, is_enabled=False)

    task.refresh_from_db()
    assert (schedule.periodic_task_id, task.enabled, task.interval.every) == (task.pk, False, 6)
    assert schedule_status(schedule).next_run is None
    schedule = schedule_update(store=shop.store, every_hours=6, is_enabled=True)
    last = timezone.now() - timedelta(hours=1)
    PeriodicTask.objects.filter(pk=task.pk).update(last_run_at=last)
    schedule = TrainingSchedule.objects.for_store(shop.store).get()
    assert schedule_status(schedule).next_run == last + timedelta(hours=6)
    with pytest.raises(ValueError, match="every_hours"):
        schedule_update(store=shop.store, every_hours=0, is_enabled=True)


def test_the_task_says_what_came_of_it(shop: Shop, model_dir: Path) -> None:
    assert "nobody has done anything yet" in train_store(shop.store.pk)


def test_the_commands(busy_shop: Shop, model_dir: Path, capsys: Any) -> None:
    call_command(
        "train",
        store=busy_shop.store.slug,
        strategies="popular,session_knn,content",
        consent="New",
        json=True,
    )
    trained = json.loads(capsys.readouterr().out)
    assert (trained["version"], trained["state"], trained["items"]) == (1, "live", 40)
    call_command("evaluate", store=busy_shop.store.slug, strategies="popular,session_knn,content", json=True)
    evaluated = json.loads(capsys.readouterr().out)
    assert evaluated["strategies"].keys() == {"popular", "session_knn", "content"}
    assert 0 <= evaluated["unseen"]["blend"]["ndcg@10"] <= 1
    call_command("evaluate", store=busy_shop.store.slug, sweep="threshold", json=True)
    rows = json.loads(capsys.readouterr().out)["sweep"]
    assert {row["weighting"] for row in rows} == {"cosine", "tfidf", "bm25"}
    cosine = [row for row in rows if row["weighting"] == "cosine"]
    assert [row["threshold"] for row in cosine] == sorted(row["threshold"] for row in cosine)
    # A higher bar leaves fewer neighbours: the catalogue is covered less and less.
    assert cosine[0]["coverage@10"] >= cosine[-1]["coverage@10"]
    call_command(
        "evaluate",
        store=busy_shop.store.slug,
        strategies="popular,session_knn",
        split="leave-one-out",
        json=True,
    )
    last_choices = json.loads(capsys.readouterr().out)
    assert last_choices["protocol"] == "leave-one-out"
    assert (
        last_choices["intervals"].keys()
        == last_choices["densities"].keys()
        == {"blend", "popular", "session_knn"}
    )
    assert last_choices["memory_mb"].keys() == last_choices["seconds"].keys() == {"popular", "session_knn"}
    call_command("evaluate", store=busy_shop.store.slug, strategies="popular,session_knn")
    assert "Products that the shopper has not seen" in capsys.readouterr().out
    assert ModelVersion.objects.for_store(busy_shop.store).count() == 1


def test_the_commands_name_what_is_wrong(shop: Shop, model_dir: Path) -> None:
    with pytest.raises(CommandError, match=f"There is no store 'nowhere'. Stores: .*{shop.store.slug}"):
        call_command("train", store="nowhere")
    with pytest.raises(CommandError, match="no strategy crystal_ball"):
        call_command("train", store=shop.store.slug, strategies="crystal_ball")
    with pytest.raises(CommandError, match="nobody has done anything yet"):
        call_command("train", store=shop.store.slug)


def test_people_have_their_segments_among_their_features(shop: Shop) -> None:
    store = shop.store
    customer = CustomerFactory(store=store, country="FR", birth_year=None, gender="", device="")
    visitor, stranger = VisitorFactory(store=store), VisitorFactory(store=store)
    segment = Segment.objects.create(store=store, slug="campers", name="Campers", is_active=True)
    resting = Segment.objects.create(store=store, slug="resting", name="Resting", is_active=False)
    for row in ({"customer": customer}, {"visitor": visitor}):
        SegmentMembership.objects.create(store=store, segment=segment, since=timezone.now(), **row)
    SegmentMembership.objects.create(store=store, segment=resting, customer=customer, since=timezone.now())
    people = np.array([customer.pk, -visitor.pk, -stranger.pk])
    features = user_features(store.pk, people)
    assert features.names == ("country:FR", f"segment:{segment.pk}")
    assert features.matrix is not None
    assert features.matrix.toarray().tolist() == [[1, 1], [0, 1], [0, 0]]
