from __future__ import annotations

import mimetypes
from pathlib import Path

from django.conf import settings
from django.core.exceptions import SuspiciousFileOperation
from django.http import FileResponse, Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.utils._os import safe_join
from django.views.decorators.http import require_safe

PICTURE_TYPES = frozenset({"image/svg+xml", "image/png", "image/jpeg", "image/webp", "image/avif"})


@require_safe
def picture(request: HttpRequest, path: str) -> HttpResponseBase:
    """A product's picture. Its name holds a hash of what it shows, so that browsers may keep it for a year.

    A picture opened by itself runs nothing: the policy forbids it, whatever an SVG holds.
    """
    try:
        file = Path(safe_join(settings.ETALAGE_MEDIA_DIR, path))
    except (SuspiciousFileOperation, ValueError) as error:
        raise Http404("No such picture.") from error
    kind, _ = mimetypes.guess_type(file.name)
    if kind not in PICTURE_TYPES or not file.is_file():
        raise Http404("No such picture.")
    response = FileResponse(file.open("rb"), content_type=kind)
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
