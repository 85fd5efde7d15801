"""Words of the catalogue in the language of the page.

A catalogue is written in one language. Names of categories, colours and details are few and return on every page, so a shop may
translate them in a `locale` folder, under the context `catalogue`; what has no translation stays as it was written.
"""

from __future__ import annotations

from typing import Final

from django.utils.translation import pgettext

CONTEXT: Final = "catalogue"


def spoken(name: str) -> str:
    """`Tents` as `Zelte` on a German page."""
    return pgettext(CONTEXT, name) if name else ""
