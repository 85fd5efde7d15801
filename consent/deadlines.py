"""When a request must be answered, by its law.

GDPR 12(3): one month, two further months on extension. The month ends on the day of the same number, or on the month's
last day where it has no such day (Regulation 1182/71, article 3(2)(c)); its day ends in the store's own zone. We do not use
the allowance for week-ends. CCPA § 7021: 45 calendar days, 45 more on extension; confirmed within 10 business days.
§§ 7026(f), 7027(g): an opt-out or a limit within 15 business days, without extension; here they hold at once.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from consent.models import OPT_OUT_KINDS, DataSubjectRequest

Law = DataSubjectRequest.Law

CCPA_DAYS: Final = 45
CCPA_CONFIRMATION_BUSINESS_DAYS: Final = 10
CCPA_OPT_OUT_BUSINESS_DAYS: Final = 15


def add_months(day: date, months: int) -> date:
    """31 January + 1 month is 28 (or 29) February."""
    index = day.month - 1 + months
    year, month = day.year + index // 12, index % 12 + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def add_business_days(day: date, count: int) -> date:
    """The `count`-th Monday to Friday after `day`. Public holidays are not known here, which only makes it earlier."""
    while count:
        day += timedelta(days=1)
        count -= day.weekday() < 5
    return day


def _end_of(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(23, 59, 59), zone)


def due_at(law: str, received_at: datetime, time_zone: str, kind: str = "") -> datetime:
    """The last moment of the last day, in the store's zone."""
    zone = ZoneInfo(time_zone)
    day = received_at.astimezone(zone).date()
    if kind in OPT_OUT_KINDS:
        return _end_of(add_business_days(day, CCPA_OPT_OUT_BUSINESS_DAYS), zone)
    last = add_months(day, 1) if law == Law.GDPR else day + timedelta(days=CCPA_DAYS)
    return _end_of(last, zone)


def extended_due_at(law: str, received_at: datetime, time_zone: str) -> datetime:
    """The same after the one extension that each law allows, which counts from the receipt as well."""
    zone = ZoneInfo(time_zone)
    day = received_at.astimezone(zone).date()
    last = add_months(day, 3) if law == Law.GDPR else day + timedelta(days=2 * CCPA_DAYS)
    return _end_of(last, zone)


def confirm_by(received_at: datetime, time_zone: str) -> datetime:
    """Until when a CCPA request must have been confirmed to the person."""
    zone = ZoneInfo(time_zone)
    return _end_of(
        add_business_days(received_at.astimezone(zone).date(), CCPA_CONFIRMATION_BUSINESS_DAYS), zone
    )


def law_of(country: str, region: str = "", kind: str = "") -> str:
    """Which law a person's request falls under: CCPA for Californians, the GDPR for everybody else, who lose nothing by it.

    Opt-outs and limits are rights of the CCPA, whoever uses them.
    """
    if kind in OPT_OUT_KINDS:
        return Law.CCPA
    return Law.CCPA if country == "US" and region.upper() in {"CA", "US-CA", "CALIFORNIA"} else Law.GDPR
