"""Amounts as people read them. Everywhere else they are integers of minor units."""

from __future__ import annotations

from functools import lru_cache

from babel.numbers import format_currency
from django.utils.translation import get_language

# ISO 4217: currencies whose minor unit is not a hundredth.
_NO_DIGITS = frozenset(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ]
)
_THREE_DIGITS = frozenset(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])
_SIGNS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥"}


def _digits(currency: str) -> int:
    if currency in _NO_DIGITS:
        return 0
    return 3 if currency in _THREE_DIGITS else 2


def _text(amount: float, currency: str, digits: int) -> str:
    number = f"{abs(amount) / 10 ** _digits(currency):,.{digits}f}"
    minus = "−" if amount < 0 else ""
    sign = _SIGNS.get(currency)
    return f"{minus}{sign}{number}" if sign else f"{minus}{number} {currency}"


def money(minor_units: int | float | None, currency: str) -> str:
    """12345 EUR as `€123.45`, on a German page `123,45 €`; a currency without a sign of its own as `123.45 CHF`; None as a dash."""
    if minor_units is None:
        return "–"
    language = (get_language() or "en").split("-")[0]
    if language != "en":
        return _spoken(minor_units, currency, language)
    return _text(minor_units, currency, _digits(currency))


@lru_cache(maxsize=10_000)
def _spoken(minor_units: float, currency: str, language: str) -> str:
    """As the language writes it (CLDR); prices come again on every page."""
    return format_currency(minor_units / 10 ** _digits(currency), currency, locale=language)


def short_money(minor_units: int | float | None, currency: str) -> str:
    """For large sums, where cents are noise: 1234567 EUR as `€12,346`; below a thousand as `money`."""
    if minor_units is None:
        return "–"
    is_large = abs(minor_units) >= 1_000 * 10 ** _digits(currency)
    return _text(minor_units, currency, 0 if is_large else _digits(currency))
