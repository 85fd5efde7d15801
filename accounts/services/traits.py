"""What `identify` says of a customer, sorted: profile fields stay, direct identifiers go into the vault, the rest goes nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.utils.dateparse import parse_date, parse_datetime

from accounts.countries import MAX_LENGTH, country_code

IDENTIFIER_TRAITS: Final = {
    "email": "email",
    "phone": "phone",
    "name": "name",
    "firstName": "first_name",
    "first_name": "first_name",
    "lastName": "last_name",
    "last_name": "last_name",
}
_ADDRESS_IDENTIFIERS: Final = ("street", "postalCode", "postal_code", "zip")
_GENDERS: Final = {"m": "male", "male": "male", "f": "female", "female": "female"}


@dataclass(frozen=True)
class Traits:
    """`profile` holds fields of Customer, `identifiers` fields of the vault."""

    profile: Mapping[str, Any]
    identifiers: Mapping[str, str]


def sort_traits(traits: Mapping[str, Any]) -> Traits:
    """Read the standard traits of the Segment specification (camel case) and their snake case.

    A value of the wrong kind is passed over: a bad birthday must not lose an e-mail address. Unknown traits are not
    kept, since nobody has said what they may be used for.
    """
    identifiers = {
        field: text for trait, field in IDENTIFIER_TRAITS.items() if (text := _text(traits.get(trait), 300))
    }
    address = traits.get("address")
    address = address if isinstance(address, Mapping) else {}
    if lines := [text for part in _ADDRESS_IDENTIFIERS if (text := _text(address.get(part), 300))]:
        identifiers["address"] = ", ".join(lines)
    profile = {
        "birth_year": _birth_year(traits),
        "gender": _gender(traits.get("gender")),
        "country": _country(address.get("country") or traits.get("country")),
        "region": _text(address.get("state") or address.get("region") or traits.get("region"), 80),
        "city": _text(address.get("city") or traits.get("city"), 80),
        "language": _text(traits.get("language") or traits.get("locale"), 5),
        "loyalty_status": _text(traits.get("loyaltyStatus") or traits.get("loyalty_status"), 40),
        "account_created_at": _moment(traits.get("createdAt") or traits.get("created_at")),
        "interests": _interests(traits.get("interests")),
    }
    return Traits({field: value for field, value in profile.items() if value}, identifiers)


def _text(value: Any, limit: int) -> str:
    if not isinstance(value, str) or "\0" in value or len(value.strip()) > limit:
        return ""
    return value.strip()


def _country(value: Any) -> str:
    return country_code(_text(value, MAX_LENGTH))


def _gender(value: Any) -> str:
    text = _text(value, 20).lower()
    return _GENDERS.get(text, text)


def _moment(value: Any) -> datetime | None:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            # Seconds, or milliseconds since 1970: no shop opened an account in the year 5138.
            return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
        if not isinstance(value, str):
            return None
        moment = parse_datetime(value)
        if moment is None and (day := parse_date(value)) is not None:
            moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None
    if moment is None:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _birth_year(traits: Mapping[str, Any]) -> int | None:
    this_year = datetime.now(UTC).year
    born = _moment(traits.get("birthday"))
    age = traits.get("age")
    if born is not None:
        year = born.year
    elif isinstance(age, int) and not isinstance(age, bool):
        year = this_year - age
    else:
        return None
    return year if this_year - 125 <= year <= this_year else None


def _interests(value: Any) -> list[dict[str, str]]:
    """Interests come as [{"kind": "category", "value": "tents"}] or as a list of category names."""
    if not isinstance(value, list):
        return []
    read = []
    for entry in value[:100]:
        if isinstance(entry, Mapping):
            kind, name = entry.get("kind"), _text(entry.get("value"), 120)
        else:
            kind, name = "category", _text(entry, 120)
        if kind in {"category", "brand"} and name:
            read.append({"kind": kind, "value": name})
    return read
