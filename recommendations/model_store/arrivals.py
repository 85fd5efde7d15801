"""Products that came after a version was trained, in the version's own terms: by them it knows a product a minute after its import.

`item_features.json` says what the columns of the version's feature matrix mean. `arrivals.npz` holds what each strategy that can add items
(`Strategy.with_items`) made of the later products, worked out once by the worker (`training/arrivals.py`) and read by every web process.
Both stand outside the hashes. Later products are numbered after those of the training, in the order in which they were first described: a
number is never given to another product, so that visits in `tail.npz` may speak of them.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import structlog

from algorithms.types import Array

log = structlog.get_logger(__name__)

FILE_NAME = "arrivals.npz"
SPACE_FILE_NAME = "item_features.json"


@dataclass(frozen=True)
class Arrivals:
    """`described` by strategy is what `with_items` takes. `state` is what the catalogue looked like: another means that more came."""

    item_ids: tuple[str, ...]
    described: Mapping[str, Mapping[str, Array]]
    state: tuple[int, float]  # how many products, when the newest was created (Unix seconds)


NONE = Arrivals((), {}, (0, 0.0))


def write(folder: Path, arrivals: Arrivals) -> None:
    """Whole or not at all."""
    arrays: dict[str, Array] = {
        f"{strategy}/{name}": values
        for strategy, described in arrivals.described.items()
        for name, values in described.items()
    }
    encoded = "\n".join(arrivals.item_ids).encode()
    partial = folder / f".{FILE_NAME}.partial"
    with partial.open("wb") as file:
        np.savez(
            file,
            item_ids=np.frombuffer(encoded, np.uint8),
            count=np.array([arrivals.state[0]]),
            newest=np.array([arrivals.state[1]]),
            **arrays,  # type: ignore[arg-type]  # the stub takes keywords for `allow_pickle` alone
        )
        file.flush()
        os.fsync(file.fileno())
    partial.rename(folder / FILE_NAME)


def read(folder: Path) -> Arrivals:
    """None of them where there is no such file, or where it cannot be read: it will be written anew."""
    path = folder / FILE_NAME
    if not path.exists():
        return NONE
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            ids = stored["item_ids"].tobytes().decode()
            described: dict[str, dict[str, Array]] = {}
            for key in stored.files:
                strategy, _, name = key.partition("/")
                if name:
                    described.setdefault(strategy, {})[name] = stored[key]
            state = int(stored["count"][0]), float(stored["newest"][0])
            return Arrivals(tuple(ids.split("\n")) if ids else (), described, state)
    except (OSError, EOFError, ValueError, KeyError, BadZipFile, zlib.error) as error:
        log.warning("model.arrivals_unreadable", path=str(path), reason=str(error))
        return NONE


def written_at(folder: Path) -> float:
    """Unix seconds; 0 where there are none. A process that read another file knows by this that there is more."""
    try:
        return (folder / FILE_NAME).stat().st_mtime
    except OSError:
        return 0.0


def write_space(folder: Path, names: Sequence[str], price_bounds: Mapping[str, Sequence[float]]) -> None:
    fields = {"names": list(names), "price_bounds": {main: list(own) for main, own in price_bounds.items()}}
    (folder / SPACE_FILE_NAME).write_text(json.dumps(fields))


def read_space(folder: Path) -> tuple[tuple[str, ...], dict[str, tuple[float, ...]]] | None:
    """Names and price bounds as `training.item_features.FeatureSpace` has them; None in a version of an earlier release."""
    try:
        fields = json.loads((folder / SPACE_FILE_NAME).read_text())
        return tuple(fields["names"]), {main: tuple(own) for main, own in fields["price_bounds"].items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError) as error:
        log.warning("model.item_features_unreadable", path=str(folder), reason=str(error))
        return None


def copy(folder: Path, to: Path) -> None:
    """What a version that is written anew keeps."""
    for name in (SPACE_FILE_NAME, FILE_NAME):
        if (folder / name).exists():
            shutil.copyfile(folder / name, to / name)
