"""From a record of a file to a message of the tracking contract."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any, Final

from tracking.imports.columns import LEFT_OUT, MESSAGE_FIELDS, Naming, event_of, targets_of
from tracking.imports.records import Record
from tracking.ingestion.drafts import Reason
from tracking.ingestion.importing import ImportedRow
from tracking.ingestion.messages import as_text
from tracking.ingestion.times import read_time
from tracking.normalising import AmbiguousNumber, number_text
from tracking.vocabulary import EVENT_TYPES, RULES

# An event may have 500 lines and 32 KiB: a longer order becomes several, "536365", "536365/2", …
MAX_ORDER_LINES: Final = 200
_NOTHING: Final = frozenset({"", "\\N", "NULL", "null", "NaN", "nan", "None"})
_EMPTY: Final = ("", None)
_IDS: Final = frozenset({"user_id", "anonymous_id", "previous_id"})
_NUMBERS: Final = frozenset(
    {
        "price", "quantity", "total", "revenue", "value", "subtotal", "shipping", "tax", "discount", "position", "rank", "dwell_seconds",
        "scroll_depth_percent",
    }
)  # fmt: skip
_TIMES: Final = frozenset({"timestamp", "sent_at", "received_at"})
_JSON: Final = frozenset({"products", "properties", "traits", "context"})
_OF_A_LINE: Final = (
    "product_id",
    "sku",
    "name",
    "brand",
    "variant",
    "category",
    "price",
    "quantity",
    "url",
    "image_url",
)
_NO_CONSENT: Final = frozenset({"none", "no", "false", "0"})


@dataclass(frozen=True)
class Reading:
    """How the cells of a file are read. `zone` is where the clock hung that wrote times without one; `time_format` is that
    of `strptime` ("" finds out); `decimal_mark` is "," or "." ("" finds out); `ids_by_row`: every row is an event of its
    own, also where two say the same."""

    naming: Naming = field(default_factory=Naming)
    zone: tzinfo = UTC
    time_format: str = ""
    decimal_mark: str = ""
    ids_by_row: bool = False


class _Fault(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class MessageMaker:
    """Makes messages of the rows of one file. `digest` is the file's; `targets` are known after the first row.

    Message ids are made of what a row says, so that a row which comes again, in this file or another one, is one event.
    """

    def __init__(self, reading: Reading, digest: str, columns: Iterable[str] = ()) -> None:
        self._reading = reading
        self._digest = digest
        self.targets: dict[str, str] = targets_of(columns, reading.naming) if columns else {}

    def rows(self, records: Iterable[Record]) -> Iterator[tuple[ImportedRow, int]]:
        """Each message with how many records are done with it: adjacent lines of one order are one message.

        Of an order in several parts only the last one says so: whoever goes on behind it finds the order whole.
        """
        order: _Order | None = None
        for record in records:
            row = self._row(record)
            if order is not None and order.takes(row):
                order.add(row)
                continue
            following = _Order.begun_with(row, order)
            if order is not None:
                yield order.finished(goes_on=following is not None and following.part > 1)
            order = following
            if order is None:
                yield row, 1
        if order is not None:
            yield order.finished()

    def _row(self, record: Record) -> ImportedRow:
        if isinstance(record.values, bytes):
            return self._message(record, record.values)
        if record.fault:
            # Not what stands in the row: more people read the detail than may see the event.
            return ImportedRow(self._told(record), record.where, (Reason.UNREADABLE, f"{record.fault}."))
        if not self.targets or not record.values.keys() <= self.targets.keys():
            self.targets = targets_of({**self.targets, **record.values}, self._reading.naming, are_all=False)
        try:
            return ImportedRow(self._fields(record), record.where)
        except _Fault as fault:
            return ImportedRow(self._told(record), record.where, (fault.reason, fault.detail))

    def _message(self, record: Record, raw: bytes) -> ImportedRow:
        if not self._reading.ids_by_row:
            return ImportedRow(raw, record.where)
        message = json.loads(raw)
        return ImportedRow(
            {**message, "messageId": message.get("messageId") or self._id(record)}, record.where
        )

    def _id(self, record: Record) -> str:
        if self._reading.ids_by_row:
            said: Any = [self._digest, record.where]
        else:
            values = record.values if isinstance(record.values, Mapping) else {}
            said = {name: value for name, value in values.items() if not _is_nothing(value)} or record.text
        canonical = json.dumps(said, sort_keys=True, default=str, ensure_ascii=True)
        return "row-" + hashlib.blake2b(canonical.encode(), digest_size=20).hexdigest()

    def _told(self, record: Record) -> dict[str, Any]:
        """What can be told of a row that is no event: enough for the gate, for erasure, and for a person to mend it."""
        values = record.values if isinstance(record.values, Mapping) else {}
        message: dict[str, Any] = {
            MESSAGE_FIELDS[target]: as_text(values[column])
            for column, target in self.targets.items()
            if target in ("user_id", "anonymous_id") and column in values
        }
        event = next(
            (
                values[column]
                for column, target in self.targets.items()
                if target == "event" and column in values
            ),
            "",
        )
        message["type"], message["event"] = event_of(
            as_text(event) or self._reading.naming.event, self._reading.naming
        )
        row = record.text or {column: as_text(value) or value for column, value in values.items()}
        return {**message, "messageId": self._id(record), "properties": {}, "row": row}

    def _fields(self, record: Record) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        properties: dict[str, Any] = {}
        trees: dict[str, dict[str, Any]] = {"properties": properties, "traits": {}, "context": {}}
        assert isinstance(record.values, Mapping)
        for column, value in record.values.items():
            target = self.targets[column]
            # An id that says "null" is for the validation to refuse: it names nobody, and is no empty cell.
            if target == LEFT_OUT or (value in _EMPTY if target in _IDS else _is_nothing(value)):
                continue
            if target in trees:
                trees[target].update(_json(value, column, dict))
            elif target in _TIMES:
                fields[MESSAGE_FIELDS[target]] = self._time(value, column)
            elif target == "consent":
                trees["context"]["consent"] = _consent(value)
            elif target in MESSAGE_FIELDS:
                fields[MESSAGE_FIELDS[target]] = as_text(value)
            else:
                self._put(trees, target, value, column)
        return self._message_of(fields, trees, record)

    def _put(self, trees: dict[str, dict[str, Any]], target: str, value: Any, column: str) -> None:
        root, _, rest = target.partition(".")
        path = rest.split(".") if root in trees and rest else [target]
        tree = trees[root] if root in trees and rest else trees["properties"]
        for step in path[:-1]:
            tree = tree.setdefault(step, {})
        if path[-1] == "products":
            value = _json(value, column, list)
        elif path[-1] in _NUMBERS and isinstance(value, str):
            value = self._number(value, column)
        tree[path[-1]] = value

    def _message_of(
        self, fields: dict[str, Any], trees: dict[str, dict[str, Any]], record: Record
    ) -> dict[str, Any]:
        if "timestamp" not in fields:
            raise _Fault(Reason.INVALID_TIME, "It says not when it happened: the cell is empty.")
        said, kind = fields.pop("event", ""), fields.get("type", "")
        if kind not in EVENT_TYPES:
            # A column "type" that says "view" is an event.
            said = said or kind
            kind = ""
        meant, name = event_of(said or self._reading.naming.event, self._reading.naming)
        fields["type"] = kind or meant
        fields.setdefault("messageId", self._id(record))
        if fields["type"] == "identify":
            location = trees["context"].get("location", {})
            fields["traits"] = {**location, **trees["properties"], **trees["traits"]}
        elif fields["type"] == "track":
            fields |= {"event": name, "properties": _with_line(name, trees["properties"])}
        else:
            fields["properties"] = trees["properties"]
        if trees["context"]:
            fields["context"] = trees["context"]
        return fields

    def _time(self, value: Any, column: str) -> datetime:
        try:
            if self._reading.time_format and isinstance(value, str):
                value = datetime.strptime(value.strip(), self._reading.time_format)  # noqa: DTZ007 (the zone comes next)
            moment = read_time(value, self._reading.zone)
        except ValueError as error:
            wanted = (
                f"written like {self._reading.time_format}"
                if self._reading.time_format
                else "ISO 8601 or Unix time"
            )
            raise _Fault(
                Reason.INVALID_TIME,
                f"{column!r} is {str(value)[:40]!r}, which is no time ({wanted}; see --time-format and --time-zone).",
            ) from error
        assert moment is not None
        return moment

    def _number(self, text: str, column: str) -> Any:
        try:
            return _number(text, self._reading.decimal_mark)
        except AmbiguousNumber as error:
            raise _Fault(
                Reason.INVALID_AMOUNT, f"{column!r}: {error} Say --decimal , or --decimal . for the file."
            ) from error


@lru_cache(maxsize=16_384)
def _number(text: str, decimal_mark: str) -> Any:
    """A number where it is one; else the text, for the validation to judge."""
    plain = number_text(text, decimal_mark)
    try:
        return int(plain)
    except ValueError:
        pass
    try:
        return float(plain) if plain[-1:].isdecimal() else plain
    except ValueError:
        return plain


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.strip() in _NOTHING)


def _json(value: Any, column: str, kind: type) -> Any:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise _Fault(
                Reason.UNREADABLE, f"{column!r} must hold JSON, and cannot be read ({error})."
            ) from error
    if not isinstance(value, kind):
        wanted = "an object {…}" if kind is dict else "a list […]"
        raise _Fault(Reason.UNREADABLE, f"{column!r} must hold {wanted}, and is a {type(value).__name__}.")
    return value


def _consent(value: Any) -> Any:
    """`context.consent` of JSON, or of names: "analytics, personalisation"; "none" is a no to everything."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("{"):
        return _json(value, "consent", dict)
    names = value.replace(";", ",").replace("|", ",").split(",")
    if value.strip().lower() in _NO_CONSENT:
        return {"analytics": False, "personalisation": False, "marketing": False, "sharing": False}
    return {"allowedConsentIds": [name.strip() for name in names if name.strip()]}


def _with_line(event: str, properties: dict[str, Any]) -> dict[str, Any]:
    """An order told in one row a product: the columns of the product become its line."""
    rule = RULES.get(event)
    if rule is None or not rule.product_lines or rule.product or "products" in properties:
        return properties
    if "product_id" not in properties and "sku" not in properties:
        return properties
    line = {key: properties[key] for key in _OF_A_LINE if key in properties}
    rest = {key: value for key, value in properties.items() if key not in line}
    return {**rest, "products": [line]}


class _Order:
    """Adjacent rows that are lines of one order, gathered into one message."""

    def __init__(self, row: ImportedRow, part: int = 1, records: int = 0) -> None:
        assert isinstance(row.message, dict)
        self._first = row
        self._message = row.message
        self._lines = list(row.message["properties"]["products"])
        self._ids = [row.message["messageId"]]
        self._key = _order_key(row)
        self._records = records + 1
        self.part = part

    @classmethod
    def begun_with(cls, row: ImportedRow, before: _Order | None) -> _Order | None:
        """None where the row is no line of an order."""
        key = _order_key(row)
        if key is None:
            return None
        if before is not None and before._key == key:
            return cls(row, before.part + 1, before._records)
        return cls(row)

    def takes(self, row: ImportedRow) -> bool:
        return len(self._lines) < MAX_ORDER_LINES and self._key == _order_key(row)

    def add(self, row: ImportedRow) -> None:
        assert isinstance(row.message, dict)
        self._lines.extend(row.message["properties"]["products"])
        self._ids.append(row.message["messageId"])
        self._records += 1

    def finished(self, *, goes_on: bool = False) -> tuple[ImportedRow, int]:
        done = 0 if goes_on else self._records
        if len(self._ids) == 1 and self.part == 1:
            return self._first, done
        properties = {**self._message["properties"], "products": self._lines}
        if self.part > 1:
            properties["order_id"] = f"{properties['order_id']}/{self.part}"
        together = hashlib.blake2b("".join(self._ids).encode(), digest_size=20).hexdigest()
        message = {**self._message, "properties": properties, "messageId": f"rows-{together}"}
        return ImportedRow(message, self._first.where), done


def _order_key(row: ImportedRow) -> tuple[Any, ...] | None:
    """What the lines of one order have in common; None for what is no order told line by line."""
    message = row.message
    if row.fault is not None or not isinstance(message, dict):
        return None
    properties = message["properties"]
    rule = RULES.get(message.get("event", ""))
    order_id = as_text(properties.get("order_id"))
    if rule is None or not rule.order or not order_id or len(properties.get("products") or ()) != 1:
        return None
    return message["event"], order_id, message.get("userId"), message.get("anonymousId")
