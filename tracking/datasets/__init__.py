"""Public data sets as stores of their own: readers that turn a file's rows into products, people and messages, and the one
import that takes them in. `READERS` names them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from tracking.datasets.complete_journey import CompleteJourney
from tracking.datasets.olist import Olist
from tracking.datasets.online_retail import OnlineRetail
from tracking.datasets.reader import Dataset

READERS: Final[dict[str, Callable[[Path | None], Dataset]]] = {
    "online_retail": OnlineRetail.open,
    "complete_journey": CompleteJourney.open,
    "olist": Olist.open,
}
