"""From a message to a draft of an event: checked, normalised, and with whatever must not be stored left out.

Nothing is dropped here. What is wrong with a draft becomes its `rejection`; whether it may be kept at all,
even in quarantine, is the gate's to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import structlog
from django.db import Error

from accounts.identifiers import is_forbidden_id
from accounts.services.signatures import verify_signature
from consent import client_consent
from consent.purposes import EVENT_PURPOSES, UNKNOWN_EVENT_PURPOSES
from tracking.ingestion.contexts import NO_CONTEXT, ContextFacts, UnreadableContext, read_context
from tracking.ingestion.drafts import Arrival, Draft, Reason
from tracking.ingestion.limits import (
    MAX_EVENT_BYTES,
    MAX_EVENT_NAME_LENGTH,
    MAX_FUTURE_SECONDS,
    MAX_MESSAGE_ID_LENGTH,
)
from tracking.ingestion.messages import (
    Message,
    UnreadableMessage,
    as_text,
    derived_message_id,
    message_of,
    read_message,
    readable_fields,
)
from tracking.ingestion.minimising import needs_scrubbing, scrub, without_identifiers, without_query
from tracking.ingestion.nesting import MAX_DEPTH, is_json_too_deep, is_too_deep, texts_in
from tracking.ingestion.properties import Faulty, check_properties
from tracking.ingestion.times import read_time
from tracking.normalising import normalised
from tracking.vocabulary import EVENT_TYPES, RULES

log = structlog.get_logger(__name__)

_EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
_FUTURE: Final = timedelta(seconds=MAX_FUTURE_SECONDS)
# Plain integers: a lookup for every event.
_PURPOSES: Final = {name: int(purposes) for name, purposes in EVENT_PURPOSES.items()}
_UNKNOWN_PURPOSES: Final = int(UNKNOWN_EVENT_PURPOSES)
_EMPTY: Final = b"{}"
_JOINING: Final = frozenset({"identify", "alias", "group"})
_NUL_DETAIL: Final = "A text holds the character U+0000, which PostgreSQL cannot store. Leave it out."
_encode: Final = msgspec.json.Encoder().encode


class _Rejected(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def draft_of_bytes(raw: bytes, arrival: Arrival) -> Draft:
    """Never raises for what a client may send, only django.db.Error where the database cannot be used."""
    try:
        return _draft_of_bytes(raw, arrival)
    except Error:
        raise
    except Exception as error:
        return _isolated(raw, arrival, error, readable_fields(raw))


def _draft_of_bytes(raw: bytes, arrival: Arrival) -> Draft:
    try:
        message = read_message(raw)
    except UnreadableMessage as error:
        return _unreadable(raw, arrival, error)
    if is_json_too_deep(raw):
        return _too_deep(message, raw, arrival)
    draft = _draft(message, raw, arrival)
    if len(raw) > MAX_EVENT_BYTES:
        return draft.reject(Reason.TOO_LARGE, f"{len(raw):,} bytes; an event may have {MAX_EVENT_BYTES:,}.")
    if b"\\u0000" in raw and any("\0" in text for text in texts_in(msgspec.json.decode(raw))):
        return draft.reject(Reason.NUL_CHARACTER, _NUL_DETAIL)
    return draft


def draft_of_fields(fields: Mapping[str, Any], arrival: Arrival) -> Draft:
    """The same for a message of Python values."""
    try:
        return _draft_of_fields(fields, arrival)
    except Error:
        raise
    except Exception as error:
        return _isolated(lambda: _encoded(fields), arrival, error, fields)


def _draft_of_fields(fields: Mapping[str, Any], arrival: Arrival) -> Draft:
    def raw() -> bytes:
        return _encoded(fields)

    is_deep = is_too_deep(fields)
    try:
        message = message_of(_shallow(fields) if is_deep else fields)
    except UnreadableMessage as error:
        return _unreadable(raw, arrival, error)
    if is_deep:
        return _too_deep(message, raw, arrival)
    draft = _draft(message, raw, arrival)
    if b"\\u0000" in draft.encoded_properties or b"\\u0000" in draft.encoded_context:
        return draft.reject(Reason.NUL_CHARACTER, _NUL_DETAIL)
    if len(draft.encoded_properties) > MAX_EVENT_BYTES:
        return draft.reject(
            Reason.TOO_LARGE,
            f"{len(draft.encoded_properties):,} bytes; an event may have {MAX_EVENT_BYTES:,}.",
        )
    return draft


def _encoded(fields: Mapping[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(fields, enc_hook=str)
    except RecursionError:
        return msgspec.json.encode(_shallow(fields), enc_hook=str)


def _shallow(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Without the fields that are too deep; of the context only those of its own, for it says what is permitted."""
    kept = {key: value for key, value in fields.items() if not is_too_deep(value)}
    context = fields.get("context")
    if "context" not in kept and isinstance(context, dict):
        kept["context"] = {key: value for key, value in context.items() if not is_too_deep(value)}
    return kept


def _too_deep(message: Message, raw: Any, arrival: Arrival) -> Draft:
    """Judged by what stands at its top: nothing goes down into the rest."""
    draft = _draft(msgspec.structs.replace(message, properties=None, traits=None), raw, arrival)
    # Without one of its own it is known by its bytes: what is left of two of them may be the same.
    draft.message_id = as_text(message.message_id)
    draft.traits = None
    return draft.reject(
        Reason.TOO_DEEP, f"More than {MAX_DEPTH} objects or lists stand in each other. Send it flatter."
    )


def _isolated(raw: Any, arrival: Arrival, error: Exception, fields: Mapping[str, Any]) -> Draft:
    """What trips our own code is kept, and its neighbours are stored: a client would send them all again for ever."""
    log.error("ingestion.draft_failed", error=type(error).__name__, exc_info=error)
    told = UnreadableMessage(f"It could not be read ({type(error).__name__}).", fields)
    try:
        return _unreadable(raw, arrival, told)
    except Exception:
        return _blank(arrival, raw, arrival.default_type, "").reject(Reason.UNREADABLE, str(told))


def _draft(message: Message, raw: Any, arrival: Arrival) -> Draft:
    message_type = message.type or arrival.default_type
    name = message.event if message_type == "track" else message.name
    draft = _blank(arrival, raw, message_type, name or "")
    draft.message_id = as_text(message.message_id)
    # What the gate must know is read first: it judges rejected events too.
    try:
        context, fault = _read_context(draft, message)
        _identify(draft, message, context)
        if fault is not None:
            raise fault
        _check_shape(draft, message)
        _set_times(draft, message)
        _set_content(draft, message, context)
    except _Rejected as rejected:
        draft.reject(rejected.reason, rejected.detail)
    return draft


def _read_context(draft: Draft, message: Message) -> tuple[ContextFacts, _Rejected | None]:
    arrival = draft.arrival
    # A shop's server has a user agent of its own, which says nothing about the shopper.
    user_agent, address = ("", None) if arrival.source.is_trusted else (arrival.user_agent, arrival.address)
    try:
        context = read_context(bytes(message.context), user_agent, address)
    except UnreadableContext as error:
        return NO_CONTEXT, _Rejected(Reason.UNREADABLE, str(error)[:500])
    draft.client_consent = context.client_consent
    return context, None


def _blank(arrival: Arrival, raw: Any, message_type: str, name: str) -> Draft:
    return Draft(
        arrival=arrival,
        raw=raw,
        message_type=message_type,
        type_code=EVENT_TYPES.get(message_type, 0),
        name=name.strip(),
        message_id="",
        anonymous_id="",
        user_id="",
        occurred_at=arrival.received_at,
        received_at=arrival.received_at,
        purposes=_PURPOSES.get(name.strip() if message_type == "track" else message_type, _UNKNOWN_PURPOSES),
        client_consent=None,
        product_id="",
        is_bot=False,
        properties={},
        encoded_properties=_EMPTY,
        encoded_context=_EMPTY,
        device="",
        country="",
        traits=None,
    )


def _unreadable(raw: Any, arrival: Arrival, error: UnreadableMessage) -> Draft:
    fields = error.fields
    name = fields.get("event")
    message_type = fields.get("type")
    draft = _blank(
        arrival,
        raw,
        _plain(message_type) or arrival.default_type,
        _plain(name)[:MAX_EVENT_NAME_LENGTH],
    )
    draft.message_id = _plain(fields.get("messageId"))
    anonymous_id, user_id = _plain(fields.get("anonymousId")), _plain(fields.get("userId"))
    draft.anonymous_id = "" if is_forbidden_id(anonymous_id) else anonymous_id
    # Whoever sends what cannot be read has not signed it either.
    draft.user_id = user_id if arrival.source.is_trusted and not is_forbidden_id(user_id) else ""
    context = fields.get("context")
    draft.client_consent = client_consent.read(context) if isinstance(context, dict) else None
    return draft.reject(Reason.UNREADABLE, str(error)[:500])


def _plain(value: object) -> str:
    """Text that PostgreSQL takes, "" for anything else: half of a surrogate pair and U+0000 are in no id."""
    text = as_text(value)
    return text if "\0" not in text and text.isascii() | _encodes(text) else ""


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _identify(draft: Draft, message: Message, context: ContextFacts) -> None:
    """Who it was. An id that names nobody, or that a public key may not say, is ignored where another one is
    left."""
    anonymous_id, user_id = as_text(message.anonymous_id), as_text(message.user_id)
    if draft.message_type == "alias":
        anonymous_id = as_text(message.previous_id) or anonymous_id
    fault: _Rejected | None = None
    if anonymous_id and is_forbidden_id(anonymous_id):
        fault = _Rejected(
            Reason.FORBIDDEN_ID, f"{anonymous_id[:40]!r} names nobody: send an id of the visitor's own."
        )
        anonymous_id = ""
    if user_id and is_forbidden_id(user_id):
        fault = _Rejected(
            Reason.FORBIDDEN_ID,
            f"{user_id[:40]!r} names nobody: leave `userId` out until somebody has logged in.",
        )
        user_id = ""
    elif (
        user_id
        and not draft.arrival.source.is_trusted
        and not verify_signature(draft.arrival.source.store, user_id, context.signature)
    ):
        fault = _Rejected(
            Reason.UNSIGNED_USER_ID,
            "A public key may name a customer only with `context.signature`: HMAC-SHA256 of `userId` with "
            "the store's signing secret, made by the shop's server.",
        )
        user_id = ""
    draft.anonymous_id, draft.user_id = anonymous_id, user_id
    if fault is not None and (draft.message_type in _JOINING or not (anonymous_id or user_id)):
        raise fault


def _check_shape(draft: Draft, message: Message) -> None:
    if not draft.type_code:
        given = repr(draft.message_type[:40]) if draft.message_type else "nothing"
        raise _Rejected(
            Reason.UNKNOWN_TYPE, f"`type` is {given}; it must be one of {', '.join(EVENT_TYPES)}."
        )
    if draft.message_type == "track" and not draft.name:
        raise _Rejected(Reason.MISSING_EVENT_NAME, "A `track` needs `event`, the name of what happened.")
    if len(draft.name) > MAX_EVENT_NAME_LENGTH and draft.message_type == "track":
        raise _Rejected(
            Reason.INVALID_EVENT_NAME,
            f"`event` has {len(draft.name)} characters; {MAX_EVENT_NAME_LENGTH} at most.",
        )
    draft.name = draft.name[:MAX_EVENT_NAME_LENGTH]
    if "\0" in draft.name:
        raise _Rejected(Reason.NUL_CHARACTER, "The name holds the character U+0000. Leave it out.")
    if draft.message_type == "alias" and not (draft.user_id and draft.anonymous_id):
        raise _Rejected(Reason.MISSING_USER_ID, "An `alias` needs `previousId` and `userId`.")
    if len(draft.message_id) > MAX_MESSAGE_ID_LENGTH or "\0" in draft.message_id:
        raise _Rejected(
            Reason.INVALID_MESSAGE_ID, f"`messageId` may have {MAX_MESSAGE_ID_LENGTH} characters."
        )
    if not draft.message_id:
        draft.message_id = derived_message_id(message)


def _set_times(draft: Draft, message: Message) -> None:
    """timestamp = receivedAt − (sentAt − original): the client's clock may be wrong, its differences are
    right."""
    received_at = draft.received_at
    try:
        original = read_time(
            message.original_timestamp if message.original_timestamp is not None else message.timestamp
        )
    except ValueError as error:
        raise _Rejected(
            Reason.INVALID_TIME, f"`timestamp` cannot be read: {error}. Send ISO 8601."
        ) from error
    sent_at = _read_time_or_none(message.sent_at if message.sent_at is not None else draft.arrival.sent_at)
    draft.sent_at = sent_at
    if draft.arrival.keeps_received_at:
        received_at = _read_time_or_none(message.received_at) or sent_at or original or received_at
        draft.received_at = received_at
    if original is None:
        occurred_at = received_at
    elif sent_at is None:
        occurred_at = original
    else:
        try:
            occurred_at = received_at - (sent_at - original)
        except OverflowError as error:
            raise _Rejected(Reason.INVALID_TIME, "`timestamp` and `sentAt` are ages apart.") from error
    if occurred_at > received_at + _FUTURE:
        raise _Rejected(
            Reason.FUTURE_TIME, f"It happened at {occurred_at.isoformat()}, more than 24 hours after it came."
        )
    if occurred_at < _EARLIEST:
        raise _Rejected(
            Reason.INVALID_TIME, f"It happened at {occurred_at.isoformat()}, before the year 1990."
        )
    draft.occurred_at = occurred_at


def _read_time_or_none(value: object) -> datetime | None:
    try:
        return read_time(value)
    except ValueError:
        return None


def _set_content(draft: Draft, message: Message, context: ContextFacts) -> None:
    draft.is_bot, draft.device, draft.country = context.is_bot, context.device, context.country
    draft.encoded_context = context.stored
    properties = _properties(draft, message, context)
    encoded = _encode(properties)
    if needs_scrubbing(encoded):
        properties = scrub(properties)
        encoded = _encode(properties)
    draft.properties, draft.encoded_properties = properties, encoded
    _check_properties(draft)


def _properties(draft: Draft, message: Message, context: ContextFacts) -> dict[str, Any]:
    if draft.message_type == "identify":
        draft.traits = message.traits or context.traits
        # Their values go to the customer's profile and the vault; the log only says which were told.
        return {"traits": sorted(draft.traits)[:100]}
    rule = RULES.get(draft.name) if draft.message_type == "track" else None
    names_a_thing = rule is not None and rule.names_a_thing
    properties = without_identifiers(message.properties or {}, names_a_thing=names_a_thing)
    if draft.message_type == "group":
        return {**properties, "groupId": as_text(message.group_id)[:200]}
    if draft.message_type in ("page", "screen"):
        return _page_properties(properties, message.category)
    if rule is None:
        return properties
    return normalised(properties, draft.arrival.source.store.currency, is_order=rule.order)


def _page_properties(properties: Mapping[str, Any], category: str | None) -> dict[str, Any]:
    kept = {key: value for key, value in properties.items() if key != "search"}
    for key in kept.keys() & {"url", "referrer"}:
        kept[key] = without_query(kept[key])
    return {"category": category, **kept} if category else kept


def _check_properties(draft: Draft) -> None:
    properties = draft.properties
    try:
        draft.product_id = check_properties(
            properties, RULES.get(draft.name) if draft.message_type == "track" else None
        )
    except Faulty as fault:
        raise _Rejected(fault.reason, fault.detail) from fault
