"""Amounts in events: numbers, or numbers as text, in units of the currency. In tables: whole minor units."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Final

from catalog.money import currency_digits

# A trillion has 16 digits in the smallest coins there are. A thousand such amounts still fit into a column of 64 bits.
LARGEST_MINOR_UNITS: Final = 10**16
LARGEST_QUANTITY: Final = 10**9  # fits into 32 bits
_MOST_DIGITS: Final = (
    30  # of what is read at all: 1e999999999 is ten characters, and a gigabyte as an integer
)


def minor_units(value: Any, currency: str) -> int | None:
    """19.99 EUR → 1999, half a cent rounded up; None for what is no amount, or beyond all amounts. Raises nothing:
    the log holds what clients sent."""
    if value is None or isinstance(value, bool | dict | list):
        return None
    try:
        amount = Decimal(str(value).strip())
        if not amount.is_finite() or abs(amount.adjusted()) > _MOST_DIGITS:
            return None
        units = int(amount.scaleb(currency_digits(currency)).to_integral_value(ROUND_HALF_UP))
    except (InvalidOperation, ValueError):
        return None
    return units if abs(units) <= LARGEST_MINOR_UNITS else None


def within_bounds(units: int) -> int:
    """A sum of many amounts, no further from 0 than one amount may be."""
    return max(-LARGEST_MINOR_UNITS, min(units, LARGEST_MINOR_UNITS))


def first_amount(properties: Mapping[str, Any], keys: tuple[str, ...], currency: str) -> int | None:
    """The first of the keys that holds an amount."""
    return next(
        (amount for key in keys if (amount := minor_units(properties.get(key), currency)) is not None), None
    )


def currency_of(properties: Mapping[str, Any], default: str) -> str:
    value = properties.get("currency")
    return value.upper() if isinstance(value, str) and len(value) == 3 else default


def whole_number(value: Any, default: int) -> int:
    """A quantity, rounded; `default` for what is none, or more than anybody orders."""
    try:
        number = round(float(value))
    except (TypeError, ValueError, OverflowError):
        return default
    return number if abs(number) <= LARGEST_QUANTITY else default
