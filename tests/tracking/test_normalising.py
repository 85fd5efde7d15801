"""One spelling for what shops write in many, and what was sent kept beside it."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.countries import country_code
from accounts.models import Visitor
from tests.tracking.conftest import order_completed, quarantined, stored, viewed
from tracking.ingestion.times import read_time
from tracking.normalising import (
    AmbiguousNumber,
    category_path,
    currency_code,
    minor_digits,
    normalised,
    number_text,
)

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2026-05-04T12:00:00Z",
        "2026-05-04T14:00:00+02:00",
        "2026-05-04 12:00:00",
        "2026-05-04 12:00:00 UTC",
        "2026-05-04T12:00:00.000000000Z",
        " 2026-05-04T12:00Z ",
        "20260504T120000Z",
        "Mon, 04 May 2026 12:00:00 GMT",
        "Mon, 04 May 2026 14:00:00 +0200",
        1777896000,
        1777896000.0,
        1777896000_000,
        1777896000_000_000,
        1777896000_000_000_000,
        "1777896000",
        "1777896000.0",
        "1777896000000",
        "1777896000000000",
        NOON,
        NOON.astimezone(ZoneInfo("Asia/Tokyo")),
        NOON.replace(tzinfo=None),
    ],
)
def test_one_moment_in_many_spellings(value):
    assert read_time(value) == NOON


def test_digits_are_unix_time_and_no_date_of_the_middle_ages():
    # Python's own reader takes these 13 digits for the year 1612.
    assert read_time("1612121200123") == datetime(2021, 1, 31, 19, 26, 40, 123000, tzinfo=UTC)
    assert read_time("20260504") == datetime(2026, 5, 4, tzinfo=UTC)


def test_a_clock_without_a_zone_hangs_somewhere():
    amsterdam = ZoneInfo("Europe/Amsterdam")
    assert read_time("2026-05-04 14:00", amsterdam) == NOON
    assert read_time("2026-01-04 13:00", amsterdam) == datetime(2026, 1, 4, 12, tzinfo=UTC)
    # Who says the zone is believed.
    assert read_time("2026-05-04 12:00Z", amsterdam) == NOON
    assert read_time(1777896000, amsterdam) == NOON


@pytest.mark.parametrize(
    "value",
    ["", "soon", "2026-13-01", "04/05/2026", "1e400", 1e30, "9" * 40, True, [], "0001-01-01T00:00+05:00"],
)
def test_what_is_no_time(value):
    with pytest.raises(ValueError, match=r"no time|the year 1"):
        read_time(value)


@given(st.text() | st.floats() | st.integers())
def test_nothing_but_a_value_error_comes_of_a_time(value):
    try:
        moment = read_time(value)
    except ValueError:
        return
    assert moment is not None
    assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    ("said", "home", "code"),
    [
        ("EUR", "EUR", "EUR"),
        (" eur ", "USD", "EUR"),
        ("€", "USD", "EUR"),
        ("Euro", "USD", "EUR"),
        ("£", "EUR", "GBP"),
        ("R$", "EUR", "BRL"),
        ("zł", "EUR", "PLN"),
        ("$", "CAD", "CAD"),
        ("$", "USD", "USD"),
        ("kr", "SEK", "SEK"),
        ("¥", "CNY", "CNY"),
        ("DEM", "EUR", "DEM"),  # a past one: old orders are in it
    ],
)
def test_currencies(said, home, code):
    assert currency_code(said, home) == code


@pytest.mark.parametrize(
    ("said", "home"),
    [("$", "EUR"), ("kr", "EUR"), ("XXX", "EUR"), ("ABC", "EUR"), ("", "EUR"), ("euro's", "EUR")],
)
def test_what_is_no_currency_or_several(said, home):
    with pytest.raises(ValueError, match="ISO 4217"):
        currency_code(said, home)


def test_digits_of_currencies():
    assert [minor_digits(code) for code in ("EUR", "JPY", "KWD")] == [2, 0, 3]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("nl", "NL"),
        (" NLD ", "NL"),
        ("The Netherlands", "NL"),
        ("nederland", "NL"),
        ("Pays-Bas", "NL"),
        ("Holland", "NL"),
        ("UK", "GB"),
        ("EL", "GR"),
        ("U.S.A.", "US"),
        ("United States", "US"),
        ("Österreich", "AT"),
        ("Cote d'Ivoire", "CI"),
        ("日本", "JP"),
        ("Czech Republic", "CZ"),
        ("Cockaigne", ""),
        ("ZZ", ""),
        ("EU", ""),
        ("YU", ""),  # several countries followed
        ("", ""),
        ("x" * 100, ""),
    ],
)
def test_countries(said, code):
    assert country_code(said) == code


@pytest.mark.parametrize(
    "said",
    [
        "camping/tents",
        "Camping > Tents",
        " CAMPING/ tents ",
        "Camping » Tents",
        "camping|tents",
        "Camping::Tents",
        "Camping\\Tents",
        "camping >> tents",
    ],
)
def test_one_path_in_many_spellings(said):
    assert category_path(said) == "camping/tents"


def test_paths_are_the_catalogues():
    assert category_path("TV & Hi-Fi") == "tv-hi-fi"
    assert category_path("日本 > 東京") == "日本/東京"
    assert category_path(" / ") == ""
    assert category_path("/".join("abcdefghijklm")) == ""  # thirteen deep is no path of categories


def test_an_address_in_a_category_keeps_its_sign():
    # Without it, the search for e-mail addresses would pass it over.
    assert category_path("ann@example.org") == ""


@pytest.mark.parametrize(
    ("said", "mark", "number"),
    [
        ("19.99", "", "19.99"),
        ("19,99", "", "19.99"),
        ("1.234,56", "", "1234.56"),
        ("1,234.56", "", "1234.56"),
        ("1 234,5", "", "1234.5"),
        ("1'234.50", "", "1234.50"),
        ("1.234.567", "", "1234567"),
        ("12,345,678", "", "12345678"),
        ("0,125", "", "0.125"),
        ("-3,5", "", "-3.5"),
        ("1,234", ",", "1.234"),
        ("1,234", ".", "1234"),
        ("1.234", ",", "1234"),
        ("1.234", "", "1.234"),
        ("1,2,3", "", "1,2,3"),
        ("1.2.3,4", "", "1.2.3,4"),
        ("abc", "", "abc"),
        ("1e5", "", "1e5"),
        ("", "", ""),
        ("٣", "", "٣"),
    ],
)
def test_numbers(said, mark, number):
    assert number_text(said, mark) == number


def test_a_thousand_or_a_fraction_is_for_a_person_to_say():
    with pytest.raises(AmbiguousNumber, match="'1,234'"):
        number_text("1,234")


@given(st.decimals(min_value=0, max_value=10**9, places=2))
def test_what_was_written_with_groups_is_read_back(amount):
    english = f"{amount:,.2f}"
    german = english.translate(str.maketrans(",.", ".,"))
    assert number_text(english, ".") == number_text(german, ",") == f"{amount:.2f}"
    if amount >= 1000:
        assert number_text(english) == number_text(german) == f"{amount:.2f}"


def test_nothing_is_copied_where_nothing_changes():
    properties = {"currency": "EUR", "category": "camping/tents", "products": [{"category": "camping"}]}
    assert normalised(properties, "EUR") is properties


def test_what_was_sent_stands_beside_it_and_the_senders_own_is_left_alone():
    line = {"product_id": "1", "category": "Lamps"}
    properties = {"currency": "€", "category": "Camping > Tents", "products": [line, "odd"]}
    assert normalised(properties, "USD") == {
        "currency": "EUR",
        "category": "camping/tents",
        "products": [{"product_id": "1", "category": "lamps"}, "odd"],
        "_original": {"currency": "€", "category": "Camping > Tents", "products[0].category": "Lamps"},
    }
    assert line == {"product_id": "1", "category": "Lamps"}
    assert properties["currency"] == "€"


def test_sums_of_an_order_are_whole_minor_units():
    drifted = normalised({"currency": "EUR", "total": 59.970000000000006}, "EUR", is_order=True)
    assert drifted == {"currency": "EUR", "total": 59.97}
    yen = normalised({"currency": "JPY", "total": 19.99, "tax": 2}, "EUR", is_order=True)
    assert yen == {"currency": "JPY", "total": 20.0, "tax": 2, "_original": {"total": 19.99}}
    # Without a currency of its own an order is in the shop's: three digits in Kuwait.
    assert normalised({"total": 1.2346}, "KWD", is_order=True)["total"] == 1.235


class TestCollected:
    def test_events_are_stored_in_one_spelling(self, sender, store):
        sender.batch(
            viewed(messageId="m1", properties={"product_id": "1", "category": "A > B", "currency": "eur"}),
            viewed(messageId="m2", properties={"product_id": "1", "category": "a/b", "currency": "EUR"}),
        )
        first, second = stored(store)
        assert first.properties == {
            **second.properties,
            "_original": {"category": "A > B", "currency": "eur"},
        }
        assert second.properties == {"product_id": "1", "category": "a/b", "currency": "EUR"}

    def test_a_shops_own_events_are_left_as_they_are(self, sender, store):
        sender.batch(
            {"type": "track", "event": "Quiz", "anonymousId": "a", "properties": {"category": "A > B"}}
        )
        assert stored(store)[0].properties == {"category": "A > B"}

    def test_an_order_in_no_currency_waits_in_quarantine_and_a_look_does_not(self, sender, store):
        sender.batch(
            order_completed("o1", messageId="m1", properties={"currency": "ABC"}),
            order_completed("o2", messageId="m2", properties={"currency": "$"}),  # of a shop in EUR
            order_completed("o3", messageId="m3", properties={"currency": "€"}),
            viewed(messageId="m4", properties={"product_id": "1", "currency": "ABC"}),
        )
        assert quarantined(store) == {"m1": "invalid_currency", "m2": "invalid_currency"}
        assert [event.message_id for event in stored(store)] == ["m3", "m4"]

    def test_a_country_is_understood_and_its_name_kept(self, sender, store):
        sender.batch(viewed(anonymous_id="a", context={"location": {"country": "The Netherlands"}}))
        assert stored(store)[0].context == {"country": "NL", "_original": {"country": "The Netherlands"}}
        assert Visitor.objects.for_store(store).get().country == "NL"

    def test_what_is_no_country_is_not_kept(self, sender, store):
        sender.batch(viewed(anonymous_id="a", context={"country": "ann@example.org"}))
        assert stored(store)[0].context == {}
