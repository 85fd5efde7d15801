"""The pages that say how good versions are, for whom, and whether the live one still fits."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role, Store
from algorithms.metrics import diversity, gini
from recommendations.admin.gate_text import gate_text, publish_label
from recommendations.models import DriftReading, Impression, ImpressionClick, ModelVersion
from recommendations.selectors.engagement import last_days
from recommendations.selectors.exposure import clicks_by_density, clicks_by_segment, exposure_by_day
from recommendations.selectors.quality import badly_served, live_quality, quality_history
from segments.models import Segment, SegmentMembership
from tests.admin.conftest import Staff
from tests.factories import CategoryFactory, ProductFactory, VisitorFactory
from tracking.models import Event, EventType

State = ModelVersion.State
PAGE = "admin:recommendations_quality"


def group(key: str, ndcg: float, *, popular: float = 0.01, **fields: Any) -> dict[str, Any]:
    return {
        "key": key,
        "name": key,
        "shoppers": 40,
        "cases": 200,
        "ndcg@10": ndcg,
        "recall@10": 2 * ndcg,
        "hit_rate@10": 2 * ndcg,
        "novelty@10": 8.0,
        "diversity@10": 0.5,
        "popular_ndcg@10": popular,
        "against_rest": {"estimate": 0.0, "low": -0.1, "high": 0.1},
        "against_popular": {"estimate": 5.0, "low": 4.0, "high": 6.0},
        **fields,
    }


def metrics(ndcg: float) -> dict[str, Any]:
    figures = {
        "ndcg@10": ndcg,
        "recall@10": 0.2,
        "coverage@10": 0.6,
        "novelty@10": 9.0,
        "gini@10": 0.4,
        "diversity@10": 0.7,
    }
    return {
        "unseen_cases": 700,
        "cases": 900,
        "unseen": {"blend": figures, "popular": {**figures, "ndcg@10": 0.01}},
        "groups": {
            "density": [group("0", ndcg / 2, against_rest={"estimate": -0.5, "low": -0.6, "high": -0.4}), group("5+", ndcg)],
            "segment": [
                group("sleeping", 0.005, popular=0.02, against_popular={"estimate": -0.75, "low": -0.9, "high": -0.2}),
                group("vip", ndcg),
            ],
        },
        "gate": {
            "is_open": False, "needs_person": False, "cases": 700, "least_cases": 500, "worst_lower_bound": -0.02,
            "comparisons": [
                {"name": "model 1, which was live", "is_met": False, "estimate": -0.05, "low": -0.09, "high": -0.01},
                {"name": "popular products", "is_met": True, "estimate": 3.0, "low": 2.0, "high": None},
            ],
            "live": {"number": 1, "method": "as it is", "unknown": 0.012},
        },
    }  # fmt: skip


def version(store: Store, number: int, state: str, ndcg: float = 0.1) -> ModelVersion:
    return ModelVersion.objects.create(
        store=store, number=number, state=state, folder=f"0/{number}", metrics=metrics(ndcg), data_until=timezone.now()
    )  # fmt: skip


@pytest.fixture
def measured(store: Store) -> Store:
    version(store, 1, State.LIVE, 0.1)
    version(store, 2, State.REFUSED, 0.09)
    cache.clear()
    return store


@pytest.fixture
def keeper(store: Store, at_work: Callable[..., Staff]) -> Staff:
    return at_work(store, Role.MERCHANDISER)


def test_who_is_badly_served_in_words(measured: Store) -> None:
    live = live_quality(quality_history(measured))
    assert live is not None
    assert live.number == 1
    found = badly_served(live)
    assert [served.group.key for served in found] == ["sleeping", "0"]
    assert found[0].what.startswith(
        "Popular products alone would do better for them (NDCG@10 0.0200 instead of 0.0050)"
    )
    assert found[1].what == (
        "Their shelves find 50 % less than everybody else's (between 40 % and 60 %); "
        "10.0 % of what they choose next stands among the first ten."
    )
    assert found[1].is_bad


def test_a_difference_that_may_be_chance_is_not_told(measured: Store) -> None:
    row = ModelVersion.objects.for_store(measured).get(number=1)
    row.metrics["groups"] = {
        "density": [group("0", 0.05, against_rest={"estimate": -0.5, "low": -0.9, "high": 0.1})],
        "segment": [group("a", 0.09, against_rest={"estimate": -0.1, "low": -0.15, "high": -0.05}),
                    group("b", 0.01, popular=0.02, against_rest={"estimate": None, "low": None, "high": None},
                          against_popular={"estimate": -0.5, "low": -0.9, "high": 0.4})],
    }  # fmt: skip
    row.save()
    live = live_quality(quality_history(measured))
    assert live is not None
    assert [(served.group.key, served.is_bad) for served in badly_served(live)] == [("a", False)]


def test_the_page_tells_all(measured: Store, keeper: Staff) -> None:
    html = keeper.client.get(reverse(PAGE)).content.decode()
    assert "Who is badly served?" in html
    assert "Popular products alone would do better" in html
    assert "Nothing known" in html
    assert "Model 1," in html
    assert "NDCG@10 by segment, over versions" in html
    assert "No shelf was seen in this period" in html
    assert "Nobody has looked yet" in html


def test_an_empty_store_is_told_what_to_do(store: Store, keeper: Staff) -> None:
    html = keeper.client.get(reverse(PAGE)).content.decode()
    assert "No version was measured yet" in html
    assert reverse("admin:recommendations_trainingrun_changelist") in html


def test_who_may_not_read_models_reads_nothing(measured: Store, at_work: Callable[..., Staff]) -> None:
    client = at_work(measured, Role.PRIVACY_OFFICER).client
    assert client.get(reverse(PAGE)).status_code == 403
    export = reverse("admin:recommendations_quality_export", args=["versions", "csv"])
    assert client.get(export).status_code == 403
    assert client.post(reverse(PAGE)).status_code in (403, 405)


def test_figures_are_of_the_own_store_alone(measured: Store, at_work: Callable[..., Staff]) -> None:
    from tests.factories import StoreFactory

    elsewhere = StoreFactory()
    html = at_work(elsewhere, Role.MERCHANDISER).client.get(reverse(PAGE)).content.decode()
    assert "Popular products alone" not in html


def test_the_numbers_can_be_taken_along(measured: Store, keeper: Staff) -> None:
    def get(table: str, form: str) -> Any:
        return keeper.client.get(reverse("admin:recommendations_quality_export", args=[table, form]))

    rows = list(csv.DictReader(io.StringIO(get("versions", "csv").content.decode())))
    assert [(row["model"], row["ndcg@10"]) for row in rows] == [("1", "0.1"), ("2", "0.09")]
    groups = get("groups", "json").json()["groups"]
    assert {(row["model"], row["kind"], row["group"]) for row in groups} >= {
        (1, "density", "0"),
        (2, "segment", "vip"),
    }
    assert get("drift", "json").json() == {"store": "here", "drift": []}
    assert get("exposure", "csv").status_code == get("clicks", "csv").status_code == 200
    assert get("secrets", "csv").status_code == 404
    assert get("versions", "xml").status_code == 404


def _see(
    store: Store, visitor: Any, product_ids: list[str], *, clicks: int = 0, hours_ago: float = 1
) -> None:
    request = uuid.uuid4()
    at = timezone.now() - timedelta(hours=hours_ago)
    for rank, product_id in enumerate(product_ids, start=1):
        Impression.objects.create(
            store=store, request_id=request, placement="home", product_id=product_id, rank=rank, variant="personalised",
            visitor=visitor, seen_at=at,
        )  # fmt: skip
        if rank <= clicks:
            ImpressionClick.objects.create(
                store=store, request_id=request, placement="home", product_id=product_id, visitor=visitor, clicked_at=at
            )  # fmt: skip


@pytest.fixture
def seen(measured: Store) -> Store:
    """Ten shoppers see three of five products, of two categories; the first clicks one."""
    tents, boots = (CategoryFactory(store=measured) for _ in range(2))
    for number in range(5):
        ProductFactory(store=measured, external_id=f"p{number}", category=tents if number < 2 else boots)
    for number in range(10):
        visitor = VisitorFactory(store=measured)
        _see(measured, visitor, ["p0", "p1", "p2"], clicks=int(number == 0))
    return measured


def test_exposure_by_hand(seen: Store) -> None:
    last_visitor = VisitorFactory(store=seen)
    _see(seen, last_visitor, ["p3"])
    today = max(exposure_by_day(seen, last_days(seen, 7)), key=lambda day: day.impressions)
    # p0, p1 and p2 ten times each, p3 once, p4 never.
    assert today.impressions == 31
    assert today.gini == pytest.approx(gini(_array([10, 10, 10, 1, 0])))
    assert today.shown_share == pytest.approx(4 / 5)
    # Of p0, p1 and p2 two of three pairs differ in category; who saw one product has no pair.
    assert today.diversity == pytest.approx(diversity(_array([[0, 1, 2]]), _array([0, 0, 1])))
    assert today.diversity == pytest.approx(2 / 3)
    assert today.categories == pytest.approx((10 * 2 + 1) / 11)
    quiet = exposure_by_day(seen, last_days(seen, 7))[0]
    assert (quiet.impressions, quiet.gini, quiet.diversity) == (0, None, None)


def _array(values: Any) -> Any:
    import numpy as np

    return np.array(values)


def test_days_of_few_shoppers_are_not_told(measured: Store) -> None:
    ProductFactory(store=measured, external_id="p0")
    for _ in range(9):
        _see(measured, VisitorFactory(store=measured), ["p0", "p1"])
    today = max(exposure_by_day(measured, last_days(measured, 7)), key=lambda day: day.impressions)
    assert today.impressions == 18
    assert today.diversity is None


def test_clicks_by_segment_name_ten_shoppers_or_more(seen: Store) -> None:
    visitors = [row.visitor for row in Impression.objects.for_store(seen).filter(rank=1).order_by("pk")]
    large, small = (
        Segment.objects.create(store=seen, slug=slug, name=slug.title(), rules={})
        for slug in ("large", "small")
    )
    now = timezone.now()
    for number, visitor in enumerate(visitors):
        SegmentMembership.objects.create(store=seen, segment=large, visitor=visitor, since=now)
        if number:
            SegmentMembership.objects.create(store=seen, segment=small, visitor=visitor, since=now)
    (row,) = clicks_by_segment(seen, last_days(seen, 7))
    assert (row.name, row.shoppers, row.impressions, row.clicks) == ("Large", 10, 30, 1)
    assert row.click_through == pytest.approx(1 / 30)


def test_clicks_by_what_was_known_then(seen: Store) -> None:
    """One looked at five products before they saw the shelf, one only after; ten more had looked at one."""
    for number in range(10):
        visitor = VisitorFactory(store=seen)
        _did(seen, visitor, 1, hours_ago=2)
        _see(seen, visitor, ["p3", "p4"], clicks=1)
        if number < 3:
            _did(seen, visitor, 6, hours_ago=0.5)
    much = VisitorFactory(store=seen)
    _did(seen, much, 5, hours_ago=2)
    _see(seen, much, ["p4"])
    rows = {
        row.key: (row.shoppers, row.impressions, row.clicks)
        for row in clicks_by_density(seen, last_days(seen, 7))
    }
    assert rows == {"nothing": (10, 30, 1), "little": (10, 20, 10)}, (
        "a single shopper of whom much is known is not named"
    )


def _did(store: Store, visitor: Any, times: int, hours_ago: float) -> None:
    at = timezone.now() - timedelta(hours=hours_ago)
    for number in range(times):
        Event.objects.create(
            store=store, id=uuid.uuid4(), message_id=uuid.uuid4().hex, type=EventType.TRACK, name="Product Viewed", visitor=visitor,
            product_id="p0", occurred_at=at + timedelta(seconds=number), received_at=at, purposes=7, xact_id=1,
        )  # fmt: skip


def test_what_shoppers_saw_is_on_the_page(seen: Store, keeper: Staff) -> None:
    html = keeper.client.get(reverse(PAGE), {"days": "7"}).content.decode()
    assert "30 products seen on shelves in the last 7 days" in html
    assert "Exposure of products (Gini), by day" in html
    assert "Clicks, by how much was known of the shopper then" in html


# The gate and the watch, on the pages of versions and on the home page.


def _reading(store: Store, level: str = "warn") -> DriftReading:
    live = ModelVersion.objects.for_store(store).get(state=State.LIVE)
    figures = [
        {
            "name": "unknown_items",
            "value": 0.12,
            "limit": 0.05,
            "level": level,
            "text": "12.0 % of 400 interactions.",
        },
        {
            "name": "scores",
            "value": None,
            "limit": 0.1,
            "level": "unknown",
            "text": "Too little has happened.",
        },
    ]
    return DriftReading.objects.create(
        store=store, version=live, level=level, interactions=400, figures=figures
    )


def test_the_gates_conditions_are_a_table(measured: Store, keeper: Staff) -> None:
    refused = ModelVersion.objects.for_store(measured).get(number=2)
    text = gate_text(refused)
    assert text is not None
    assert [(row.name, row.found, row.is_met) for row in text.conditions] == [
        ("Test cases", "700", True),
        ("NDCG@10 against model 1, which was live", "−5.0 % (between −9.0 % and −1.0 %)", False),
        ("NDCG@10 against popular products", "+300.0 % (too few cases for an interval)", True),
    ]
    assert "1.2 % of what shoppers chose it does not know: that counts as missed." in text.how_measured
    html = keeper.client.get(
        reverse("admin:recommendations_modelversion_change", args=[refused.pk])
    ).content.decode()
    assert "Not met" in html
    assert "Publish anyway…" in html
    assert "Does it still fit?" not in html


def test_each_state_has_its_own_button(measured: Store) -> None:
    row = ModelVersion.objects.for_store(measured).get(number=2)
    labels = {}
    for state in State:
        row.state = state
        labels[str(state)] = publish_label(row)
    assert labels == {
        "candidate": "Publish…",
        "live": "",
        "retired": "Publish again…",
        "refused": "Publish anyway…",
    }
    row.state, row.metrics["gate"]["needs_person"] = State.CANDIDATE, True
    assert publish_label(row) == "Give consent and publish…"
    row.metrics = {}
    assert gate_text(row) is None, "an earlier release kept the sentence alone"


def test_the_live_versions_page_says_whether_it_still_fits(measured: Store, keeper: Staff) -> None:
    live = ModelVersion.objects.for_store(measured).get(number=1)
    url = reverse("admin:recommendations_modelversion_change", args=[live.pk])
    assert "Nobody has looked yet" in keeper.client.get(url).content.decode()
    _reading(measured)
    html = keeper.client.get(url).content.decode()
    assert "12.0 % of 400 interactions." in html
    assert "Train now" in html
    assert "Roll back…" in html


def test_the_home_page_names_what_drifts_and_who_waits(measured: Store, keeper: Staff) -> None:
    _reading(measured)
    version(measured, 3, State.CANDIDATE)
    html = keeper.client.get("/admin/").content.decode()
    assert "Model 1 drifts: unknown items" in html
    assert "Model 3 waits for you" in html


def test_a_version_waits_only_while_it_is_the_newest(measured: Store, keeper: Staff) -> None:
    version(measured, 3, State.CANDIDATE)
    version(measured, 4, State.REFUSED)
    assert "waits for you" not in keeper.client.get("/admin/").content.decode()


def test_drift_over_time_is_drawn(measured: Store, keeper: Staff) -> None:
    _reading(measured, "ok")
    assert "What the live model does not know" not in keeper.client.get(reverse(PAGE)).content.decode()
    _reading(measured)
    assert "What the live model does not know" in keeper.client.get(reverse(PAGE)).content.decode()


def test_drift_is_a_metric(measured: Store) -> None:
    from config.metrics import live_metrics

    _reading(measured)
    text = live_metrics().decode()
    assert 'etalage_model_drift{figure="unknown_items",store="here"} 0.12' in text
    assert 'etalage_model_drifting{figure="unknown_items",store="here"} 1.0' in text
    assert 'etalage_model_drifting{figure="scores",store="here"} 0.0' in text
    assert 'etalage_model_drift{figure="scores"' not in text
    assert 'etalage_model_data_until_timestamp_seconds{store="here"}' in text
