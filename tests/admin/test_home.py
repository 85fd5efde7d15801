"""The home page: figures with unit, period and comparison; what needs somebody; who sees which part."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone

from accounts.models import Store
from algorithms.experiments import Interval
from config.condition import condition
from config.dashboard import spark
from recommendations.admin.experiments import comparisons, verdict
from recommendations.selectors.uplift import Group, Uplift
from tests.admin.conftest import Staff
from tracking.models import LogPosition


@pytest.fixture(autouse=True)
def _no_page_of_another_test() -> None:
    cache.clear()


def test_says_what_came_in(merchandiser: Staff, full_store: Store) -> None:
    page = merchandiser.client.get("/admin/")
    figures = {figure.label: figure for figure in page.context["figures"]}
    assert figures["Visitors"].value == "3"
    assert figures["Visitors"].note == "3 visits, bots left out"
    assert figures["Visitors"].change == "nothing to compare with"
    assert figures["Revenue through shelves"].note == "0.0 % of €59.97 measured"
    html = page.content.decode()
    assert "the last 28 days" in html
    assert html.count("<details") == 4, "a table behind each chart"


@pytest.mark.parametrize(
    "days, label", [("7", "7 days"), ("90", "90 days"), ("1000000", "28 days"), ("x", "28 days")]
)
def test_the_period_is_chosen(merchandiser: Staff, store: Store, days: str, label: str) -> None:
    page = merchandiser.client.get(f"/admin/?days={days}")
    assert f"the last {label}" in page.content.decode()
    assert len(page.context["paid"].days) == int(label.split()[0])


def test_shows_each_role_what_it_may_open(privacy_officer: Staff, full_store: Store) -> None:
    html = privacy_officer.client.get("/admin/").content.decode()
    assert reverse("admin:consent_datasubjectrequest_changelist") + "?due=open" in html
    assert reverse("admin:recommendations_trainingrun_changelist") not in html
    assert "A training failed" not in html


def test_an_empty_shop_has_a_home_page(merchandiser: Staff, store: Store) -> None:
    html = merchandiser.client.get("/admin/").content.decode()
    assert "Nothing in this period." in html
    assert "No model is live" in html


def test_services_are_asked_and_a_missing_worker_told(store: Store) -> None:
    parts = {part.name: part for part in condition(store)}
    assert (parts["Database"].state, parts["Cache and profiles"].state) == ("ok", "ok")
    assert parts["Worker"].state == "bad"
    assert "no worker" in parts["Worker"].text


def test_a_reader_that_stands_still_is_told(store: Store) -> None:
    position = LogPosition.objects.create(store=store, reader="sessions", xact_id=1)
    assert {part.state for part in condition(store) if part.name == "Sessions and orders"} == {"ok"}
    LogPosition.objects.for_store(store).filter(pk=position.pk).update(
        updated_at=timezone.now() - timedelta(hours=1)
    )
    assert {part.state for part in condition(store) if part.name == "Sessions and orders"} == {"warn"}


@pytest.mark.parametrize(
    "interval, words",
    [
        (None, "Not enough"),
        (Interval(0.2, 0.1, 0.3), "More than"),
        (Interval(-0.2, -0.3, -0.1), "Less than"),
        (Interval(0.2, -0.1, 0.5), "May be chance"),
    ],
)
def test_a_verdict_says_no_more_than_its_interval(interval: Interval | None, words: str) -> None:
    assert verdict(interval).startswith(words)


def test_comparisons_share_a_scale() -> None:
    found = Uplift(
        Group(10, 5, 5),
        Group(10, 4, 4),
        0,
        conversion=Interval(0.25, -0.5, 1.0),
        clicks=Interval(0.1, 0.0, 0.2),
        revenue=None,
    )
    rows = comparisons(found)
    assert [interval.scale for _, interval, _ in rows if interval] == [1.0, 1.0]
    assert rows[0][1] is not None
    assert rows[0][1].text == "+25.0 % (−50.0 % to +100.0 %)"
    assert rows[1][1] is None


def test_a_spark_line_needs_two_numbers_and_something_to_show() -> None:
    assert spark([0, 2, 1]) == "M0.0 28.0 L50.0 2.0 L100.0 15.0"
    assert spark([5]) == ""
    assert spark([0, 0]) == ""


def test_experiments_compare_by_placement(merchandiser: Staff, full_store: Store) -> None:
    html = merchandiser.client.get(reverse("admin:recommendations_experiments")).content.decode()
    assert "No shelf was seen in this period" in html
    assert "10.0 % of shoppers" in html
