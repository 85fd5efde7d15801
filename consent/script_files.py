"""`/etalage/etalage-consent.js` for the pages of shops elsewhere, and what it brings along."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from accounts.public_files import public_file

_FOLDER: Final = Path(__file__).parent / "static" / "etalage"
# Address below /etalage/ → file. The first is the one that our own pages load for Consent Mode: with a key it brings the banner.
FILES: Final = {
    "etalage-consent.js": "consent-mode.js",
    "consent.css": "consent.css",
    **{
        name: name
        for name in (f"consent/{module}.js" for module in ("form", "keeping", "page", "platforms", "remote"))
    },
}


@require_safe
def script_file(request: HttpRequest, name: str) -> HttpResponse:
    if name not in FILES:
        raise Http404(f"There is no file {name}.")
    return public_file(request, _FOLDER / FILES[name])
