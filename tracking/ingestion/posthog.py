"""PostHog's batches (`POST /batch/`) as messages of ours, so that shops with its server libraries need no other.

PostHog has one id, `distinct_id`, for browsers and people alike. What a trusted server sends is a customer's id, unless
it says that there is no person behind it or the id is a UUID, as PostHog makes them for browsers. Whatever is linked
with `alias`, or named in `set`, is a customer from then on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tracking.ingestion.decoding import Batch, RefusedRequest, check_length
from tracking.ingestion.messages import as_text, readable_fields

_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
# Of their own properties (all begin with $) the few that ours have a place for.
_PAGE: Final = {
    "$current_url": "url",
    "$pathname": "path",
    "$referrer": "referrer",
    "$title": "title",
    "title": "title",
}
_CONTEXT: Final = {
    "$ip": "ip",
    "$raw_user_agent": "userAgent",
    "$browser_language": "locale",
    "$timezone": "timezone",
}
_NAMING: Final = frozenset({"$set", "$identify"})


class _PostHogBatch(msgspec.Struct):
    batch: list[msgspec.Raw]
    sent_at: Any = None
    api_key: Any = None


class _Event(msgspec.Struct):
    event: str
    distinct_id: str | int | float | None = None
    properties: dict[str, Any] | None = None
    timestamp: Any = None
    uuid: str | None = None
    set_traits: dict[str, Any] | None = msgspec.field(name="$set", default=None)


_decode_batch: Final = msgspec.json.Decoder(_PostHogBatch).decode
_decode_event: Final = msgspec.json.Decoder(_Event).decode
_encode: Final = msgspec.json.Encoder().encode


def read_posthog_batch(body: bytes) -> Batch:
    """Its events are PostHog's still. Raises RefusedRequest: 400 for what is no batch, 413 for too many events."""
    try:
        batch = _decode_batch(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedRequest(
            400, "invalid_batch", f'A batch is {{"api_key", "batch": [event, …]}}: {error}.'
        ) from error
    check_length(batch.batch)
    return Batch(batch.batch, batch.sent_at, batch.api_key)


def message_of(raw: bytes, *, is_trusted: bool) -> bytes:
    """One event as a message. What has not the shape of an event becomes a message that cannot be read either, with
    the ids that it names, for the quarantine."""
    try:
        event = _decode_event(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _faulty_message(raw, is_trusted)
    told = event.properties or {}
    message = {
        **_call(event, told, is_trusted),
        "messageId": event.uuid,
        "timestamp": event.timestamp,
        "context": _context(told),
    }
    return _encode({key: value for key, value in message.items() if value is not None})


def _faulty_message(raw: bytes, is_trusted: bool) -> bytes:
    """Under our names, the gate and an erasure find whose it is. The event itself stands where an object should, byte
    for byte: nobody takes the message for a good one."""
    fields = readable_fields(raw)
    if not fields:
        return raw
    properties = fields.get("properties")
    told = properties if isinstance(properties, dict) else {}
    event = _Event(as_text(fields.get("event")), as_text(fields.get("distinct_id")), told)
    call = _call(event, told, is_trusted)
    message = {key: as_text(call.get(key)) for key in ("type", "userId", "anonymousId", "previousId")}
    message |= {"event": event.event, "messageId": as_text(fields.get("uuid"))}
    context = {"context": {"consent": told["$consent"]}} if "$consent" in told else {}
    kept = {key: value for key, value in message.items() if value}
    original = raw.decode("utf-8", "surrogateescape")
    # Python's: of bytes that are no UTF-8 it makes something that can be turned back.
    return json.dumps({**kept, **context, "properties": original}).encode()


def _call(event: _Event, told: Mapping[str, Any], is_trusted: bool) -> dict[str, Any]:
    """What kind of call it is, of whom, and what it says."""
    name, person = event.event, as_text(event.distinct_id)
    if name == "$create_alias":
        return {"type": "alias", "previousId": told.get("distinct_id"), "userId": told.get("alias")}
    if name in _NAMING:
        # An id that may have been a browser's so far is linked to the customer that it turns out to be.
        browser = told.get("$anon_distinct_id") or (person if _UUID.fullmatch(person) else None)
        traits = event.set_traits or told.get("$set")
        return {"type": "identify", "userId": person, "anonymousId": browser, "traits": traits}
    who = _who(person, told, is_trusted)
    if name == "$groupidentify":
        return {"type": "group", **who, "groupId": told.get("$group_key"), "traits": told.get("$group_set")}
    said = {key: value for key, value in told.items() if not key.startswith("$")}
    if name == "$pageview":
        return {"type": "page", **who, "name": told.get("title"), "properties": {**said, **_page(told)}}
    if name == "$screen":
        return {"type": "screen", **who, "name": told.get("$screen_name"), "properties": said}
    return {"type": "track", **who, "event": name, "properties": said}


def _who(person: str, told: Mapping[str, Any], is_trusted: bool) -> dict[str, str]:
    is_person = (
        is_trusted and told.get("$process_person_profile") is not False and not _UUID.fullmatch(person)
    )
    return {"userId" if is_person else "anonymousId": person}


def _page(told: Mapping[str, Any]) -> dict[str, Any]:
    return {ours: told[theirs] for theirs, ours in _PAGE.items() if theirs in told}


def _context(told: Mapping[str, Any]) -> dict[str, Any]:
    context: dict[str, Any] = {ours: told[theirs] for theirs, ours in _CONTEXT.items() if theirs in told}
    if "$lib" in told:
        context["library"] = {"name": told["$lib"], "version": told.get("$lib_version")}
    if page := _page(told):
        context["page"] = page
    if "$geoip_country_code" in told:
        context["location"] = {"country": told["$geoip_country_code"]}
    # Ours, in their message: properties are the only place that PostHog's libraries leave to the shop.
    if "$consent" in told:
        context["consent"] = told["$consent"]
    return context
