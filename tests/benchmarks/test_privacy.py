"""The report of bench_privacy: figures worked by hand, and what it says of goals."""

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command

from benchmarks.privacy.figures import Erasure, Export, Figures
from benchmarks.privacy.plan import SIZES, Plan
from benchmarks.privacy.report import as_markdown
from benchmarks.privacy.run import Report


def figures(own: float, **values: object) -> Figures:
    erasures = [
        Erasure(size, own * factor + 1.0, own * factor, {"tracking": own / 2, "models": 1.0}, 10 * events, 2)
        for factor, (size, events) in enumerate(SIZES.items(), start=1)
    ]
    given = {
        "events": 1_000_000, "customers": 100_000, "model_bytes": 3_000_000, "made_seconds": 60.0, "erasures": erasures,
        "through_workers": [3.0, 2.0], "exports": [Export(3.0, 10_000, 2_000_000, {})], "rectification": [0.05],
        "restriction": [0.04], "ledger": 150_000, "ledger_seconds": 10.0, "is_ledger_intact": True,
    }  # fmt: skip
    return Figures(**{**given, **values})


def test_figures_travel_as_json() -> None:
    whole = figures(0.3)
    assert Figures.from_json(json.loads(json.dumps(whole.as_json()))) == whole


def test_medians_and_worsts_are_over_all_sizes() -> None:
    whole = figures(0.3)
    # 0.3, 0.6 and 0.9 s, and a second more each with the files of models.
    assert whole.median == pytest.approx(0.6)
    assert whole.worst == pytest.approx(0.9)
    assert whole.worst_whole == pytest.approx(1.9)
    assert whole.verified_per_second == 15_000


def test_the_report_says_what_was_reached_and_what_was_missed() -> None:
    report = Report(Plan(versions=3), "A machine", figures(0.6), figures(0.5))
    text = as_markdown(report)
    assert "| the worst erasure from the own stores takes < 2 s | **1.80 s** | yes |" in text
    assert "| the same with the files of 3 model versions written anew | **2.80 s** | no goal |" in text
    assert "takes < 5 s | **3.00 s** | yes |" in text
    assert "| tracking | 300 ms | 300 ms |" in text
    assert report.growth == pytest.approx(1.2)
    assert "makes it **1.2** × as long" in text
    assert "15,000 a second, intact" in text
    assert "takes < 2 s | **3.00 s** | missed |" in as_markdown(Report(Plan(), "A machine", figures(1.0)))


def test_without_a_small_shop_nothing_is_said_of_growth() -> None:
    report = Report(Plan(), "A machine", figures(0.6))
    assert report.growth is None
    assert "times the data" not in as_markdown(report)


def test_a_tenth_is_a_tenth_of_everything_that_grows() -> None:
    small = Plan().scaled(0.1)
    assert (small.events, small.customers, small.audit_entries) == (100_000, 10_000, 5_000)
    assert (small.people, small.versions, small.products) == (Plan().people, Plan().versions, Plan().products)


def test_a_shop_with_fewer_customers_than_are_measured_is_refused() -> None:
    with pytest.raises(CommandError, match="--customers 10: at least"):
        call_command("bench_privacy", "--customers=10")
