"""What sort of source a key is. Apps above, such as the simulator, tell theirs in `AppConfig.ready()`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from accounts.models import ApiKey
from tracking.datasets import READERS


@dataclass(frozen=True)
class SourceKind:
    name: str
    label: str


SERVER: Final = SourceKind("server", "Shop's server")
BROWSER: Final = SourceKind("browser", "Browsers")
FILE: Final = SourceKind("file", "Imported files")
DATASET: Final = SourceKind("dataset", "Public data set")
UNKNOWN: Final = SourceKind("unknown", "Key that is gone")

_kinds: list[tuple[SourceKind, Callable[[ApiKey], bool]]] = []


def register_kind(kind: SourceKind, matches: Callable[[ApiKey], bool]) -> None:
    """Keys that `matches` are of this kind, whatever else they look like. Registering a name again replaces it."""
    _kinds[:] = [(known, check) for known, check in _kinds if known.name != kind.name]
    _kinds.append((kind, matches))


def kind_of(key: ApiKey | None, *, has_imports: bool) -> SourceKind:
    if key is None:
        return UNKNOWN
    for kind, matches in _kinds:
        if matches(key):
            return kind
    if has_imports:
        return FILE
    if key.name.removeprefix("Import of ") in READERS:
        return DATASET
    return SERVER if key.is_secret else BROWSER
