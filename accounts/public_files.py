"""Files of ours that pages of shops load, under short, lasting addresses, on other origins too.

The same files stand below `/static/`, under names with a hash, for pages of this installation.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from mimetypes import guess_type
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response


@lru_cache(maxsize=64)
def _read(path: Path) -> tuple[bytes, str]:
    content = path.read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:16]}"'


def public_file(request: HttpRequest, path: Path) -> HttpResponse:
    """The file, read once a process: kept for an hour by browsers, then asked for by its ETag. Modules need CORS on other origins."""
    content, etag = _read(path)
    kind = "text/javascript" if path.suffix == ".js" else guess_type(path.name)[0]
    response = HttpResponse(
        content,
        content_type=f"{kind}; charset=utf-8",
        headers={"Cache-Control": "public, max-age=3600", "Access-Control-Allow-Origin": "*", "ETag": etag},
    )
    answer: HttpResponse = get_conditional_response(request, etag=etag, response=response)  # type: ignore[assignment]
    return answer
