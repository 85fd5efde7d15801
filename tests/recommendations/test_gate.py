"""May a version go live? Each branch on figures worked by hand, and on a shop whose log says what is better."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from algorithms.experiments import Interval, clustered_relative_difference
from algorithms.types import Float64
from consent.models import AuditEntry
from recommendations.models import ModelVersion
from recommendations.training.gate import (
    MIN_CASES,
    Comparison,
    LiveFigures,
    Verdict,
    difference_text,
    judge,
    percent,
)
from recommendations.training.run import train
from tests.recommendations.shop import Shop

State = ModelVersion.State
TINY = {"popular": {}, "session_knn": {}, "content": {}}


def constant(value: float, n: int = 600) -> Float64:
    return np.full(n, value)


def verdict(candidate: Float64, popular: Float64, live: Float64 | None = None) -> Verdict:
    against = None if live is None else LiveFigures(3, live)
    return judge(candidate, popular, against, np.random.default_rng(0))


def test_better_than_both_goes_live() -> None:
    # 0.5 against 0.4 is +25 %, against 0.3 +67 %: the same on every case, so the interval is the estimate.
    found = verdict(constant(0.5), constant(0.3), constant(0.4))
    assert (found.is_open, found.needs_person, found.cases) == (True, False, 600)
    assert "On 600 test cases" in found.reason
    assert "+25.0 % (between +25.0 % and +25.0 %) against model 3, which was live" in found.reason
    assert "+66.7 % (between +66.7 % and +66.7 %) against popular products" in found.reason


def test_worse_than_the_live_version_is_refused_with_the_figures() -> None:
    found = verdict(constant(0.4), constant(0.3), constant(0.5))
    assert (found.is_open, found.needs_person) == (False, False)
    assert "−20.0 % (between −20.0 % and −20.0 %) against model 3, which was live" in found.reason
    assert "The lower bound must be above −2 %" in found.reason
    assert "popular products" not in found.reason, "against them it stands"


def test_worse_than_popular_products_is_refused_even_if_it_beats_the_live_version() -> None:
    found = verdict(constant(0.4), constant(0.5), constant(0.3))
    assert not found.is_open
    assert "−20.0 % (between −20.0 % and −20.0 %) against popular products" in found.reason


def test_as_good_as_the_live_version_goes_live() -> None:
    assert verdict(constant(0.4), constant(0.3), constant(0.4)).is_open


@pytest.mark.parametrize(("low", "is_met"), [(-0.0199, True), (-0.02, False), (-0.0201, False)])
def test_the_lower_bound_must_lie_above_minus_two_per_cent(low: float, is_met: bool) -> None:
    assert Comparison("x", Interval(0.01, low, 0.04)).is_met is is_met


def test_a_better_mean_is_refused_while_the_interval_reaches_below() -> None:
    """Half of the cases win much and half lose as much, but for a little: +1 % on the mean, with wide bounds."""
    candidate = np.where(np.arange(600) % 2 == 0, 0.9, 0.11)
    live = np.where(np.arange(600) % 2 == 0, 0.1, 0.9)
    found = verdict(candidate, constant(0.1), live)
    assert found.comparisons[0].difference.estimate == pytest.approx(1.01 / 1.0 - 1)
    assert found.comparisons[0].difference.low < -0.02
    assert (found.is_open, found.needs_person) == (False, False)


@pytest.mark.parametrize("cases", [MIN_CASES - 1, MIN_CASES])
@pytest.mark.parametrize("has_live", [True, False])
def test_with_fewer_than_500_cases_a_person_must_say_so(cases: int, has_live: bool) -> None:
    live = constant(0.4, cases) if has_live else None
    found = verdict(constant(0.5, cases), constant(0.3, cases), live)
    assert found.is_open is (cases >= 500)
    assert found.needs_person is (cases < 500)
    assert ("Only 499 test cases, 500 are needed to tell" in found.reason) is (cases < 500)


def test_cases_in_which_nothing_new_was_chosen_do_not_count() -> None:
    sparse = np.where(np.arange(600) < 200, np.nan, 0.5)
    found = verdict(sparse, constant(0.3), constant(0.4))
    assert (found.cases, found.needs_person) == (400, True)


def test_few_cases_that_prove_it_worse_are_no_matter_of_consent() -> None:
    found = verdict(constant(0.3, 100), constant(0.4, 100))
    assert (found.is_open, found.needs_person) == (False, False)
    assert "−25.0 %" in found.reason


def test_few_cases_that_prove_nothing_are() -> None:
    candidate = np.tile([0.9, 0.0], 10)
    found = verdict(candidate, candidate[::-1].copy())
    assert (found.is_open, found.needs_person) == (False, True)


def test_the_first_version_stands_against_popular_products_alone() -> None:
    assert verdict(constant(0.5), constant(0.4)).is_open
    assert [each.name for each in verdict(constant(0.5), constant(0.4)).comparisons] == ["popular products"]
    worse = verdict(constant(0.3), constant(0.4))
    assert (worse.is_open, worse.needs_person) == (False, False)


def test_without_a_single_case_a_person_must_say_so() -> None:
    found = verdict(np.empty(0), np.empty(0))
    assert (found.is_open, found.needs_person) == (False, True)
    assert "There is no test case" in found.reason
    assert verdict(np.empty(0), np.empty(0), np.empty(0)).needs_person


def test_figures_in_words() -> None:
    assert difference_text(Interval(0.031, -0.01, 0.052)) == "+3.1 % (between −1.0 % and +5.2 %)"
    assert difference_text(Interval(np.inf, np.inf, np.inf)) == "better than nothing"
    assert percent(-0.02, 0) == "−2 %"


def test_the_report_says_all_that_was_weighed() -> None:
    report = verdict(constant(0.5), constant(0.3), constant(0.4)).report()
    assert report["comparisons"][0] == {
        "name": "model 3, which was live",
        "is_met": True,
        "estimate": 0.25,
        "low": 0.25,
        "high": 0.25,
    }
    assert (report["cases"], report["least_cases"], report["is_open"]) == (600, 500, True)
    assert report["live"] == {"number": 3, "method": "as it is", "unknown": 0.0}


def test_a_difference_between_groups_resamples_whole_shoppers() -> None:
    values = np.array([0.2, 0.2, 0.4, 0.4, np.nan])
    in_group = np.array([True, True, False, False, True])
    found = clustered_relative_difference(values, in_group, np.arange(5), np.random.default_rng(0))
    # 0.2 against 0.4 is −50 % in every draw that holds both.
    assert (found.estimate, found.low, found.high) == pytest.approx((-0.5, -0.5, -0.5))
    everybody = clustered_relative_difference(
        values, np.ones(5, bool), np.arange(5), np.random.default_rng(0)
    )
    assert np.isinf(everybody.high)
    # Ten cases of one shopper tell less than one case of each of ten.
    noisy, half = np.tile([0.0, 1.0, 0.5, 0.7], 50), np.arange(200) % 4 < 2
    alone = clustered_relative_difference(noisy, half, np.arange(200), np.random.default_rng(0))
    clustered = clustered_relative_difference(noisy, half, np.arange(200) % 4, np.random.default_rng(0))
    assert clustered.high - clustered.low > alone.high - alone.low


def test_a_small_shops_first_version_waits_for_a_person(busy_shop: Shop, model_dir: Path) -> None:
    version = train(busy_shop.store, recipe=TINY).version
    assert version.metrics["unseen_cases"] < 500
    assert version.state == State.CANDIDATE
    assert not ModelVersion.objects.for_store(busy_shop.store).filter(state=State.LIVE).exists()
    assert version.metrics["gate"]["needs_person"]


def test_consent_on_the_command_line_is_recorded_with_its_reason(busy_shop: Shop, model_dir: Path) -> None:
    version = train(busy_shop.store, recipe=TINY, consent="We open on Monday").version
    version.refresh_from_db()
    assert version.state == State.LIVE
    entry = AuditEntry.objects.for_store(busy_shop.store).get(action="model.published")
    told = (entry.payload.actor, entry.payload.target, entry.payload.reason)
    assert told == ("system", "model:1", "We open on Monday")


def test_a_version_that_is_worse_than_popular_products_is_refused_whatever_the_consent(
    busy_shop: Shop, model_dir: Path
) -> None:
    """Shoppers keep to a category: to recommend by a nonsense of weights is to miss all that they choose."""
    busy_shop.set_weights("home", {"repurchase": 1.0})
    version = train(busy_shop.store, recipe={"popular": {}, "repurchase": {}}, consent="Please").version
    assert version.metrics["unseen"]["blend"]["ndcg@10"] == 0.0
    assert version.state == State.REFUSED
    assert "−100.0 %" in version.gate_reason
    assert not AuditEntry.objects.for_store(busy_shop.store).exists()
