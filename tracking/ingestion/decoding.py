"""From a request's bytes to the raw bytes of each event in it.

Events are split without being read, so that one that cannot be read leaves its neighbours alone and can be
kept byte for byte.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sized
from typing import Any, Final

import msgspec

from tracking.ingestion.limits import MAX_BODY_BYTES, MAX_EVENTS_PER_BATCH

_GZIP_MAGIC: Final = b"\x1f\x8b"
_WHITESPACE: Final = " \t\r\n"


class RefusedRequest(Exception):
    """The request as a whole cannot be taken. `status` is the HTTP status, `code` the word for programs."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class Batch(msgspec.Struct):
    """`events` are raw JSON values; what else a batch says counts for those of its events that do not say it
    themselves."""

    events: list[msgspec.Raw] = msgspec.field(name="batch")
    sent_at: Any = msgspec.field(name="sentAt", default=None)
    write_key: Any = msgspec.field(name="writeKey", default=None)
    context: Any = None


class Envelope(msgspec.Struct):
    """What a single message says about its request."""

    write_key: Any = msgspec.field(name="writeKey", default=None)


_decode_batch: Final = msgspec.json.Decoder(Batch).decode
_decode_envelope: Final = msgspec.json.Decoder(Envelope).decode


def inflate(body: bytes) -> bytes:
    """The body, unpacked where it is gzip, whatever the headers say: proxies and beacons lose them.

    Raises RefusedRequest: 413 past MAX_BODY_BYTES (nothing is unpacked beyond), 400 for a broken stream.
    """
    if not body.startswith(_GZIP_MAGIC):
        return body
    unpack = zlib.decompressobj(wbits=31)
    try:
        plain = unpack.decompress(body, MAX_BODY_BYTES + 1)
    except zlib.error as error:
        raise RefusedRequest(400, "invalid_gzip", f"The body is not valid gzip: {error}.") from error
    if len(plain) > MAX_BODY_BYTES:
        raise too_large()
    if not unpack.eof:
        raise RefusedRequest(400, "invalid_gzip", "The gzip stream ends too early.")
    return plain


def too_large() -> RefusedRequest:
    return RefusedRequest(
        413,
        "too_large",
        f"A request may hold {MAX_BODY_BYTES // 1024**2} MiB, also when unpacked. Send smaller batches.",
    )


def read_batch(body: bytes) -> Batch:
    """Raises RefusedRequest: 400 for what is not a batch of JSON, 413 for too many events."""
    try:
        batch = _decode_batch(body)
    except msgspec.ValidationError as error:
        raise RefusedRequest(
            400, "invalid_batch", f'A batch is {{"batch": [message, …]}}: {error}.'
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        batch = _read_leniently(body, error)
    check_length(batch.events)
    return batch


def check_length(events: Sized) -> None:
    """Raises RefusedRequest (413) for more events than a request may hold."""
    if len(events) > MAX_EVENTS_PER_BATCH:
        raise RefusedRequest(
            413,
            "too_many_events",
            f"A batch may hold {MAX_EVENTS_PER_BATCH:,} events; this one has {len(events):,}.",
        )


def read_single(body: bytes) -> Batch:
    """A body that is one message. Raises RefusedRequest (400) for what is not a JSON object."""
    try:
        envelope = _decode_envelope(body)
    except msgspec.ValidationError as error:
        raise RefusedRequest(400, "invalid_message", f"A message is a JSON object: {error}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        fields = _lenient_object(body, error)
        return Batch([msgspec.Raw(body)], write_key=fields.get("writeKey"))
    return Batch([msgspec.Raw(body)], write_key=envelope.write_key)


def _read_leniently(body: bytes, cause: Exception) -> Batch:
    """A batch with an event that our parser refuses to pass over, such as one with half of a surrogate pair
    in it.

    Python's own parser takes those: the faulty event can be told from its neighbours.
    """
    fields = _lenient_object(body, cause)
    events = fields.get("batch")
    if not isinstance(events, list):
        raise RefusedRequest(400, "invalid_batch", 'A batch is {"batch": [message, …]}.') from cause
    raw = [msgspec.Raw(piece) for piece in _array_elements(_as_text(body), "batch")]
    return Batch(raw, fields.get("sentAt"), fields.get("writeKey"), fields.get("context"))


def _lenient_object(body: bytes, cause: Exception) -> dict[str, Any]:
    try:
        fields = json.loads(_as_text(body))
    except (ValueError, RecursionError):
        raise RefusedRequest(400, "invalid_json", f"The body is not readable JSON: {cause}.") from cause
    if not isinstance(fields, dict):
        raise RefusedRequest(400, "invalid_json", "The body must be a JSON object.") from cause
    return fields


def _as_text(body: bytes) -> str:
    return body.decode("utf-8", "surrogateescape").lstrip("\ufeff")


def _array_elements(text: str, key: str) -> Iterator[bytes]:
    """The exact bytes of each element of the array under `key` of the object that `text` is known to be."""
    decoder = json.JSONDecoder()
    position = _skip(text, 0, "{")
    while text[position] != "}":
        name, position = decoder.raw_decode(text, position)
        position = _skip(text, position, ":")
        if name == key and text[position] == "[":
            position = _skip(text, position, "[")
            while text[position] != "]":
                start = position
                _, position = decoder.raw_decode(text, position)
                yield text[start:position].encode("utf-8", "surrogateescape")
                position = _skip(text, position, ",")
            return
        _, position = decoder.raw_decode(text, position)
        position = _skip(text, position, ",")


def _skip(text: str, position: int, mark: str) -> int:
    """The position behind white space, an optional `mark`, and white space again."""
    while text[position] in _WHITESPACE:
        position += 1
    if text[position] == mark:
        position += 1
    while text[position] in _WHITESPACE:
        position += 1
    return position
