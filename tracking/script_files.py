"""The scripts of data layers that pages of shops load, below `/etalage/`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from accounts.public_files import public_file

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


@require_safe
def script_file(request: HttpRequest, name: str) -> HttpResponse:
    """`/etalage/datalayer.js` and the modules that it loads."""
    if name not in NAMES:
        raise Http404(f"There is no script {name}.")
    return public_file(request, _FOLDER / name)
