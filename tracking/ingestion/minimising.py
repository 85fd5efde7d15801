"""What is left out of an event before it is stored: direct identifiers, e-mail addresses and card numbers in
free text, query strings, whole IP addresses.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, Final

from accounts.services.traits import IDENTIFIER_TRAITS

EMAIL_MARK: Final = "[e-mail removed]"
CARD_MARK: Final = "[card number removed]"
MAX_TEXT_LENGTH: Final = 500

IDENTIFIER_KEYS: Final = frozenset(IDENTIFIER_TRAITS) | {
    "address",
    "billing_address",
    "billingAddress",
    "card_number",
    "cardNumber",
    "customer_email",
    "customer_name",
    "customerEmail",
    "email_address",
    "emailAddress",
    "full_name",
    "fullName",
    "iban",
    "password",
    "phone_number",
    "phoneNumber",
    "shipping_address",
    "shippingAddress",
    "username",
}
_NAMELESS: Final = IDENTIFIER_KEYS - {"name"}
_EMAIL: Final = re.compile(r"[\w.+\-]+(?:@|%40)[\w\-]+(?:\.[\w\-]+)+")
_CARD: Final = re.compile(r"(?<![\w.\-])[3-6]\d{3}(?:[ \-]?\d){10,15}(?![\w.\-])")
_ID_KEY: Final = re.compile(r"(?:^|_)(?:id|sku|gtin|ean|token)s?$|Id$")
# One look over the encoded bytes tells whether the slow way is needed at all.
_SUSPICIOUS: Final = re.compile(rb"@|%40|[3-6]\d{3}[ \-]?\d{4}[ \-]?\d{2}")


def needs_scrubbing(encoded: bytes) -> bool:
    """Whether JSON bytes may hold an e-mail address or a card number: no false negatives, some false
    positives."""
    return _SUSPICIOUS.search(encoded) is not None


def scrub(value: Any, key: str = "") -> Any:
    """The value with every e-mail address and card number in its texts replaced. Ids (`order_id`, `sku`) keep
    their digits."""
    if isinstance(value, str):
        return scrub_text(value, keep_digits=bool(_ID_KEY.search(key)))
    if isinstance(value, dict):
        return {scrub_text(name): scrub(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [scrub(inner, key) for inner in value]
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and not _ID_KEY.search(key)
        and _is_card(str(value))
    ):
        return CARD_MARK
    return value


def scrub_text(text: str, *, keep_digits: bool = False) -> str:
    cleaned = _EMAIL.sub(EMAIL_MARK, text)
    return (
        cleaned
        if keep_digits
        else _CARD.sub(lambda match: CARD_MARK if _is_card(match.group()) else match.group(), cleaned)
    )


def _is_card(text: str) -> bool:
    """14 to 19 digits that begin as a card does and pass the check of Luhn (ISO/IEC 7812-1)."""
    digits = [int(character) for character in text if character.isdigit()]
    if not 14 <= len(digits) <= 19 or digits[0] not in (3, 4, 5, 6):
        return False
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def without_identifiers(properties: dict[str, Any], *, names_a_thing: bool = False) -> dict[str, Any]:
    """The properties without keys that hold a name, an address, a password: they belong into the vault or
    nowhere. `names_a_thing`: what stands under `name` is no person's.
    """
    left_out = _NAMELESS if names_a_thing else IDENTIFIER_KEYS
    if left_out.isdisjoint(properties):
        return properties
    return {key: value for key, value in properties.items() if key not in left_out}


def without_query(url: Any) -> str:
    """An address without its query and fragment: they carry search words, tokens and names of people."""
    if not isinstance(url, str):
        return ""
    return url.split("?", 1)[0].split("#", 1)[0][:MAX_TEXT_LENGTH]


@lru_cache(maxsize=4096)
def truncated_address(address: str) -> str:
    """The network of an IP address, its last octet (IPv4) or its last 80 bits (IPv6) zero; "" for what is no
    address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    return str(ip_network(f"{parsed}/{24 if parsed.version == 4 else 48}", strict=False).network_address)
