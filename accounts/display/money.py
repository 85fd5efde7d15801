"""Amounts as people read them. Everywhere else they are integers of minor units."""

from __future__ import annotations

# ISO 4217: currencies whose minor unit is not a hundredth.
_EXPONENTS = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "ISK": 0, "UGX": 0, "BHD": 3, "KWD": 3, "OMR": 3, "JOD": 3, "TND": 3}
_SIGNS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥"}


def money(minor_units: int | float | None, currency: str) -> str:
    """12345 EUR as `€123.45`; a currency without a sign of its own as `123.45 CHF`; None as a dash."""
    if minor_units is None:
        return "–"
    digits = _EXPONENTS.get(currency, 2)
    number = f"{abs(minor_units) / 10**digits:,.{digits}f}"
    minus = "−" if minor_units < 0 else ""
    sign = _SIGNS.get(currency)
    return f"{minus}{sign}{number}" if sign else f"{minus}{number} {currency}"


def short_money(minor_units: int | float | None, currency: str) -> str:
    """For large sums, where cents are noise: 1234567 EUR as `€12,346`."""
    if minor_units is None:
        return "–"
    digits = _EXPONENTS.get(currency, 2)
    if abs(minor_units) < 1_000 * 10**digits:
        return money(minor_units, currency)
    number = f"{abs(minor_units) / 10**digits:,.0f}"
    minus = "−" if minor_units < 0 else ""
    sign = _SIGNS.get(currency)
    return f"{minus}{sign}{number}" if sign else f"{minus}{number} {currency}"
