"""Ids that clients send by mistake, and that would make one person of everybody."""

from __future__ import annotations

from typing import Final

# What collectors see in practice when a shop's template or script has no id to give.
FORBIDDEN_IDS: Final = frozenset(
    {
        "",
        "0",
        "-1",
        "00000000-0000-0000-0000-000000000000",
        "[object object]",
        "anonymous",
        "distinct_id",
        "distinctid",
        "email",
        "false",
        "guest",
        "id",
        "n/a",
        "na",
        "nan",
        "nil",
        "none",
        "not_authenticated",
        "null",
        "nul",
        "true",
        "undefined",
        "unknown",
        "user_id",
        "userid",
        "visitor",
    }
)
MAX_ID_LENGTH: Final = 200


def is_forbidden_id(value: str) -> bool:
    """Whether an id names nobody in particular: empty, `null`, `undefined`, `guest`, `0`, …, or too long to be stored."""
    cleaned = value.strip().strip("\"'").casefold()
    return cleaned in FORBIDDEN_IDS or len(value) > MAX_ID_LENGTH or "\0" in value
