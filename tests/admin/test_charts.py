"""Geometry of charts and words of cells, by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.display.charts import Bar, BarChart, Interval, LineChart, Series, nice_ticks, stack
from accounts.display.columns import age, duration
from accounts.display.money import money, short_money


@pytest.mark.parametrize(
    "highest, ticks",
    [
        (37, [0, 10, 20, 30, 40]),  # 37 / 4 = 9.25 → 10
        (40, [0, 10, 20, 30, 40]),  # 40 / 4 = 10 exactly
        (0.9, [0, 0.25, 0.5, 0.75, 1.0]),  # 0.9 / 4 = 0.225 → 0.25
        (1_100, [0, 500, 1000, 1500]),  # 1100 / 4 = 275 → 500
        (0, [0, 1]),
        (float("inf"), [0, 1]),
    ],
)
def test_ticks_are_round_and_reach_the_highest(highest: float, ticks: list[float]) -> None:
    assert nice_ticks(highest) == pytest.approx(ticks)


def test_a_line_breaks_at_a_gap_and_a_lone_point_shows() -> None:
    chart = LineChart("Visits", ["a", "b", "c", "d"], [Series("Visits", [0, 40, None, 20])])
    # Ticks to 40; four labels at 125, 375, 625, 875 of 1000; heights 240 · (1 − value / 40).
    assert chart.paths[0][1] == "M125.0 240.0 L375.0 0.0 M875.0 120.0 h0.1"


def test_a_chart_names_its_numbers_with_their_unit() -> None:
    chart = LineChart("Rate", ["Mon", "Tue"], [Series("Rate", [1234.5, None])], unit="%", decimals=1)
    assert chart.table == [("Tue", ["–"]), ("Mon", ["1,234.5 %"])]
    assert chart.hovers[0].text == "Mon\nRate: 1,234.5 %"


def test_a_series_must_fit_the_labels() -> None:
    with pytest.raises(ValueError, match="2 values for 1 labels"):
        LineChart("Rate", ["Mon"], [Series("Rate", [1, 2])])


def test_a_long_axis_shows_five_labels_with_both_ends() -> None:
    chart = LineChart("Visits", [str(day) for day in range(28)], [Series("Visits", [1] * 28)])
    assert chart.axis_labels == ["0", "7", "14", "20", "27"]


def test_bars_are_long_by_the_longest() -> None:
    chart = BarChart("Placements", [Bar("Home", 8, "8"), Bar("Cart", 2, "2")], "Placement", "Clicks")
    assert [percent for _, percent in chart.rows] == ["100.0", "25.0"]
    assert [percent for _, percent in BarChart("None", [Bar("Home", 0, "0")], "", "").rows] == ["0"]


def test_a_stack_lies_end_to_end_without_empty_parts() -> None:
    slices = stack([("a", 0.6, ""), ("b", 0.0, ""), ("c", 0.4, "")], 2.0, {"a": 3, "c": 15})
    assert [(each.name, each.start_percent, each.share_percent, each.colour) for each in slices] == [
        ("a", 0.0, 30.0, 3),
        ("c", 30.0, 20.0, 3),  # the twelve colours begin again: 15 is 3
    ]


def test_an_interval_has_zero_in_the_middle_and_stays_in_the_picture() -> None:
    interval = Interval("Orders", low=-0.1, value=0.1, high=5.0, text="", scale=0.2)
    assert (interval.low_percent, interval.value_percent, interval.width_percent) == (25.0, 75.0, 75.0)


@pytest.mark.parametrize(
    "amount, currency, text",
    [
        (123456, "EUR", "€1,234.56"),
        (-5, "EUR", "−€0.05"),
        (500, "JPY", "¥500"),
        (1500, "KWD", "1.500 KWD"),
        (None, "EUR", "–"),
    ],
)
def test_money_has_the_digits_of_its_currency(amount: int | None, currency: str, text: str) -> None:
    assert money(amount, currency) == text


def test_large_sums_lose_their_cents() -> None:
    assert short_money(12345678, "EUR") == "€123,457"
    assert short_money(99999, "EUR") == "€999.99"


@pytest.mark.parametrize(
    "seconds, text",
    [(None, "–"), (4.54, "4.5 s"), (59.6, "60 s"), (61, "1 min 1 s"), (3_600, "1 h"), (3_720, "1 h 2 min")],
)
def test_durations_have_two_units_at_most(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_ages_have_one_unit() -> None:
    now = timezone.now()
    assert age(now) == "now"
    assert age(now - timedelta(hours=3, minutes=20)) == "3\xa0hours ago"
    assert age(now + timedelta(days=2, hours=1)) == "in 2\xa0days"
