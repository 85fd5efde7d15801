"""JSON columns as raw cursors give them: text, since Django asks psycopg to leave it to its fields."""

from __future__ import annotations

from typing import Any

import msgspec


def parsed(text: str | None) -> dict[str, Any]:
    """The object in a JSON column; empty for NULL."""
    return msgspec.json.decode(text, type=dict[str, Any]) if text is not None else {}
