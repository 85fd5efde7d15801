"""One message as clients send it: read loosely here, judged in `validation`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

Identifier = str | int | float | None


class Message(msgspec.Struct, rename="camel", kw_only=True, omit_defaults=True):
    """A call of the contract. Ids may be numbers and are read as text; `None` and absent are the same.

    `context` is left as it came: `contexts` reads each distinct one once.
    """

    type: str | None = None
    event: str | None = None
    name: str | None = None
    category: str | None = None
    message_id: Identifier = None
    user_id: Identifier = None
    anonymous_id: Identifier = None
    previous_id: Identifier = None
    group_id: Identifier = None
    properties: dict[str, Any] | None = None
    traits: dict[str, Any] | None = None
    context: msgspec.Raw = msgspec.Raw(b"null")
    timestamp: Any = None
    original_timestamp: Any = None
    sent_at: Any = None
    received_at: Any = None


class UnreadableMessage(ValueError):
    """An event that does not have the shape of a message. `fields` is what can be told of it, for the gate."""

    def __init__(self, detail: str, fields: Mapping[str, Any]) -> None:
        super().__init__(detail)
        self.fields = fields


decode: Final = msgspec.json.Decoder(Message).decode


def read_message(raw: bytes) -> Message:
    """Raises UnreadableMessage."""
    try:
        return decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableMessage(str(error), readable_fields(raw)) from error


def message_of(fields: Mapping[str, Any]) -> Message:
    """The same from Python values; times may be datetimes. Raises UnreadableMessage."""
    try:
        if "context" in fields:
            fields = {**fields, "context": msgspec.Raw(msgspec.json.encode(fields["context"], enc_hook=str))}
        return msgspec.convert(fields, Message)
    except (msgspec.ValidationError, TypeError) as error:
        raise UnreadableMessage(str(error), fields) from error


def readable_fields(raw: bytes) -> Mapping[str, Any]:
    """Whatever a lenient parser finds in the bytes; nothing where they are no object."""
    try:
        fields = json.loads(raw.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def as_text(identifier: object) -> str:
    """An id as text, without surrounding space; "" for none. `12.0` is the number 12, as JavaScript means it."""
    if isinstance(identifier, str):
        return identifier.strip()
    if isinstance(identifier, float) and identifier.is_integer():
        return str(int(identifier))
    return "" if identifier is None or isinstance(identifier, bool | dict | list) else str(identifier)


def derived_message_id(message: Message) -> str:
    """A message id out of the content, the same for a resend: all that the client said but when it sent it."""
    content = msgspec.structs.replace(message, message_id=None, sent_at=None, received_at=None)
    canonical = msgspec.json.encode(content, order="deterministic")
    return "content-" + hashlib.blake2b(canonical, digest_size=20).hexdigest()
