"""Figures by group, the weights that each case is asked with, and how the live version is measured beside a new one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import time_machine
from django.utils import timezone

from algorithms.evaluation import Figures, TestCase
from algorithms.popularity import Popularity
from algorithms.types import Query, TrainingData
from recommendations.models import Density, ModelVersion
from recommendations.selectors.audience import audience_of
from recommendations.serving.configuration import BlendSettings
from recommendations.training.figures import BLEND, measure, same_for_all
from recommendations.training.fitting import case_weights, split_for
from recommendations.training.gate import MIN_CASES
from recommendations.training.groups import LEAST_SHOPPERS, Audience, Groups
from recommendations.training.run import train
from segments.models import Segment, SegmentMembership
from tests.factories import CustomerFactory, ProductFactory, VisitorFactory
from tests.recommendations.shop import Shop, event
from tracking.models import Event

RECIPE: dict[str, Any] = {"popular": {}, "session_knn": {}, "content": {}}


def case(user: int, known: int, target: int = 9) -> TestCase:
    return TestCase(Query.of(list(range(known)), now=100.0), np.array([target], np.int32), user)


def figures(ndcg: list[float], lists: list[list[int]]) -> Figures:
    values = np.array(ndcg)
    shown = np.array(lists, np.int32)
    return Figures(
        per_case={"ndcg@10": values, "recall@10": values, "hit_rate@10": values},
        lists=shown,
        listed=np.arange(len(shown)),
        exposure=np.bincount(shown[shown >= 0], minlength=10),
        novelty=0.0,
        repeat_share=0.0,
        diversity=None,
    )


def test_groups_of_fewer_than_ten_shoppers_are_not_named() -> None:
    n = LEAST_SHOPPERS
    cases = [case(user, 0) for user in range(n)] + [case(100 + user, 1) for user in range(n - 1)]
    # The nine of whom one product is known come again: 18 cases, still nine people.
    cases += [case(100 + user, 1) for user in range(n - 1)]
    blend = figures([0.2] * n + [0.8] * (2 * n - 2), [[0, 1]] * len(cases))
    groups = Groups(cases, blend, blend, np.ones(10, np.int64), np.array([0, 1] * 5, np.int32))
    people = np.arange(200)
    segments = dict.fromkeys(range(n), (7,)) | {100: (7, 8)}
    audience = Audience(people, segments, {7: ("vip", "VIP"), 8: ("rare", "Rare")})
    report = groups.report(audience, np.random.default_rng(0))
    (nothing,) = report["density"]
    assert (nothing["key"], nothing["shoppers"], nothing["cases"]) == ("0", 10, 10)
    assert nothing["ndcg@10"] == 0.2
    # 0.2 against 0.8 is −75 % whoever is drawn; the two products shown are of two categories.
    assert nothing["against_rest"] == {"estimate": -0.75, "low": -0.75, "high": -0.75}
    assert nothing["against_popular"]["estimate"] == 0.0
    assert nothing["diversity@10"] == 1.0
    (vip,) = report["segment"]
    assert (vip["key"], vip["name"], vip["shoppers"], vip["cases"]) == ("vip", "VIP", 11, 12)
    assert vip["ndcg@10"] == pytest.approx((10 * 0.2 + 2 * 0.8) / 12, abs=1e-5)


def test_each_case_is_asked_with_its_shoppers_weights() -> None:
    rows = {
        (None, Density.ANY): {"a": 1.0},
        (None, Density.NOTHING): {"b": 1.0},
        (5, Density.ANY): {"c": 1.0},
    }
    blend = BlendSettings(
        number=1,
        normalisation="max",
        max_per_brand=None,
        max_per_category=None,
        diversity=0.0,
        rows=rows,
        segment_names={},
    )
    weights = case_weights(blend, Audience(np.array([11, 12]), {12: (5,)}))
    assert weights(case(0, 3)) == {"a": 1.0}
    assert weights(case(0, 0)) == {"b": 1.0}
    assert weights(case(1, 0)) == {"c": 1.0}
    assert weights(case(-1, 3)) == {"a": 1.0}, "a shopper who is not known is in no segment"


def log(n: int = 40) -> TrainingData:
    """Item 0 most of all, then 1 and so on."""
    items = np.array([item for item in range(10) for _ in range(10 - item)][:n], np.int32)
    return TrainingData(
        user=np.arange(n, dtype=np.int32),
        item=items,
        timestamp=np.arange(n, dtype=np.float64),
        weight=np.ones(n, np.float32),
        session=np.arange(n, dtype=np.int32),
        basket=np.full(n, -1, np.int32),
        n_users=n,
        n_items=10,
        now=float(n),
        item_category=np.array([0, 1] * 5, np.int32),
    )


class Backwards(Popularity):
    """The least wanted first."""

    def score(self, query: Query) -> Any:
        scores = super().score(query)
        return (scores.max() + 0.1 - scores).astype(np.float32)


def test_figures_of_parts_are_those_of_the_whole() -> None:
    """Cases with weights of their own are measured apart and joined: with the same weights for all nothing must change."""
    data = log()
    rng = np.random.default_rng(0)
    strategies = {"popular": Popularity().fit(data, rng), "backwards": Backwards().fit(data, rng)}
    cases = [case(user, user % 4, target=4 + user % 6) for user in range(12)]
    whole = measure(strategies, cases, data, same_for_all({"popular": 1.0}), "max")
    # Twice the weight is the same order, but another mix: two parts.
    parts = measure(
        strategies, cases, data, lambda asked: {"popular": 1.0 + len(asked.query.items) % 2}, "max"
    )
    for mode in ("all", "unseen"):
        expected, found = whole.figures[BLEND][mode], parts.figures[BLEND][mode]  # type: ignore[index]
        np.testing.assert_array_equal(found.per_case["ndcg@10"], expected.per_case["ndcg@10"])
        np.testing.assert_array_equal(found.lists, expected.lists)
        np.testing.assert_array_equal(found.listed, expected.listed)
        assert found.summary() == pytest.approx(expected.summary())
    mixed = measure(
        strategies, cases, data, lambda asked: {"popular" if len(asked.query.items) else "backwards": 1.0}, "max"
    )  # fmt: skip
    newcomers = [number for number, asked in enumerate(cases) if not len(asked.query.items)]
    of = mixed.per_case(BLEND)
    np.testing.assert_array_equal(of[newcomers], mixed.per_case("backwards")[newcomers])
    others = [number for number in range(12) if number not in newcomers]
    np.testing.assert_array_equal(of[others], mixed.per_case("popular")[others])
    assert (of[newcomers] != mixed.per_case("popular")[newcomers]).any()


def live_until(moment: float) -> Any:
    return SimpleNamespace(manifest=SimpleNamespace(data_until=moment))


def test_the_test_is_what_came_after_the_live_version_where_that_is_enough() -> None:
    """8,000 shoppers, one choice a second: the newest 15 %, from 6,799 on, are the usual test."""
    n = 8_000
    seconds = np.arange(n, dtype=np.float64)
    data = TrainingData(
        user=np.arange(n, dtype=np.int32),
        item=(np.arange(n) % 10).astype(np.int32),
        timestamp=seconds,
        weight=np.ones(n, np.float32),
        session=np.arange(n, dtype=np.int32),
        basket=np.full(n, -1, np.int32),
        n_users=n,
        n_items=10,
        now=float(n),
    )
    rng = np.random.default_rng(0)
    usual = split_for(data, None, rng).cutoff
    assert usual == pytest.approx(0.85 * (n - 1))
    assert split_for(data, live_until(5_000.0), rng).cutoff == usual, "it has seen none of the usual test"
    chosen = split_for(data, live_until(float(n - MIN_CASES)), rng)
    assert (chosen.cutoff, len(chosen.cases)) == (n - MIN_CASES, MIN_CASES)
    assert chosen.train.timestamp.max() < chosen.cutoff
    assert split_for(data, live_until(float(n - MIN_CASES + 1)), rng).cutoff == usual, "too few came since"
    assert split_for(data, live_until(n + 5.0), rng).cutoff == usual, "nothing came since"


def test_people_are_found_in_their_segments(shop: Shop) -> None:
    first, second = (
        Segment.objects.create(store=shop.store, slug=slug, name=slug, rules={}, priority=priority)
        for slug, priority in (("second", 20), ("first", 10))
    )
    asleep = Segment.objects.create(store=shop.store, slug="off", name="off", rules={}, is_active=False)
    customer, visitor = CustomerFactory(store=shop.store), VisitorFactory(store=shop.store)
    now = timezone.now()
    for segment in (first, second, asleep):
        SegmentMembership.objects.create(store=shop.store, segment=segment, customer=customer, since=now)
    SegmentMembership.objects.create(store=shop.store, segment=first, visitor=visitor, since=now)
    found = audience_of(shop.store.pk, np.array([customer.pk, -visitor.pk, 0]))
    assert found.segments_of(0) == (second.pk, first.pk), "the one that counts first"
    assert found.segments_of(1) == (first.pk,)
    assert found.segments_of(2) == found.segments_of(-1) == ()
    assert asleep.pk not in found.names


# A live version and a newer one.


def _train_days_ago(shop: Shop, days: float, recipe: dict[str, Any] = RECIPE) -> ModelVersion:
    with time_machine.travel(datetime.now(UTC) - timedelta(days=days), tick=True):
        return train(shop.store, recipe=recipe, consent="A small shop").version


def _measured(version: ModelVersion) -> tuple[int, str, float]:
    live = version.metrics["gate"]["live"]
    return live["number"], live["method"], live["unknown"]


def test_an_old_live_version_is_asked_as_it_is_and_misses_what_it_does_not_know(
    busy_shop: Shop, model_dir: Path
) -> None:
    """It learned until 20 days ago; since then everybody has wanted a product that is newer."""
    _train_days_ago(busy_shop, 20)
    store = busy_shop.store
    ProductFactory(store=store, external_id="craze", category=busy_shop.categories["tents"])
    since = timezone.now() - timedelta(days=1)
    visitors = [VisitorFactory(store=store) for _ in range(60)]
    Event.all_stores.bulk_create(
        event(store, "craze", since + timedelta(minutes=n), visitor) for n, visitor in enumerate(visitors)
    )
    second = train(store, recipe=RECIPE).version
    number, method, unknown = _measured(second)
    assert (number, method) == (1, "as it is")
    assert unknown > 0.2
    assert second.metrics["gate"]["comparisons"][0]["name"] == "model 1, which was live"


def test_a_live_version_that_has_seen_the_test_is_trained_again_or_taken_for_the_same(
    busy_shop: Shop, model_dir: Path
) -> None:
    train(busy_shop.store, recipe=RECIPE, consent="A small shop")
    same = train(busy_shop.store, recipe=RECIPE).version
    assert _measured(same) == (1, "same recipe", 0.0)
    assert same.metrics["gate"]["comparisons"][0]["estimate"] == 0.0
    other = train(busy_shop.store, recipe={"popular": {}, "content": {}}).version
    assert _measured(other) == (1, "trained again", 0.0)
    assert other.metrics["gate"]["comparisons"][0]["estimate"] != 0.0


def test_a_training_keeps_figures_by_group_and_what_drift_is_measured_by(
    busy_shop: Shop, model_dir: Path
) -> None:
    visitors = {row.visitor_id for row in Event.objects.for_store(busy_shop.store)}
    everybody = Segment.objects.create(store=busy_shop.store, slug="all", name="Everybody", rules={})
    SegmentMembership.all_stores.bulk_create(
        SegmentMembership(store=busy_shop.store, segment=everybody, visitor_id=pk, since=timezone.now())
        for pk in visitors
    )
    metrics = train(busy_shop.store, recipe=RECIPE).version.metrics
    density = {row["key"]: row for row in metrics["groups"]["density"]}
    assert "5+" in density
    assert all(row["shoppers"] >= LEAST_SHOPPERS for row in density.values())
    (segment,) = metrics["groups"]["segment"]
    assert segment["name"] == "Everybody"
    assert segment["cases"] == metrics["unseen_cases"]
    assert segment["ndcg@10"] == pytest.approx(metrics["unseen"]["blend"]["ndcg@10"], abs=1e-5)
    baseline = metrics["baseline"]
    assert sum(baseline["score_counts"]) <= baseline["cases"]
    assert len(baseline["score_counts"]) == len(baseline["score_edges"]) + 1
