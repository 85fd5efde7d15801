from __future__ import annotations

from typing import Final

from django.http import HttpResponse

from consent.models import RequestPaper

_SUFFIXES: Final = {"application/pdf": "pdf", "image/png": "png", "image/jpeg": "jpg"}


def as_download(paper: RequestPaper) -> HttpResponse:
    """Never shown in the browser: somebody else made it."""
    told = paper.private
    response = HttpResponse(paper.file, content_type=told["content_type"])
    suffix = _SUFFIXES.get(told["content_type"], "txt")
    response["Content-Disposition"] = f'attachment; filename="paper-{str(paper.public_id)[:8]}.{suffix}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-store"
    return response
