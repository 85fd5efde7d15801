"""What a tag manager needs to load the listeners: our template for Google Tag Manager with a store's address and key in it."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings

TEMPLATE: Final = Path("docs") / "gtm" / "etalage.tpl"
_EXAMPLE: Final = "https://etalage.example"
_NO_KEY: Final = '"defaultValue": "",\n    "help": "The public key'


def gtm_template(*, origin: str, write_key: str) -> str:
    """`docs/gtm/etalage.tpl` for an Etalage at `origin` (`https://host[:port]`).

    Tag Manager injects scripts over https alone, from hosts that the template names beforehand. Raises ValueError for
    an origin without a host.
    """
    host = urlsplit(origin).netloc
    if not host:
        raise ValueError(f"{origin!r} is no address: write it as https://etalage.example.")
    text = (Path(settings.BASE_DIR) / TEMPLATE).read_text(encoding="utf-8")
    before_tests, mark, rest = text.partition("___TESTS___")
    with_host = before_tests.replace(_EXAMPLE, f"https://{host}")
    return with_host.replace(_NO_KEY, _NO_KEY.replace('""', f'"{write_key}"', 1)) + mark + rest
