"""Moments as clients and exports write them, to UTC."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from email.utils import parsedate_to_datetime
from typing import Final

# Unix time in seconds reaches 100 billion in the year 5138, so a larger number has a finer unit: milliseconds
# (JavaScript), microseconds (BigQuery's GA4 export), nanoseconds (pandas).
_UNITS: Final = ((1e11, 1), (1e14, 1_000), (1e17, 1_000_000), (1e20, 1_000_000_000))
_UTC_WORDS: Final = (" UTC", " GMT", "UTC", "GMT")
_DATE_DIGITS: Final = 8


def read_time(value: object, zone: tzinfo = UTC) -> datetime | None:
    """A moment in UTC; None for none.

    Read are ISO 8601 texts, `2026-05-04 10:00:00 UTC`, mail dates (RFC 5322), Unix time in seconds, milliseconds,
    microseconds or nanoseconds (a number, or its digits as text; eight digits are a date), and datetimes. `zone` is
    where the clock hung that wrote a time without one. Raises ValueError for anything else.
    """
    if value is None:
        return None
    if isinstance(value, str):
        moment = _read_text(value.strip())
    elif isinstance(value, datetime):
        moment = value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        moment = _from_unix(value)
    else:
        raise ValueError(f"a {type(value).__name__} is no time")
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=zone).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a time before the year 1 or after 9999") from error


def _read_text(text: str) -> datetime:
    # Python takes 13 digits for a date of ISO 8601's basic form, with the time behind: the year 1612, or any other.
    if len(text) != _DATE_DIGITS and text.replace(".", "", 1).isdecimal():
        return _from_unix(float(text) if "." in text else int(text))
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return _read_odd_text(text)


def _read_odd_text(text: str) -> datetime:
    for word in _UTC_WORDS:
        if text.endswith(word) and text[:1].isdecimal():
            moment = datetime.fromisoformat(text.removesuffix(word).rstrip())
            if moment.tzinfo is None:
                return moment.replace(tzinfo=UTC)
    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        raise ValueError(f"{text[:40]!r} is no time") from None


def _from_unix(number: float) -> datetime:
    """Raises ValueError beyond the year 9999."""
    for limit, per_second in _UNITS:
        if abs(number) < limit:
            try:
                return datetime.fromtimestamp(number / per_second, UTC)
            except (OverflowError, OSError, ValueError):
                break
    raise ValueError(f"{number} is no time")
