"""Countries as people and shops write them, to the two letters of ISO 3166."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Final

from babel import Locale
from babel.core import get_global

MAX_LENGTH: Final = 60
# Languages whose names of countries are known: those of the shops' Europe, and a few of the world's largest.
_LANGUAGES: Final = (
    "en", "de", "fr", "nl", "es", "it", "pt", "pl", "sv", "da", "nb", "fi", "cs", "sk", "hu", "ro", "el", "bg", "hr", "sl", "et", "lv",
    "lt", "ga", "tr", "uk", "ja", "zh", "ko", "ar",
)  # fmt: skip
# CLDR has codes that are no country: the world, the Union, test regions, "unknown".
_NO_COUNTRY: Final = frozenset({"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"})
# What CLDR does not list, and forms in daily use.
_SPOKEN: Final[Mapping[str, str]] = {
    "burma": "MM",
    "cape verde": "CV",
    "czech republic": "CZ",
    "el": "GR",
    "england": "GB",
    "great britain": "GB",
    "holland": "NL",
    "hong kong": "HK",
    "ivory coast": "CI",
    "macao": "MO",
    "macau": "MO",
    "macedonia": "MK",
    "northern ireland": "GB",
    "palestine": "PS",
    "republic of ireland": "IE",
    "republic of korea": "KR",
    "russian federation": "RU",
    "scotland": "GB",
    "south korea": "KR",
    "swaziland": "SZ",
    "turkey": "TR",
    "u s": "US",
    "u s a": "US",
    "united states of america": "US",
    "vatican": "VA",
    "viet nam": "VN",
    "wales": "GB",
}
_APART: Final = re.compile(r"[\W_]+")


@lru_cache(maxsize=4096)
def country_code(text: str) -> str:
    """`NL` of "nl", "NLD", "Netherlands", "The Netherlands", "Nederland", "Pays-Bas"; "" for what is no country.

    Two and three letters are codes (ISO 3166, names of former countries with one successor included), anything else a name
    in one of the languages above.
    """
    text = text.strip()
    if not 2 <= len(text) <= MAX_LENGTH:
        return ""
    code = text.upper()
    if len(code) == 2 and code in _codes():
        return code
    if len(code) in (2, 3) and code.isascii() and code.isalpha():
        successors = [alias for alias in get_global("territory_aliases").get(code, ()) if alias in _codes()]
        if len(successors) == 1:
            return successors[0]
    return _by_name().get(_folded(text), "")


@cache
def _codes() -> frozenset[str]:
    return (
        frozenset(code for code in map(str, Locale("en").territories) if len(code) == 2 and code.isalpha())
        - _NO_COUNTRY
    )


@cache
def _by_name() -> Mapping[str, str]:
    names: dict[str, str] = {}
    for language in _LANGUAGES:
        for code, name in Locale(language).territories.items():
            if code in _codes():
                names.setdefault(_folded(name), code)
    return {**names, **_SPOKEN}


def _folded(name: str) -> str:
    """Without case, accents, punctuation and the article: "The Côte d’Ivoire" is "cote d ivoire"."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    words = _APART.sub(" ", "".join(letter for letter in plain if not unicodedata.combining(letter))).split()
    return " ".join(words[1:] if len(words) > 1 and words[0] == "the" else words)
