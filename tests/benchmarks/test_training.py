"""The benchmark of training: the logs that it makes, how growth is told, and what the command says."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from algorithms.erasure import LOG_COLUMNS
from algorithms.types import TrainingData
from benchmarks.training.fit import fit, load_kernels
from benchmarks.training.generator import generated_log, grown_log
from benchmarks.training.growth import fitted_exponent, linearithmic_exponent
from benchmarks.training.log_files import read_log, write_log
from benchmarks.training.report import as_markdown
from benchmarks.training.run import Fit, Log, Plan, Report


@pytest.fixture(scope="module")
def shop() -> TrainingData:
    return generated_log(2_000, 30_000)


def test_a_generated_shop_behaves_as_shops_do(shop: TrainingData) -> None:
    shop.validate()
    assert 30_000 <= len(shop) < 30_063, "up to the end of a visit of 60 views and 3 order lines"
    assert shop.n_items == 2_000
    views = shop.basket < 0
    assert 5.0 < np.bincount(shop.session[views]).mean() < 5.8
    seen = shop.session[views].astype(np.int64) * shop.n_items + shop.item[views]
    assert 0.2 < 1 - len(np.unique(seen)) / views.sum() < 0.45, "a third of the views go back"
    wanted = np.sort(np.bincount(shop.item, minlength=2_000))[::-1]
    assert 0.35 < wanted[:200].sum() / wanted.sum() < 0.7, (
        "a tenth of the products draws about half of the views"
    )
    orders = np.unique(shop.session[~views])
    assert 0.02 < len(orders) / shop.n_sessions < 0.06
    assert set(zip(shop.session[~views], shop.item[~views], strict=True)) <= set(
        zip(shop.session[views], shop.item[views], strict=True)
    ), "what is bought was looked at in the same visit"


def test_a_generated_shop_has_a_catalogue(shop: TrainingData) -> None:
    assert shop.item_features is not None
    assert shop.item_texts is not None
    assert shop.item_category is not None
    assert shop.item_features.shape[0] == 2_000
    assert (np.diff(shop.item_features.indptr) == 5).all()
    assert int(shop.item_category.max()) == 7, "250 products a category"
    assert all(len(text.split()) == 30 for text in shop.item_texts)
    steps = shop.item_category[shop.item]
    within = shop.session[1:] == shop.session[:-1]
    assert (steps[1:] == steps[:-1])[within].mean() > 0.7, "visits stay in a category"


def test_the_same_arguments_give_the_same_log(shop: TrainingData) -> None:
    again = generated_log(2_000, 30_000)
    for name in LOG_COLUMNS:
        np.testing.assert_array_equal(getattr(shop, name), getattr(again, name))
    assert shop.item_texts == again.item_texts
    assert not np.array_equal(generated_log(2_000, 30_000, seed=1).item[:1000], shop.item[:1000])


def test_a_grown_log_is_as_many_copies_that_meet_now_and_then(shop: TrainingData) -> None:
    grown = grown_log(shop, 3)
    grown.validate()
    assert (len(grown), grown.n_items, grown.n_users) == (3 * len(shop), 6_000, 3 * shop.n_users)
    assert grown.n_sessions == 3 * shop.n_sessions
    assert len(np.unique(grown.basket)) == 3 * (len(np.unique(shop.basket)) - 1) + 1
    assert grown.item_texts is not None
    assert shop.item_texts is not None
    first = slice(0, len(shop))
    assert [grown.item_texts[i] for i in grown.item[first]] == [shop.item_texts[i] for i in shop.item], (
        "a copy of a product is described as the product is"
    )
    audience = np.sort(np.bincount(shop.item))[-20:].mean()
    assert abs(np.sort(np.bincount(grown.item))[-60:].mean() / audience - 1) < 0.1, (
        "audiences stay what they were"
    )
    assert not np.array_equal(grown.item[first], grown.item[len(shop) : 2 * len(shop)])
    assert grown_log(shop, 1) is shop
    np.testing.assert_array_equal(grown_log(shop, 3).item, grown.item)


def test_a_log_comes_back_from_its_folder(shop: TrainingData, tmp_path: Path) -> None:
    write_log(tmp_path / "log", shop)
    back = read_log(tmp_path / "log")
    for name in (*LOG_COLUMNS, "item_category", "item_created"):
        np.testing.assert_array_equal(getattr(shop, name), getattr(back, name))
    assert back.item_texts == shop.item_texts
    assert (back.item_features != shop.item_features).nnz == 0
    assert (back.n_users, back.n_items, back.now) == (shop.n_users, shop.n_items, shop.now)


def test_growth_worked_by_hand() -> None:
    """0.5 s, 2 s, 8 s at 1, 2 and 4: each doubling takes four times as long, b = log 4 / log 2 = 2."""
    assert fitted_exponent([1, 2, 4], [0.5, 2.0, 8.0]) == pytest.approx(2.0)
    assert fitted_exponent([100, 800], [3.0, 24.0]) == pytest.approx(1.0)
    # With x = ln 1, ln 2, ln 4 = 0, L, 2L and y = 0, 2L, 2L: b = Σ (x - L) y / Σ (x - L)² = (L · 2L) / (2 L²) = 1.
    assert fitted_exponent([1, 2, 4], [1.0, 4.0, 4.0]) == pytest.approx(1.0)
    assert fitted_exponent([1], [1.0]) is None
    assert fitted_exponent([1, 2, 4], [0.001, 0.009, 0.02]) is None, "two of them are too short to tell"
    # 1000 · ln 1000 → 8000 · ln 8000: ln(8 · 3 ln 20 / (3 ln 10)) / ln 8 = 1 + ln(ln 20 / ln 10) / ln 8.
    assert linearithmic_exponent([1000, 8000]) == pytest.approx(
        1 + np.log(np.log(20) / np.log(10)) / np.log(8), abs=1e-9
    )


def test_fits_are_those_of_the_recipe_and_the_same_again(shop: TrainingData) -> None:
    recipe = {
        "popular": {},
        "session_knn": {"neighbours": 50},
        "ease": {"dense_items": 100, "local_neighbours": 10},
    }
    load_kernels(recipe, shop)
    seconds, fitted = fit(recipe, shop)
    assert list(fitted) == list(recipe)
    assert seconds > 0
    assert fitted["session_knn"].parameters()["neighbours"] == 50
    assert "weights" not in fitted["ease"].arrays() or "neighbours" in fitted["ease"].arrays(), (
        "the local form"
    )
    again = fit(recipe, shop)[1]
    for name, strategy in fitted.items():
        for array, values in strategy.arrays().items():
            np.testing.assert_array_equal(values, again[name].arrays()[array])


def test_the_command_reports_growth_memory_and_a_whole_version() -> None:
    output = StringIO()
    call_command(
        "bench_training", "--items", "60", "--events", "900", "--scales", "1", "2", "--strategies", "reminder", "--json",
        "--no-progress", "--log-size", "80", "1000", stdout=output,
    )  # fmt: skip
    figures = json.loads(output.getvalue().splitlines()[-1])
    one, two = figures["logs"]["1"], figures["logs"]["2"]
    assert 2 * one["events"] == two["events"]
    assert two["items"] == 160
    assert set(figures["growth"]) == {"reminder"}
    for fits in (*figures["growth"].values(), {"large": figures["large"]["reminder"]}):
        for measured in fits.values():
            assert measured["seconds"] > 0
            assert measured["peak_mb"] >= measured["before_mb"] > 50
    assert figures["version"]["train"]["folder_mb"] > 0
    assert figures["version"]["append"]["visits"] > 0
    assert "| reminder |" in output.getvalue()


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no strategy tarot: choose among popular"):
        call_command("bench_training", "--strategies", "tarot")
    with pytest.raises(CommandError, match="each once"):
        call_command("bench_training", "--scales", "2", "2")
    with pytest.raises(CommandError, match=r"neither train_sessions\.parquet"):
        call_command("bench_training", "--data", str(tmp_path))


def test_the_report_tells_which_goals_are_met() -> None:
    """Times that grow as the log does are within n·log n (b 1.00), those that grow with its square are not (b 2.00)."""
    report = Report(Plan(), "a shop", 2, has_openmp=True)
    report.logs = {1: Log(1_000, 10, 100, 100), 8: Log(8_000, 80, 800, 800)}
    report.growth = {
        "popular": {1: Fit(1.0, 1.0, 100, 200, 1), 8: Fit(8.0, 8.0, 100, 200, 1)},
        "ease": {1: Fit(1.0, 1.0, 100, 200, 1), 8: Fit(64.0, 64.0, 100, 200, 1)},
        "als": {1: Fit(1.0, 1.0, 100, 200, 1), 8: Fit(64.0, 64.0, 100, 200, 1)},
    }
    report.blends = {
        "session_knn": Fit(14.9, 20, 100, 900, 1),
        "session_knn + als": Fit(90.0, 170, 100, 900, 1),
    }
    text = as_markdown(report)
    assert "| session_knn: < 15 s, < 1,500 MB | **14.9 s**, 900 MB | yes |" in text
    assert "| session_knn + als: < 90 s, < 1,500 MB | **90.0 s**, 900 MB | missed |" in text
    assert "| faster: **ease 2.00** | missed |" in text
    del report.growth["ease"]
    assert "| faster: **none** | yes |" in as_markdown(report)
