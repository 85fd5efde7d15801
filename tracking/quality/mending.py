"""One change for many quarantined events: a value set, renamed or removed, or what obviously mends their reason.

A path names fields by dots, and each element of a list by `[]`: `properties.products[].price`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from accounts.identifiers import is_forbidden_id
from tracking.ingestion.drafts import Reason
from tracking.ingestion.messages import as_text
from tracking.ingestion.nesting import is_too_deep

MAX_PATH_LENGTH: Final = 200
_PATH: Final = re.compile(r"[^.\[\]\s]+(\[\])?(\.[^.\[\]\s]+(\[\])?)*")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class Operation(StrEnum):
    OBVIOUS = "obvious"
    SET = "set"
    RENAME = "rename"
    REMOVE = "remove"


class NotMendable(ValueError):
    """The change does not make sense; the message says what to write."""


@dataclass(frozen=True)
class Mend:
    """`value` is JSON for `set`, the new name of the last field for `rename`, and empty else."""

    operation: Operation
    path: str = ""
    value: Any = None

    def __post_init__(self) -> None:
        if self.operation is Operation.OBVIOUS:
            return
        if not _PATH.fullmatch(self.path) or len(self.path) > MAX_PATH_LENGTH:
            raise NotMendable(
                f"{self.path[:60]!r} is no path: write one like properties.product_id or properties.products[].price."
            )
        if self.path.endswith("[]"):
            raise NotMendable("A path ends with the name of a field, not with [].")
        if self.operation is Operation.RENAME and not (
            isinstance(self.value, str) and _PATH.fullmatch(self.value) and not set(self.value) & set(".[]")
        ):
            raise NotMendable("The new name is that of one field, without dots: product_id.")

    def as_json(self) -> dict[str, Any]:
        return {"operation": str(self.operation), "path": self.path, "value": self.value}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Mend:
        return cls(Operation(told["operation"]), told.get("path", ""), told.get("value"))


def mended(raw: bytes, reason: str, mend: Mend) -> bytes | None:
    """The bytes with the change; None where it changes nothing, or they are no JSON object."""
    try:
        message = json.loads(raw.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict):
        return None
    try:
        return _changed(message, reason, mend)
    except RecursionError:
        return None


def _changed(message: dict[str, Any], reason: str, mend: Mend) -> bytes | None:
    before = json.dumps(message)
    if mend.operation is Operation.OBVIOUS:
        # Nothing about one that is too deep is obvious, and the changes go down into it.
        change = None if is_too_deep(message) else _OBVIOUS.get(reason)
        message = change(message) if change is not None else message
    else:
        _apply(message, mend)
    if json.dumps(message) == before:
        return None
    return json.dumps(message, ensure_ascii=False).encode("utf-8", "replace")


def _apply(message: dict[str, Any], mend: Mend) -> None:
    *steps, last = mend.path.split(".")
    for holder in _holders(message, steps, makes_missing=mend.operation is Operation.SET):
        if mend.operation is Operation.SET:
            holder[last] = mend.value
        elif last in holder:
            value = holder.pop(last)
            # What stands under the new name already is kept: nothing is overwritten by a rename.
            if mend.operation is Operation.RENAME:
                holder.setdefault(mend.value, value)


def _holders(value: Any, steps: list[str], *, makes_missing: bool) -> Iterator[dict[str, Any]]:
    """Every object that holds the last field of the path."""
    if not isinstance(value, dict):
        return
    if not steps:
        yield value
        return
    name, is_list = steps[0].removesuffix("[]"), steps[0].endswith("[]")
    if makes_missing and not is_list and value.get(name) is None:
        value[name] = {}
    inner = value.get(name)
    if is_list:
        for element in inner if isinstance(inner, list) else ():
            yield from _holders(element, steps[1:], makes_missing=makes_missing)
    else:
        yield from _holders(inner, steps[1:], makes_missing=makes_missing)


# What obviously mends a reason


def _without_forbidden_ids(message: dict[str, Any]) -> dict[str, Any]:
    ids = ("userId", "anonymousId", "previousId")
    return {
        key: value for key, value in message.items() if key not in ids or not is_forbidden_id(as_text(value))
    }


def _without(*names: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda message: {key: value for key, value in message.items() if key not in names}


def _property_from(name: str, *others: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Properties that other vocabularies call differently."""

    def change(message: dict[str, Any]) -> dict[str, Any]:
        properties = message.get("properties")
        if not isinstance(properties, dict) or as_text(properties.get(name)):
            return message
        found = next((other for other in others if as_text(properties.get(other))), None)
        return (
            message if found is None else {**message, "properties": {**properties, name: properties[found]}}
        )

    return change


def _event_name(message: dict[str, Any]) -> dict[str, Any]:
    properties = message.get("properties")
    inner = properties if isinstance(properties, dict) else {}
    name = next(
        (
            value
            for value in (
                message.get("name"),
                message.get("eventName"),
                inner.get("event"),
                inner.get("event_name"),
            )
            if isinstance(value, str) and value.strip()
        ),
        None,
    )
    return message if name is None else {**message, "event": name.strip()[:100]}


def _type(message: dict[str, Any]) -> dict[str, Any]:
    told = as_text(message.get("type")).lower()
    known = ("track", "page", "screen", "identify", "alias", "group")
    kind = told if told in known else "track" if message.get("event") else None
    return message if kind is None else {**message, "type": kind}


def _clean_text(value: Any) -> Any:
    """Without U+0000 and halves of surrogate pairs, which PostgreSQL does not take."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value.replace("\0", ""))
    if isinstance(value, dict):
        return {_clean_text(key): _clean_text(inner) for key, inner in value.items()}
    return [_clean_text(inner) for inner in value] if isinstance(value, list) else value


_AMOUNTS: Final = (
    "price",
    "quantity",
    "total",
    "revenue",
    "value",
    "subtotal",
    "shipping",
    "tax",
    "discount",
)
_SIGNS: Final = re.compile(r"[\s\u00a0€$£¥]|[A-Za-z]{1,3}\.?(?=\s|$)|^[A-Z]{3}")


_NUMBER: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?")


def plain_number(text: str) -> str | None:
    """`1.234,50 €` as `1234.50`: of two marks the last is the decimal one, and a single one with three digits behind it
    groups thousands. None for what is no number."""
    digits = _SIGNS.sub("", text.strip())
    last = max(digits.rfind(","), digits.rfind("."))
    if last >= 0:
        mark, other = digits[last], "," if digits[last] == "." else "."
        groups = other not in digits and len(digits) - last == 4 and digits[0] != "0"
        whole, fraction = digits[:last], digits[last + 1 :]
        whole = whole.replace(other, "").replace(mark, "")
        digits = whole + fraction if groups or digits.count(mark) > 1 else f"{whole}.{fraction}"
    return digits if _NUMBER.fullmatch(digits) else None


def _amounts(message: dict[str, Any]) -> dict[str, Any]:
    def plain(holder: dict[str, Any]) -> dict[str, Any]:
        changed = dict(holder)
        for key in holder.keys() & set(_AMOUNTS):
            told = holder[key]
            # What is a number already is none of the faults.
            if isinstance(told, str) and not _NUMBER.fullmatch(told) and (number := plain_number(told)):
                changed[key] = number
        return changed

    properties = message.get("properties")
    if not isinstance(properties, dict):
        return message
    properties = plain(properties)
    lines = properties.get("products")
    if isinstance(lines, list):
        properties["products"] = [plain(line) if isinstance(line, dict) else line for line in lines]
    return {**message, "properties": properties}


def _product_lines(message: dict[str, Any]) -> dict[str, Any]:
    """A single line as a list of one; lines that name no product are left out where another does."""
    properties = message.get("properties")
    if not isinstance(properties, dict):
        return message
    lines = properties.get("products")
    lines = [lines] if isinstance(lines, dict) else lines
    if not isinstance(lines, list):
        return message
    usable = [
        line
        for line in lines
        if isinstance(line, dict) and (as_text(line.get("product_id")) or as_text(line.get("sku")))
    ]
    return {**message, "properties": {**properties, "products": usable}} if usable else message


_CURRENCIES: Final = {
    "€": "EUR",
    "EURO": "EUR",
    "EUROS": "EUR",
    "£": "GBP",
    "POUND": "GBP",
    "CHF.": "CHF",
    "US$": "USD",
}


def _currency(message: dict[str, Any]) -> dict[str, Any]:
    properties = message.get("properties")
    told = properties.get("currency") if isinstance(properties, dict) else None
    code = _CURRENCIES.get(told.strip().upper()) if isinstance(told, str) else None
    return (
        {**message, "properties": {**properties, "currency": code}}
        if code and isinstance(properties, dict)
        else message
    )


_OBVIOUS: Final[Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    Reason.NUL_CHARACTER: _clean_text,
    Reason.DATABASE_REFUSED: _clean_text,
    Reason.UNKNOWN_TYPE: _type,
    Reason.MISSING_EVENT_NAME: _event_name,
    Reason.FORBIDDEN_ID: _without_forbidden_ids,
    Reason.UNSIGNED_USER_ID: _without("userId"),
    Reason.INVALID_MESSAGE_ID: _without("messageId"),
    Reason.INVALID_TIME: _without("timestamp", "originalTimestamp", "sentAt"),
    Reason.FUTURE_TIME: _without("timestamp", "originalTimestamp", "sentAt"),
    Reason.MISSING_PRODUCT_ID: _property_from("product_id", "productId", "item_id", "itemId", "id"),
    Reason.MISSING_ORDER_ID: _property_from("order_id", "orderId", "transaction_id", "order_number", "id"),
    Reason.MISSING_QUERY: _property_from("query", "search_term", "search", "term", "keyword", "q"),
    Reason.INVALID_PRODUCTS: _product_lines,
    Reason.INVALID_AMOUNT: _amounts,
    Reason.INVALID_CURRENCY: _currency,
}

# What the obvious mend of each reason does, for the person who is about to do it to many.
OBVIOUS_MENDS: Final[Mapping[str, str]] = {
    Reason.NUL_CHARACTER: "U+0000 is taken out of every text.",
    Reason.DATABASE_REFUSED: "U+0000 and broken characters are taken out of every text.",
    Reason.UNKNOWN_TYPE: "`type` is written in lower case; a message with `event` becomes a track.",
    Reason.MISSING_EVENT_NAME: "`event` is taken from `name`, `eventName`, `properties.event` or `properties.event_name`.",
    Reason.FORBIDDEN_ID: "Ids that name nobody are left out.",
    Reason.UNSIGNED_USER_ID: "`userId` is left out: the event stays with its visitor.",
    Reason.INVALID_MESSAGE_ID: "`messageId` is left out, and made of the content.",
    Reason.INVALID_TIME: "Its times are left out: it counts as of when it came.",
    Reason.FUTURE_TIME: "Its times are left out: it counts as of when it came.",
    Reason.MISSING_PRODUCT_ID: "`product_id` is taken from `productId`, `item_id`, `itemId` or `id`.",
    Reason.MISSING_ORDER_ID: "`order_id` is taken from `orderId`, `transaction_id`, `order_number` or `id`.",
    Reason.MISSING_QUERY: "`query` is taken from `search_term`, `search`, `term`, `keyword` or `q`.",
    Reason.INVALID_PRODUCTS: "A single line becomes a list; lines without a product are left out where others have one.",
    Reason.INVALID_AMOUNT: "Signs and separators are taken out of amounts: `1.234,50 €` becomes 1234.50.",
    Reason.INVALID_CURRENCY: "`€`, `£` and the like become their ISO 4217 code.",
}
