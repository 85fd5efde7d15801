"""What the readers of all formats give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class UnreadableFile(ValueError):
    """The file as a whole cannot be read. Says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Record:
    """One line, row or object of a file. `where` is how people find it: "line 17", "row 3".

    `values` by column, or the bytes of a message of the tracking contract. What could not be read has a `fault` and its
    `text`; `values` then hold what could be told of it.
    """

    where: str
    values: Mapping[str, Any] | bytes
    fault: str = ""
    text: str = ""
