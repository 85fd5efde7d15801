"""How deep objects and lists stand in each other: what walks them takes a piece of the stack for each level, and a few
kilobytes of brackets would use it up.

Both questions are answered without going down into anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

MAX_DEPTH: Final = 64
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_ONE_KIND: Final = bytes.maketrans(b"[]", b"{}")
_NO_BRACKETS: Final = bytes(sorted(set(range(256)) - set(b"[]{}")))


def is_json_too_deep(raw: bytes) -> bool:
    """Of valid JSON. What has not more brackets than it may have levels, as nearly every event, costs two counts."""
    if raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH:
        return False
    brackets = _STRING.sub(b"", raw).translate(_ONE_KIND, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        # The innermost ones of all branches: one level less.
        brackets = brackets.replace(b"{}", b"")
    return bool(brackets)


def is_too_deep(value: Any) -> bool:
    """Of Python values: whether more than MAX_DEPTH objects and lists stand in each other."""
    return len(list(zip(range(MAX_DEPTH + 1), _levels(value), strict=False))) > MAX_DEPTH


def texts_in(value: Any) -> Iterator[str]:
    """Every text in it, names of fields included."""
    if isinstance(value, str):
        yield value
    for level in _levels(value):
        for holder in level:
            for inner in (*holder, *holder.values()) if isinstance(holder, dict) else holder:
                if isinstance(inner, str):
                    yield inner


def _levels(value: Any) -> Iterator[list[Any]]:
    """The objects and lists of each level, from the outermost."""
    level = [value] if isinstance(value, dict | list) else []
    while level:
        yield level
        level = [
            inner
            for holder in level
            for inner in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(inner, dict | list)
        ]
