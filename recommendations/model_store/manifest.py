"""`model.json`: what a version is, how it was made, and what its files must be."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 1
FILE_NAME = "model.json"


class UnreadableModel(RuntimeError):
    """A version's folder is missing, incomplete, altered, or of a format that this release does not read."""


class UnknownFormat(UnreadableModel):
    """Another release wrote it: to that one it is as good as ever."""


class OutOfReach(UnreadableModel):
    """The disk did not give its files this time. They may be whole."""


def unreadable(what: Path, error: Exception) -> UnreadableModel:
    """`error`, met while reading `what`, as what it says of the files."""
    is_missing = isinstance(error, FileNotFoundError | NotADirectoryError)
    kind = OutOfReach if isinstance(error, OSError) and not is_missing else UnreadableModel
    return kind(f"{what} cannot be read: {error}")


@dataclass(frozen=True)
class StrategyEntry:
    """`parameters` is what `Strategy.from_arrays` takes beside the arrays, which are `<strategy>/<array>.npy`."""

    parameters: dict[str, Any]
    arrays: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """`hashes` are SHA-256 of every file but the manifest itself and what erasure rewrites (`erasure/`)."""

    store_id: int
    number: int
    trained_at: float  # Unix seconds
    data_from: float
    data_until: float
    n_items: int
    n_sessions: int
    strategies: dict[str, StrategyEntry]
    metrics: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    user_features: tuple[str, ...] = ()
    hashes: dict[str, str] = field(default_factory=dict)
    rerankers: dict[str, StrategyEntry] = field(default_factory=dict)  # `rerankers/<mode>/<array>.npy`
    revision: int = 0  # how often it was written anew because somebody was erased
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        (folder / FILE_NAME).write_text(json.dumps(asdict(self), indent=1, sort_keys=True))

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Raises UnreadableModel."""
        path = folder / FILE_NAME
        try:
            fields = json.loads(path.read_text())
        except FileNotFoundError:
            raise UnreadableModel(
                f"{path} is missing: the model folder was deleted or never finished."
            ) from None
        except (OSError, ValueError) as error:
            raise unreadable(path, error) from error
        if fields.get("format") != FORMAT:
            raise UnknownFormat(
                f"{path} has format {fields.get('format')!r}, this release reads {FORMAT}: train again."
            )
        entries = {
            part: {
                name: StrategyEntry(entry["parameters"], tuple(entry["arrays"]))
                for name, entry in fields.get(part, {}).items()
            }
            for part in ("strategies", "rerankers")
        }
        return cls(**{**fields, **entries, "user_features": tuple(fields["user_features"])})
