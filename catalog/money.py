"""Amounts of money: integers of the currency's smallest unit inside, decimals outside."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

# ISO 4217: all others have two digits.
_NO_DIGITS: Final = frozenset(
    {
        "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF",
    }
)  # fmt: skip
_THREE_DIGITS: Final = frozenset(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])
MAX_MINOR_UNITS: Final = 2_147_483_647


def currency_digits(currency: str) -> int:
    """Digits after the decimal point: EUR 2, JPY 0, KWD 3."""
    if currency in _NO_DIGITS:
        return 0
    return 3 if currency in _THREE_DIGITS else 2


def to_minor_units(amount: Decimal | str | int | float, currency: str) -> int:
    """`"19.99"` EUR → 1999. Raises ValueError for what is no finite number or has more digits than the currency."""
    try:
        # A float goes through its shortest text, so that 19.99 is 19.99.
        decimal = Decimal(str(amount).strip())
    except InvalidOperation:
        raise ValueError(f"{amount!r} is not an amount: write it like 19.99.") from None
    if not decimal.is_finite():
        raise ValueError(f"{amount!r} is not an amount: write it like 19.99.")
    scaled = decimal.scaleb(currency_digits(currency))
    if scaled != scaled.to_integral_value():
        raise ValueError(
            f"{amount} has more digits after the point than {currency} has ({currency_digits(currency)})."
        )
    return int(scaled)


def from_minor_units(minor_units: int, currency: str) -> Decimal:
    """1999 EUR → Decimal("19.99")."""
    return Decimal(minor_units).scaleb(-currency_digits(currency))
