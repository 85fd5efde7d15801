"""Does the live version still fit: figures worked by hand, and a shop whose shoppers change their minds."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import time_machine
from django.core.management import call_command
from django.utils import timezone

from algorithms.types import TrainingData
from recommendations.models import DriftReading, ModelVersion
from recommendations.selectors.drift import figure_of, latest_reading
from recommendations.services.drift_watch import drift_watch, level_of
from recommendations.services.model_publish import make_live
from recommendations.tasks import watch_models
from recommendations.training.drift import (
    DriftFigure,
    Level,
    Recent,
    accuracy,
    age,
    popularity_shift,
    score_shift,
    unknown_items,
    unknown_shoppers,
)
from recommendations.training.run import train
from tests.factories import ProductFactory, UserFactory, VisitorFactory
from tests.recommendations.shop import Shop, event
from tracking.models import Event, Finding, FindingKind
from tracking.services.findings import finding_close

RECIPE: dict[str, Any] = {"popular": {}, "session_knn": {}, "content": {}}
TRAINED_DAYS_AGO = 10.0
DAY = 86_400.0


@pytest.fixture
def old_model(busy_shop: Shop, model_dir: Path) -> Shop:
    """A live version that knows nothing of the last ten days."""
    with time_machine.travel(datetime.now(UTC) - timedelta(days=TRAINED_DAYS_AGO), tick=True):
        train(busy_shop.store, recipe=RECIPE, consent="A small shop")
    return busy_shop


def recent(items: list[int], since: list[bool], n_known: int, unknown: tuple[str, ...] = ()) -> Recent:
    """One interaction a minute, each a visit of its own."""
    n = len(items)
    data = TrainingData(
        user=np.arange(n, dtype=np.int32),
        item=np.array(items, np.int32),
        timestamp=np.where(since, DAY, 0.0) + 60.0 * np.arange(n),
        weight=np.ones(n, np.float32),
        session=np.arange(n, dtype=np.int32),
        basket=np.full(n, -1, np.int32),
        n_users=n,
        n_items=n_known + len(unknown),
        now=2 * DAY,
    )
    return Recent(data, n_known, unknown, np.array(since))


def test_unknown_items_by_hand() -> None:
    # 20 of 200 are with the two products that the version has not met; 5 of them with one that the catalogue lacks too.
    items = [0] * 180 + [1] * 15 + [2] * 5
    found = unknown_items(recent(items, [True] * 200, 1, ("new", "ghost")), frozenset({"new"}))
    assert (found.value, found.level) == (0.1, Level.WARN)
    assert "10.0 % of 200 interactions" in found.text
    assert "2.5 % are not in the catalogue either: import them." in found.text
    assert unknown_items(recent([0] * 200, [True] * 200, 1), frozenset()).level is Level.OK
    few = unknown_items(recent([1] * 99, [True] * 99, 1, ("new",)), frozenset())
    assert (few.value, few.level) == (None, Level.UNKNOWN)
    assert "100 interactions are needed (99 so far)" in few.text


def test_popularity_by_hand() -> None:
    # Ten products wanted alike; then only two of them.
    before, after = list(range(10)) * 30, [0, 1] * 150
    found = popularity_shift(recent(before + after, [False] * 300 + [True] * 300, 10), DAY)
    assert found.level is Level.BAD
    assert "has changed much" in found.text
    same = popularity_shift(recent(before + before, [False] * 300 + [True] * 300, 10), DAY)
    assert (same.value, same.level) == (0.0, Level.OK)
    assert "100%" in same.text
    assert popularity_shift(recent(before, [False] * 300, 10), DAY).level is Level.UNKNOWN


def test_age_counts_only_where_something_has_happened() -> None:
    assert age(8 * DAY, 0.0, 5, None).level is Level.WARN
    assert age(31 * DAY, 0.0, 5, 24).level is Level.BAD
    assert age(31 * DAY, 0.0, 0, None).level is Level.OK
    assert age(6 * DAY, 0.0, 5, 24).level is Level.OK
    # Trained once a week by schedule: three weeks are what it takes to be late.
    assert age(20 * DAY, 0.0, 5, 7 * 24).level is Level.OK
    assert age(22 * DAY, 0.0, 5, 7 * 24).level is Level.WARN
    assert "12 hours ago" in age(DAY / 2, 0.0, 5, None).text


@pytest.mark.parametrize("figure", [score_shift, accuracy, unknown_shoppers])
def test_without_figures_of_the_training_nothing_is_said(figure: Any) -> None:
    found = figure(None, {})
    assert (found.value, found.level) == (None, Level.UNKNOWN)
    assert "keeps no figures of its training" in found.text


def test_the_worst_figure_is_the_level() -> None:
    def of(*levels: Level) -> Level:
        return level_of([DriftFigure(f"f{n}", 0.0, 0.1, level, "") for n, level in enumerate(levels)])

    assert of(Level.OK, Level.BAD, Level.WARN) is Level.BAD
    assert of(Level.UNKNOWN, Level.WARN) is Level.WARN
    assert of(Level.UNKNOWN, Level.OK) is Level.OK
    fresh = DriftFigure("age", 0.1, 7.0, Level.OK, "")
    assert level_of([DriftFigure("x", None, 0.1, Level.UNKNOWN, ""), fresh]) is Level.UNKNOWN


def test_shoppers_who_go_on_as_before_are_no_drift(old_model: Shop) -> None:
    reading = drift_watch(old_model.store)
    assert reading is not None
    assert reading.version.number == 1
    assert reading.interactions > 100
    levels = {figure["name"]: figure["level"] for figure in reading.figures}
    assert levels["unknown_items"] == levels["accuracy"] == levels["scores"] == "ok"
    assert figure_of(reading, "unknown_items")["value"] == 0.0  # type: ignore[index]
    # Ten days are more than seven.
    assert (levels["age"], reading.level) == ("warn", "warn")
    told = Finding.objects.for_store(old_model.store).filter(kind=FindingKind.MODEL_DRIFT)
    assert [finding.key for finding in told] == ["model:age"]


def test_new_products_that_everybody_wants_are_told_and_a_new_version_ends_it(old_model: Shop) -> None:
    store = old_model.store
    ProductFactory(store=store, external_id="craze", category=old_model.categories["tents"])
    _everybody_wants(old_model, "craze")
    reading = drift_watch(store)
    assert reading is not None
    unknown = figure_of(reading, "unknown_items")
    assert unknown is not None
    assert unknown["level"] == "bad"
    assert "not in the catalogue" not in unknown["text"]
    finding = Finding.objects.for_store(store).get(key="model:unknown_items")
    assert (finding.kind, finding.state, finding.severity) == ("model_drift", "open", Finding.Severity.HIGH)
    assert finding.summary == unknown["text"]

    second = train(store, recipe=RECIPE).version
    make_live(second)
    finding.refresh_from_db()
    assert finding.state == "resolved"
    assert latest_reading(store) is None, "what was read of the first version says nothing about this one"
    again = drift_watch(store)
    assert again is not None
    assert again.version == second
    assert DriftReading.objects.for_store(store).count() == 2


def _everybody_wants(shop: Shop, product_id: str, times: int = 150) -> None:
    visitors = [VisitorFactory(store=shop.store) for _ in range(15)]
    since = timezone.now() - timedelta(days=2)
    Event.all_stores.bulk_create(
        event(shop.store, product_id, since + timedelta(minutes=n), visitors[n % 15]) for n in range(times)
    )


def test_what_was_dismissed_stays_so_for_this_version(old_model: Shop) -> None:
    drift_watch(old_model.store)
    finding = Finding.objects.for_store(old_model.store).get(key="model:age")
    finding_close(finding=finding, actor=UserFactory(), state="dismissed")
    drift_watch(old_model.store)
    finding.refresh_from_db()
    assert finding.state == "dismissed"
    assert latest_reading(old_model.store).level == "warn"  # type: ignore[union-attr]


def test_without_a_live_version_there_is_nothing_to_watch(shop: Shop) -> None:
    assert drift_watch(shop.store) is None
    assert not DriftReading.objects.for_store(shop.store).exists()


def test_files_that_cannot_be_read_are_told(old_model: Shop, model_dir: Path) -> None:
    version = ModelVersion.objects.for_store(old_model.store).get()
    (model_dir / version.folder / "model.json").unlink()
    reading = drift_watch(old_model.store)
    assert reading is not None
    assert reading.level == "bad"
    assert Finding.objects.for_store(old_model.store).filter(key="model:files", state="open").exists()


def test_old_readings_go(old_model: Shop) -> None:
    version = ModelVersion.objects.for_store(old_model.store).get()
    DriftReading.objects.create(
        store=old_model.store,
        version=version,
        measured_at=timezone.now() - timedelta(days=401),
        level="ok",
    )
    drift_watch(old_model.store)
    assert DriftReading.objects.for_store(old_model.store).count() == 1


def test_the_command_and_the_task(old_model: Shop, capsys: Any) -> None:
    call_command("watch_models", store=old_model.store.slug, json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["store"], told["version"], told["level"]) == (old_model.store.slug, 1, "warn")
    assert [figure["name"] for figure in told["figures"]] == [
        "unknown_items",
        "scores",
        "accuracy",
        "unknown_shoppers",
        "popularity",
        "age",
    ]
    call_command("watch_models", store=old_model.store.slug)
    assert "DRIFTS  age" in capsys.readouterr().out
    assert watch_models()[old_model.store.slug] == "warn"


def test_the_command_says_what_to_do_without_a_model(shop: Shop, capsys: Any) -> None:
    call_command("watch_models", store=shop.store.slug)
    assert f"manage.py train --store {shop.store.slug}" in capsys.readouterr().out


def test_nothing_of_a_person_is_in_a_reading(old_model: Shop) -> None:
    reading = drift_watch(old_model.store)
    assert reading is not None
    text = json.dumps(reading.figures)
    assert "visitor-" not in text
    assert set(reading.figures[0]) == {"name", "value", "limit", "level", "text"}
