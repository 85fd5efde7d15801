from __future__ import annotations


class StorableConverter:
    """A part of a path that can be an id of ours: anything but a slash and NUL, which PostgreSQL refuses to compare with."""

    regex = r"[^/\x00]+"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value
