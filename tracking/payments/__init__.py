"""Settlement files of payment providers: readers that turn their rows into payments. `READERS` names the formats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tracking.payments.generic import open_generic
from tracking.payments.olist import open_olist
from tracking.payments.settlement import Opener
from tracking.payments.stripe import open_stripe

READERS: Final[Mapping[str, Opener]] = {
    "stripe": open_stripe,
    "generic": open_generic,
    "olist": open_olist,
}
