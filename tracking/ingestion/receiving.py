"""The body of a request: whole, with a length or in chunks, and never more than may be sent at once."""

from __future__ import annotations

import time
from typing import IO, Any, Final

from django.http import HttpRequest, UnreadablePostError

from tracking.ingestion.decoding import RefusedRequest, too_large
from tracking.ingestion.limits import MAX_BODY_BYTES

_PIECE_BYTES: Final = 64 * 1024
# A client that is still writing when it is refused sees a broken connection, not the refusal, and sends it all again.
# So what is refused is read to its end, up to here.
_DISCARDED_BYTES: Final = 8 * MAX_BODY_BYTES
_DISCARDING_SECONDS: Final = 10.0


def read_body(request: HttpRequest) -> bytes:
    """Raises RefusedRequest: 408 where the body ends early, 411 where its length cannot be told, 413 past
    MAX_BODY_BYTES (as it was sent, before it is unpacked)."""
    announced = _announced_length(request)
    stream = _stream_of(request, announced)
    try:
        body = (
            b"" if announced is not None and announced > MAX_BODY_BYTES else _read(stream, MAX_BODY_BYTES + 1)
        )
        if len(body) > MAX_BODY_BYTES or (announced or 0) > MAX_BODY_BYTES:
            _discard(stream)
            raise too_large()
    except (UnreadablePostError, OSError) as error:
        raise _incomplete() from error
    if announced is not None and len(body) < announced:
        raise _incomplete()
    return body


def _announced_length(request: HttpRequest) -> int | None:
    try:
        return int(request.META.get("CONTENT_LENGTH") or "")
    except ValueError:
        return None


def _stream_of(request: HttpRequest, announced: int | None) -> IO[bytes] | HttpRequest:
    """Not `request.body`: Django answers what is beyond its own limit with an error page. And to Django a body
    without an announced length is empty, so one in chunks is read from the server itself."""
    if announced is not None or "HTTP_TRANSFER_ENCODING" not in request.META:
        return request
    if not request.META.get("wsgi.input_terminated"):
        raise RefusedRequest(411, "length_required", "This server needs a Content-Length.")
    stream: IO[bytes] = request.META["wsgi.input"]
    return stream


def _read(stream: Any, size: int) -> bytes:
    """Up to `size` bytes: a read may give less than there is to come."""
    first: bytes = stream.read(size)
    pieces, length = [first], len(first)
    while pieces[-1] and length < size:
        pieces.append(stream.read(size - length))
        length += len(pieces[-1])
    return b"".join(pieces)


def _discard(stream: Any) -> None:
    until, length = time.monotonic() + _DISCARDING_SECONDS, 0
    while length < _DISCARDED_BYTES and time.monotonic() < until and (piece := stream.read(_PIECE_BYTES)):
        length += len(piece)


def _incomplete() -> RefusedRequest:
    return RefusedRequest(408, "incomplete_body", "The body ended before its announced length.")
