"""The scripts that pages of shops load, under short, lasting addresses below `/etalage/`, for other origins too.

The same files stand below `/static/`, under names with a hash, for pages of this installation.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import condition, require_safe

_FOLDER: Final = Path(__file__).parent / "static" / "etalage"
# Nothing else of the folder is for pages of shops.
NAMES: Final = frozenset(
    ["datalayer.js"]
    + [
        f"tracking/{name}.js"
        for name in (
            "adobe",
            "consent-signals",
            "debug-panel",
            "google",
            "layers",
            "mapping",
            "push-watch",
            "teller",
            "values",
        )
    ]
)


@lru_cache(maxsize=len(NAMES))
def _read(name: str) -> tuple[bytes, str]:
    source = (_FOLDER / name).read_bytes()
    return source, f'"{hashlib.sha256(source).hexdigest()[:16]}"'


@condition(etag_func=lambda request, name: _read(name)[1] if name in NAMES else None)
@require_safe
def script_file(request: HttpRequest, name: str) -> HttpResponse:
    """`/etalage/datalayer.js` and the modules that it loads. Modules need CORS on other origins."""
    if name not in NAMES:
        raise Http404(f"There is no script {name}.")
    return HttpResponse(
        _read(name)[0],
        content_type="text/javascript; charset=utf-8",
        headers={"Cache-Control": "public, max-age=3600", "Access-Control-Allow-Origin": "*"},
    )
