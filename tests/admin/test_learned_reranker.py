"""What the admin says of the learned reranker, and where it is switched."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from accounts.models import Role, Store
from algorithms.candidate_features import SHARED
from recommendations.admin.learned_features import SHARED_LABELS, loudest
from recommendations.admin.reranker_report import reranker_report
from recommendations.models import ModelVersion, Placement, TrainingSchedule
from recommendations.services.schedule_update import schedule_update
from recommendations.serving import store_state
from tests.admin.conftest import Staff
from tests.recommendations.shop import Shop

WON: dict[str, Any] = {
    "has_won": True, "cases": 1050, "trees": 17, "estimate": 0.0213, "low": 0.0041, "high": 0.0392, "blend": 0.1743,
    "reranked": 0.178, "reason": "Won by +2.1% [+0.4%, +3.9%] in NDCG@10 on 1050 later choices.",
}  # fmt: skip
LOST: dict[str, Any] = {
    **WON, "has_won": False, "low": -0.01, "reason": "Did not win: +2.1% [-1.0%, +3.9%]. Not used.",
}  # fmt: skip


def test_the_report_has_a_row_for_each_kind_of_shelf() -> None:
    report = reranker_report({"reranker": {"state": "used", "modes": {"all": LOST, "unseen": WON}}})
    assert report is not None
    assert (report.label, report.tone) == ("In use", "good")
    assert [(row.is_used, row.difference) for row in report.rows] == [
        (True, "+2.1% [+0.4%, +3.9%]"),
        (False, "+2.1% [-1.0%, +3.9%]"),
    ]
    assert (report.rows[0].blend, report.rows[0].reranked, report.rows[0].cases) == (
        "0.1743",
        "0.1780",
        "1,050",
    )


def test_a_version_of_an_older_release_says_nothing() -> None:
    assert reranker_report({"cases": 3}) is None


def test_infinite_differences_are_not_figures() -> None:
    tried = {**WON, "estimate": None, "low": None, "high": None}
    report = reranker_report({"reranker": {"state": "used", "modes": {"unseen": tried}}})
    assert report is not None
    assert report.rows[0].difference == "–"


@pytest.mark.parametrize(
    "reranker, words",
    [
        ({"state": "used", "modes": {"unseen": WON}}, ["In use", "won: used", "+2.1% [+0.4%, +3.9%]"]),
        ({"state": "not used", "modes": {"all": LOST}}, ["Not used", "did not win: not used"]),
        (
            {"state": "not installed", "reason": "pip install -r requirements-reranker.txt"},
            ["Not tried", "pip install -r requirements-reranker.txt"],
        ),
    ],
)
def test_the_page_of_a_version_says_what_happened_and_why(
    trained_shop: Shop, at_work: Any, reranker: dict[str, Any], words: list[str]
) -> None:
    version = ModelVersion.objects.for_store(trained_shop.store).get()
    version.metrics = {"reranker": reranker}
    version.save()
    client = at_work(trained_shop.store, Role.MERCHANDISER).client
    html = client.get(
        reverse("admin:recommendations_modelversion_change", args=[version.pk])
    ).content.decode()
    assert "Learned reranker" in html
    for word in words:
        assert word in html


def test_a_store_switches_it_with_its_schedule(merchandiser: Staff, store: Store) -> None:
    url = reverse("admin:recommendations_trainingrun_schedule")
    merchandiser.client.post(url, {"every_hours": 6, "is_enabled": "on", "learned_reranker": "off"})
    schedule = TrainingSchedule.objects.for_store(store).get()
    assert (schedule.every_hours, schedule.learned_reranker) == (6, "off")
    # A request that does not speak of it leaves it as it is.
    merchandiser.client.post(url, {"every_hours": 8, "is_enabled": "on"})
    schedule.refresh_from_db()
    assert (schedule.every_hours, schedule.learned_reranker) == (8, "off")
    html = merchandiser.client.get(reverse("admin:recommendations_trainingrun_changelist")).content.decode()
    assert "On when it wins" in html


def test_a_word_that_is_unknown_changes_nothing(store: Store) -> None:
    with pytest.raises(ValueError, match="one of off, when_it_wins, not 'maybe'"):
        schedule_update(store=store, every_hours=6, is_enabled=True, learned_reranker="maybe")
    assert not TrainingSchedule.objects.for_store(store).exists()


def test_a_merchandiser_switches_it_off_for_a_placement(trained_shop: Shop, at_work: Any) -> None:
    placement = Placement.objects.for_store(trained_shop.store).get(slug="home")
    client = at_work(trained_shop.store, Role.MERCHANDISER).client
    url = reverse("admin:recommendations_placement_settings", args=[placement.pk])
    assert 'name="uses_learned_reranker"' in client.get(url).content.decode()
    fields = {
        "name": placement.name, "heading": placement.heading, "fallback_heading": placement.fallback_heading,
        "kind": placement.kind, "size": placement.size, "deadline_ms": placement.deadline_ms, "is_active": "on",
    }  # fmt: skip
    client.post(url, fields)
    placement.refresh_from_db()
    assert placement.uses_learned_reranker is False
    client.post(url, fields | {"uses_learned_reranker": "on"})
    placement.refresh_from_db()
    assert placement.uses_learned_reranker is True


def test_features_are_told_in_words_the_loudest_first() -> None:
    told = loudest({"price_ratio": 0.5, "viewed_next:rank": 1.2, "blend": 1.001, "session_knn": 1.1})
    assert told == [
        ("Its price beside what they look at", 0.5),
        ("Viewed next: place", 1.2),
        ("Similar visits: score", 1.1),
    ]


def test_every_feature_has_words() -> None:
    assert set(SHARED_LABELS) == set(SHARED)


def test_the_preview_shows_what_was_learned(corrected_shop: Shop, at_work: Any) -> None:
    placement = Placement.objects.for_store(corrected_shop.store).get(slug="home")
    client = at_work(corrected_shop.store, Role.MERCHANDISER).client
    html = client.get(reverse("admin:recommendations_placement_change", args=[placement.pk])).content.decode()
    assert "Learned reranker" in html
    assert "Viewed next: score" in html
    Placement.objects.for_store(corrected_shop.store).update(uses_learned_reranker=False)
    store_state.forget_all()
    html = client.get(reverse("admin:recommendations_placement_change", args=[placement.pk])).content.decode()
    assert "Viewed next: score" not in html
