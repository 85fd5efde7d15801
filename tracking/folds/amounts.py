"""Amounts in events: numbers, or numbers as text, in units of the currency. In tables: whole minor units."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from catalog.money import currency_digits


def minor_units(value: Any, currency: str) -> int | None:
    """19.99 EUR → 1999, half a cent rounded up; None for what is no amount. Raises nothing: the log holds
    what clients sent."""
    if value is None or isinstance(value, bool | dict | list):
        return None
    try:
        amount = Decimal(str(value).strip())
        return (
            int(amount.scaleb(currency_digits(currency)).to_integral_value(ROUND_HALF_UP))
            if amount.is_finite()
            else None
        )
    except InvalidOperation:
        return None


def first_amount(properties: Mapping[str, Any], keys: tuple[str, ...], currency: str) -> int | None:
    """The first of the keys that holds an amount."""
    return next(
        (amount for key in keys if (amount := minor_units(properties.get(key), currency)) is not None), None
    )


def currency_of(properties: Mapping[str, Any], default: str) -> str:
    value = properties.get("currency")
    return value.upper() if isinstance(value, str) and len(value) == 3 else default


def whole_number(value: Any, default: int) -> int:
    """A quantity, rounded; `default` for what is none."""
    try:
        return round(float(value))
    except (TypeError, ValueError, OverflowError):
        return default
