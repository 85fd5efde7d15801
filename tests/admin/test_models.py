"""Versions, their figures, publishing and rolling back; runs, schedule, failures that somebody has seen."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role, Store
from consent.models import AuditEntry, AuditPayload
from recommendations.admin.models import figure_table
from recommendations.models import ModelVersion, TrainingRun, TrainingSchedule
from tests.admin.conftest import Staff
from tests.admin.rows import METRICS
from tests.recommendations.shop import Shop

State = ModelVersion.State


@pytest.fixture
def two_versions(trained_shop: Shop) -> Store:
    """Version 1 is live; version 2 stands in the same folder and waits for a person."""
    store = trained_shop.store
    live = ModelVersion.objects.for_store(store).get()
    ModelVersion.objects.create(
        store=store,
        number=2,
        state=State.CANDIDATE,
        folder=live.folder,
        gate_reason="Only 40 test cases.",
        metrics=METRICS,
    )
    return store


@pytest.fixture
def keeper(two_versions: Store, at_work: Callable[..., Staff]) -> Staff:
    return at_work(two_versions, Role.MERCHANDISER)


def _states(store: Store) -> dict[int, str]:
    return dict(ModelVersion.objects.for_store(store).values_list("number", "state"))


def _publish(store: Store, number: int) -> str:
    version = ModelVersion.objects.for_store(store).get(number=number)
    return reverse("admin:recommendations_modelversion_publish", args=[version.pk])


def test_figures_have_the_blend_first_then_the_best() -> None:
    table = figure_table(METRICS, "unseen")
    assert [name for _, name, _ in table["rows"]] == ["blend", "popular"]
    assert [label for label, _ in table["columns"]] == ["NDCG@10", "Recall@10", "Coverage@10"]
    assert table["rows"][0][2] == ["0.1200", "20.0 %", "60.0 %"]
    assert figure_table({}, "all") == {"columns": [], "rows": []}


def test_the_list_compares_with_popular_products(keeper: Staff, two_versions: Store) -> None:
    html = keeper.client.get(reverse("admin:recommendations_modelversion_changelist")).content.decode()
    assert "+200 %" in html  # 0.12 against 0.04


def test_publishing_asks_for_a_reason_and_shows_what_the_gate_said(
    keeper: Staff, two_versions: Store
) -> None:
    url = _publish(two_versions, 2)
    html = keeper.client.get(url).content.decode()
    assert "Only 40 test cases." in html
    keeper.client.post(url, {"reason": ""})
    assert _states(two_versions) == {1: State.LIVE, 2: State.CANDIDATE}
    keeper.client.post(url, {"reason": "Looks right on the shelf"})
    assert _states(two_versions) == {1: State.RETIRED, 2: State.LIVE}
    assert (
        AuditPayload.objects.for_store(two_versions).get(entry__action="model.published").reason
        == "Looks right on the shelf"
    )


def test_rolling_back_asks_and_brings_the_one_before_back(keeper: Staff, two_versions: Store) -> None:
    keeper.client.post(_publish(two_versions, 2), {"reason": "Try"})
    url = reverse("admin:recommendations_modelversion_roll_back")
    assert "Roll back to Model 1?" in keeper.client.get(url).content.decode()
    assert _states(two_versions)[2] == State.LIVE
    keeper.client.post(url, {"reason": ""})
    assert _states(two_versions) == {1: State.LIVE, 2: State.RETIRED}


def test_a_version_without_its_folder_is_not_published(keeper: Staff, two_versions: Store) -> None:
    ModelVersion.objects.for_store(two_versions).filter(number=2).update(folder="gone/2")
    answer = keeper.client.post(_publish(two_versions, 2), {"reason": "Try"}, follow=True)
    assert "cannot go live" in answer.content.decode()
    assert _states(two_versions) == {1: State.LIVE, 2: State.CANDIDATE}


def test_who_may_not_manage_models_changes_nothing(
    two_versions: Store, at_work: Callable[..., Staff]
) -> None:
    client = at_work(two_versions, Role.PRIVACY_OFFICER).client
    before = _states(two_versions)
    for url in (
        _publish(two_versions, 2),
        reverse("admin:recommendations_modelversion_roll_back"),
        reverse("admin:recommendations_trainingrun_train_now"),
        reverse("admin:recommendations_trainingrun_schedule"),
    ):
        assert client.post(url, {"reason": "x", "every_hours": 1, "is_enabled": "on"}).status_code == 403
    assert _states(two_versions) == before
    assert not TrainingSchedule.objects.for_store(two_versions).filter(every_hours=1).exists()
    assert not AuditEntry.objects.for_store(two_versions).exists()


def test_the_schedule_is_edited_with_beats_own(merchandiser: Staff, store: Store) -> None:
    url = reverse("admin:recommendations_trainingrun_schedule")
    merchandiser.client.post(url, {"every_hours": 6, "is_enabled": "on"})
    schedule = TrainingSchedule.objects.for_store(store).select_related("periodic_task__interval").get()
    assert schedule.periodic_task is not None
    assert (schedule.every_hours, schedule.periodic_task.enabled, schedule.periodic_task.interval.every) == (
        6,
        True,
        6,
    )
    merchandiser.client.post(url, {"every_hours": 6})
    schedule.periodic_task.refresh_from_db()
    assert not schedule.periodic_task.enabled
    html = merchandiser.client.get(reverse("admin:recommendations_trainingrun_changelist")).content.decode()
    assert "not by schedule" in html


@pytest.mark.parametrize("hours", ["0", "721", "soon"])
def test_a_schedule_that_cannot_be_is_refused(merchandiser: Staff, store: Store, hours: str) -> None:
    url = reverse("admin:recommendations_trainingrun_schedule")
    merchandiser.client.post(url, {"every_hours": hours, "is_enabled": "on"})
    assert not TrainingSchedule.objects.for_store(store).exists()


def test_train_now_is_recorded_and_sent_after_the_commit(
    merchandiser: Staff, store: Store, django_capture_on_commit_callbacks: Callable[..., object]
) -> None:
    with django_capture_on_commit_callbacks() as callbacks:  # type: ignore[attr-defined]
        merchandiser.client.post(reverse("admin:recommendations_trainingrun_train_now"))
    assert len(callbacks) == 1
    assert AuditEntry.objects.for_store(store).filter(action="training.requested").exists()
    assert merchandiser.client.get(reverse("admin:recommendations_trainingrun_train_now")).status_code == 405


def test_a_failure_stands_on_the_home_page_until_somebody_has_seen_it(
    merchandiser: Staff, store: Store
) -> None:
    run = TrainingRun.objects.create(
        store=store, state="failed", error="OutOfMemory: als", step="fit als", finished_at=timezone.now()
    )
    html = merchandiser.client.get("/admin/").content.decode()
    assert "A training failed" in html
    assert "fit als" in html
    merchandiser.client.post(reverse("admin:recommendations_trainingrun_acknowledge", args=[run.pk]))
    assert "A training failed" not in merchandiser.client.get("/admin/").content.decode()
    run.refresh_from_db()
    assert run.state == "failed"
