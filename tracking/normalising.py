"""One spelling for what shops write in many: currencies, paths of categories, numbers.

Everything that comes in passes here, so each distinct text is worked out once and then looked up. What was changed is
kept beside it under `_original`, so that nobody has to guess what a shop really sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from math import isfinite
from typing import Any, Final

from babel import Locale
from babel.numbers import get_currency_precision

from catalog.services.categories import slug_of

ORIGINAL: Final = "_original"
MAX_CATEGORY_LENGTH: Final = 400
MAX_CATEGORY_DEPTH: Final = 12
ORDER_AMOUNTS: Final = ("total", "revenue", "value", "subtotal", "shipping", "tax", "discount")
_DRIFT: Final = 1e-6

# "A > B", "A/B", "A » B", "A | B", "A::B", "A\B": one path. A lone colon or dash may be part of a name.
_SEPARATOR: Final = re.compile(r"\s*(?:>+|/+|»|›|→|\||::|\\+)\s*")
# No money: gold, testing, "no currency", bonds.
_NO_MONEY: Final = frozenset(
    {"XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XDR", "XPD", "XPT", "XSU", "XTS", "XUA", "XXX"}
)
_SIGNS: Final[Mapping[str, tuple[str, ...]]] = {
    "€": ("EUR",),
    "EURO": ("EUR",),
    "EUROS": ("EUR",),
    "£": ("GBP",),
    "US$": ("USD",),
    "CA$": ("CAD",),
    "C$": ("CAD",),
    "A$": ("AUD",),
    "AU$": ("AUD",),
    "NZ$": ("NZD",),
    "HK$": ("HKD",),
    "S$": ("SGD",),
    "MX$": ("MXN",),
    "R$": ("BRL",),
    "₹": ("INR",),
    "₽": ("RUB",),
    "₺": ("TRY",),
    "₩": ("KRW",),
    "₪": ("ILS",),
    "₫": ("VND",),
    "₴": ("UAH",),
    "฿": ("THB",),
    "₱": ("PHP",),
    "ZŁ": ("PLN",),
    "KČ": ("CZK",),
    "FT": ("HUF",),
    "LEI": ("RON", "MDL"),
    "FR.": ("CHF",),
    "SFR.": ("CHF",),
    "RMB": ("CNY",),
    "¥": ("JPY", "CNY"),
    "KR": ("SEK", "NOK", "DKK", "ISK"),
    "KR.": ("DKK", "ISK", "NOK", "SEK"),
    "$": ("USD", "CAD", "AUD", "NZD", "MXN", "ARS", "CLP", "COP", "HKD", "SGD", "TWD"),
}


@cache
def _codes() -> frozenset[str]:
    return frozenset(Locale("en").currencies) - _NO_MONEY


@lru_cache(maxsize=1024)
def currency_code(text: str, home: str) -> str:
    """`EUR` of "eur", " EUR ", "€". A sign of several currencies is read as the shop's own, `home`, where it is one of them.

    Codes are those of ISO 4217, past ones too. Raises ValueError, which says what to send, for anything else.
    """
    code = text.strip().upper()
    if code in _codes():
        return code
    meant = _SIGNS.get(code, ())
    if len(meant) == 1:
        return meant[0]
    if home in meant:
        return home
    if meant:
        raise ValueError(f"{text[:20]!r} may be {', '.join(meant[:4])}: send the code (ISO 4217).")
    raise ValueError(f"{text[:20]!r} is no currency: send its code (ISO 4217), such as EUR.")


@lru_cache(maxsize=512)
def minor_digits(currency: str) -> int:
    """Digits that an amount may have after the point: EUR 2, JPY 0, KWD 3 (ISO 4217)."""
    return get_currency_precision(currency)


@lru_cache(maxsize=8192)
def category_path(text: str) -> str:
    """The path as the catalogue writes it: "Camping > Tents", "camping/tents" and " CAMPING / tents " are `camping/tents`.

    Gives "" where nothing is left, or it is no path: longer than MAX_CATEGORY_LENGTH, deeper than MAX_CATEGORY_DEPTH, or an
    e-mail address.
    """
    if "@" in text or "%40" in text:
        # Whatever this is: without its sign, the search for e-mail addresses would pass it over.
        return ""
    names = [name for name in _SEPARATOR.split(text.strip()) if name]
    if not names or len(names) > MAX_CATEGORY_DEPTH or len(text) > MAX_CATEGORY_LENGTH:
        return ""
    return "/".join(slug_of(name) for name in names)


def normalised(properties: dict[str, Any], home_currency: str, *, is_order: bool = False) -> dict[str, Any]:
    """The properties of an event of the vocabulary with currency and categories in one spelling; those of the lines too,
    and the amounts of an order in whole minor units of its currency.

    Gives the same dict back where nothing had to change, else a copy with what was sent under `_original`:
    {"currency": "€", "products[0].category": "Camping > Tents", "total": 59.999}. A currency that cannot be read stays
    as it is: whether that matters is for the rule of the event to say.
    """
    changes: dict[str, Any] = {}
    result = _normalised(properties, home_currency, "", changes)
    lines = properties.get("products")
    if isinstance(lines, list):
        new_lines = [
            _normalised(line, home_currency, f"products[{position}].", changes)
            if isinstance(line, dict)
            else line
            for position, line in enumerate(lines)
        ]
        if any(new is not old for new, old in zip(new_lines, lines, strict=True)):
            result = {**result, "products": new_lines}
    if is_order:
        result = _in_minor_units(result, home_currency, changes)
    return {**result, ORIGINAL: changes} if changes else result


def _normalised(fields: dict[str, Any], home: str, where: str, changes: dict[str, Any]) -> dict[str, Any]:
    result = fields
    currency = fields.get("currency")
    if isinstance(currency, str) and (code := _currency_or_as_it_is(currency, home)) != currency:
        changes[f"{where}currency"] = currency
        result = {**result, "currency": code}
    category = fields.get("category")
    if isinstance(category, str) and (path := category_path(category)) and path != category:
        changes[f"{where}category"] = category
        result = {**result, "category": path}
    return result


def _currency_or_as_it_is(text: str, home: str) -> str:
    try:
        return currency_code(text, home)
    except ValueError:
        return text


def _in_minor_units(fields: dict[str, Any], home: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Sums made of floats drift (59.970000000000006); a third digit of cents is nobody's money."""
    currency = fields.get("currency")
    digits = minor_digits(currency if isinstance(currency, str) and currency in _codes() else home)
    for key in ORDER_AMOUNTS:
        value = fields.get(key)
        if isinstance(value, float) and isfinite(value) and (rounded := round(value, digits)) != value:
            fields = {**fields, key: rounded}
            if abs(rounded - value) > _DRIFT:
                changes[key] = value
    return fields


class AmbiguousNumber(ValueError):
    """A number that may mean two things, such as `1,234`."""


_PLAIN: Final = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_SPACES: Final = re.compile(r"[\s'’_\u00a0\u202f]")
_GROUPED: Final = re.compile(r"\d{1,3}(?:[.,]\d{3})+")


def number_text(text: str, decimal_mark: str = "") -> str:
    """`1234.56` of "1.234,56", "1 234,56", "1'234.56" or "1234,56". What is no number comes back as it is.

    `decimal_mark` is "," or "."; "" finds out: the last of two different marks, or a comma that does not stand before three
    digits. A point alone is always a decimal point. Raises AmbiguousNumber for "1,234".
    """
    plain = _SPACES.sub("", text)
    if not plain or not plain.lstrip("+-").replace(",", "").replace(".", "").isdecimal():
        return text
    mark = decimal_mark or _mark_of(plain)
    groups = "." if mark == "," else ","
    whole, _, digits = plain.partition(mark)
    if groups in whole and not _GROUPED.fullmatch(whole.lstrip("+-")):
        return text
    number = whole.replace(groups, "") + (f".{digits}" if digits else "")
    return number if _PLAIN.fullmatch(number) else text


def _mark_of(plain: str) -> str:
    if "," not in plain:
        return "," if plain.count(".") > 1 else "."
    if "." in plain:
        return max(",.", key=plain.rfind)
    if plain.count(",") > 1:
        return "."
    if _GROUPED.fullmatch(plain.lstrip("+-")) and not plain.lstrip("+-").startswith("0,"):
        raise AmbiguousNumber(
            f"{plain[:40]!r} may be a thousand and more, or a fraction: say which mark is the decimal one."
        )
    return ","
