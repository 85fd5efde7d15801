"""Deadlines by the calendar, each worked by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from consent.deadlines import add_business_days, add_months, confirm_by, due_at, extended_due_at, law_of


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2026, 3, 15), 1, date(2026, 4, 15)),
        (date(2026, 1, 31), 1, date(2026, 2, 28)),  # no 31 February
        (date(2028, 1, 31), 1, date(2028, 2, 29)),  # a leap year
        (date(2026, 12, 5), 1, date(2027, 1, 5)),
        (date(2026, 11, 30), 3, date(2027, 2, 28)),
    ],
)
def test_a_calendar_month(day: date, months: int, expected: date) -> None:
    assert add_months(day, months) == expected


@pytest.mark.parametrize(
    ("law", "received", "due", "extended"),
    [
        # Noon in Berlin on 10 March: due on 10 April at 23:59:59 CEST, which is 21:59:59 UTC; extended to 10 June.
        ("gdpr", "2026-03-10T11:00:00", "2026-04-10T21:59:59", "2026-06-10T21:59:59"),
        # 23:30 UTC on 31 December is 1 January in Berlin already.
        ("gdpr", "2026-12-31T23:30:00", "2027-02-01T22:59:59", "2027-04-01T21:59:59"),
        # 1 March + 45 days = 15 April (30 left in March, 15 in April); + 90 days = 30 May.
        ("ccpa", "2026-03-01T12:00:00", "2026-04-15T21:59:59", "2026-05-30T21:59:59"),
    ],
)
def test_when_a_request_is_due(law: str, received: str, due: str, extended: str) -> None:
    assert due_at(law, at(received), "Europe/Berlin") == at(due)
    assert extended_due_at(law, at(received), "Europe/Berlin") == at(extended)


def test_business_days_leave_out_the_week_end() -> None:
    friday = date(2026, 3, 6)
    assert add_business_days(friday, 1) == date(2026, 3, 9)
    assert add_business_days(friday, 10) == date(2026, 3, 20)
    assert confirm_by(at("2026-03-06T12:00:00"), "UTC") == at("2026-03-20T23:59:59")


@pytest.mark.parametrize(
    ("country", "region", "law"),
    [
        ("DE", "", "gdpr"),
        ("US", "CA", "ccpa"),
        ("US", "us-ca", "ccpa"),
        ("US", "NY", "gdpr"),
        ("", "", "gdpr"),
    ],
)
def test_whose_law(country: str, region: str, law: str) -> None:
    assert law_of(country, region) == law
