"""What two spellings of one e-mail address, phone number, name or street address have in common, to find one person twice.

Only for proposing that two records may be one person: nothing is looked up, sent or merged by these forms.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import phonenumbers

# Providers that deliver `ann+shop@…` to `ann@…`, by their own documentation.
_PLUS: Final = frozenset(
    (
        "gmail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "icloud.com", "me.com", "mac.com", "fastmail.com",
        "fastmail.fm", "proton.me", "protonmail.com", "pm.me", "mailbox.org", "posteo.de",
    )
)  # fmt: skip
# Providers that do not tell `ann.lee@…` from `annlee@…`.
_DOTS: Final = frozenset(("gmail.com", "proton.me", "protonmail.com", "pm.me"))
_SAME_DOMAIN: Final = {
    "googlemail.com": "gmail.com",
    "protonmail.com": "proton.me",
    "pm.me": "proton.me",
    "me.com": "icloud.com",
    "mac.com": "icloud.com",
}
_STREET: Final = re.compile(r"(strasse|street|str|st)\b")
_NOT_WORD: Final = re.compile(r"[^\w]+")


def canonical_email(value: str) -> str:
    """Lower case, without what the provider ignores; empty for what is no address."""
    local, separator, domain = _folded(value).rpartition("@")
    if not separator or not local or "." not in domain:
        return ""
    if domain in _PLUS or domain in _SAME_DOMAIN:
        local = local.partition("+")[0]
    domain = _SAME_DOMAIN.get(domain, domain)
    if domain in _DOTS:
        local = local.replace(".", "")
    return f"{local}@{domain}" if local else ""


def canonical_phone(value: str, country: str) -> str:
    """E.164, `+493012345678`; a number without a country code is read as one of `country` (ISO 3166). Empty for what is no
    possible number."""
    try:
        number = phonenumbers.parse(value, country or None)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_valid_number(number):
        return ""
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def canonical_name(value: str) -> str:
    """Words in alphabetical order, without case, accents and punctuation: "Müller, Anna" is "anna muller"."""
    return " ".join(sorted(_words(value)))


def canonical_address(value: str) -> str:
    """Without case, accents, punctuation and the ways to write "street"."""
    return _STREET.sub("str", " ".join(_words(value))).replace(" ", "")


def _folded(value: str) -> str:
    return unicodedata.normalize("NFKC", value).strip().casefold()


def _words(value: str) -> list[str]:
    decomposed = unicodedata.normalize("NFKD", _folded(value))
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    return _NOT_WORD.sub(" ", bare).split()
