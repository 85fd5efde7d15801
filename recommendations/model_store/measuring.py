"""What a training keeps so that any weights can be measured in seconds: the opinions of every strategy, trained on the past only,
on choices that shoppers made afterwards.

`measuring.npz` in the version's folder, outside the hashes, since an erasure takes people's cases out. Of each case only each
strategy's best products are kept, and those that were chosen. Nobody's history is in it.
"""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal
from zipfile import BadZipFile

import numpy as np
import structlog
from numpy.typing import NDArray

from algorithms.blend import CALIBRATED, Method, normalise
from algorithms.types import Array, Float32, Int32, Int64
from recommendations.model_store.sessions import UInt64

log = structlog.get_logger(__name__)

FILE_NAME = "measuring.npz"
Page = Literal["shopper", "product", "about"]
"""Asked with the shopper's history; with that and the product they looked at last; with that product alone."""
PAGES: tuple[Page, ...] = ("shopper", "product", "about")


@dataclass(frozen=True)
class MeasuringSet:
    """n cases with all their candidates, one after the other: case c has rows `offsets[c]:offsets[c + 1]`."""

    names: tuple[str, ...]
    items: Int32  # (rows,)
    scores: NDArray[np.float16]  # (strategies, rows), each strategy's best of the case counting 1
    spread: Float32  # (strategies, n): the best over one standard deviation of all scores
    offsets: Int64  # (n + 1,)
    targets: Int32  # what was chosen: case c chose targets[target_offsets[c]:target_offsets[c + 1]]
    target_offsets: Int64  # (n + 1,)
    known: Int32  # (n,) interactions that were known of the shopper
    owners: UInt64  # (n,) `owner_hash`; 0 = nobody
    stretch: Int32  # (n,) which of a few equally long stretches of time the case lies in, oldest 0

    def __len__(self) -> int:
        return len(self.known)

    def scaled(self, case: int, method: Method) -> Float32:
        """(strategies, candidates): opinions as the blend weighs them. Ranks are those among the candidates."""
        rows = self.scores[:, self.offsets[case] : self.offsets[case + 1]].astype(np.float32)
        if method == "max":
            return rows
        if method == "rrf":
            return normalise(rows, "rrf")
        calibrated = np.array([name in CALIBRATED for name in self.names])
        return np.where(calibrated[:, None], rows, rows * self.spread[:, case, None])

    def chosen(self, case: int) -> Int32:
        return self.targets[self.target_offsets[case] : self.target_offsets[case + 1]]

    def without(self, hashes: Collection[int]) -> MeasuringSet:
        """Without the cases of these people."""
        kept = ~np.isin(self.owners, np.array(list(hashes), np.uint64))
        if kept.all():
            return self
        rows = np.repeat(kept, np.diff(self.offsets))
        chosen = np.repeat(kept, np.diff(self.target_offsets))
        return replace(
            self,
            items=self.items[rows],
            scores=self.scores[:, rows],
            spread=self.spread[:, kept],
            offsets=_offsets(np.diff(self.offsets)[kept]),
            targets=self.targets[chosen],
            target_offsets=_offsets(np.diff(self.target_offsets)[kept]),
            known=self.known[kept],
            owners=self.owners[kept],
            stretch=self.stretch[kept],
        )


def _offsets(lengths: Int64) -> Int64:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def write(folder: Path, sets: Mapping[Page, MeasuringSet]) -> None:
    """Whole or not at all."""
    arrays: dict[str, Array] = {}
    for page, cases in sets.items():
        for field in fields(cases):
            arrays[f"{page}.{field.name}"] = np.asarray(getattr(cases, field.name))
    partial = folder / f".{FILE_NAME}.partial"
    with partial.open("wb") as file:
        # Not compressed: it would be half the size, and take twenty times as long whenever somebody is erased.
        np.savez(file, **arrays)  # type: ignore[arg-type]  # the stub takes keywords for `allow_pickle` alone
        file.flush()
        os.fsync(file.fileno())
    partial.rename(folder / FILE_NAME)


def read(folder: Path) -> dict[Page, MeasuringSet]:
    """Empty where the version was trained without test cases, or where the file cannot be read."""
    path = folder / FILE_NAME
    if not path.exists():
        return {}
    try:
        # Opened here: numpy leaves a file open that turns out to be none of its own.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {page: _read(stored, page) for page in PAGES if f"{page}.known" in stored}
    except (OSError, EOFError, ValueError, KeyError, BadZipFile, zlib.error) as error:
        log.warning("model.measuring_unreadable", path=str(path), reason=str(error))
        return {}


def _read(stored: Mapping[str, Array], page: Page) -> MeasuringSet:
    names = [field.name for field in fields(MeasuringSet)]
    arrays = {name: stored[f"{page}.{name}"] for name in names if f"{page}.{name}" in stored}
    if "stretch" not in arrays:  # a version of before these were kept
        arrays["stretch"] = np.zeros(len(arrays["known"]), np.int32)
    return MeasuringSet(**{**arrays, "names": tuple(arrays["names"].tolist())})  # type: ignore[arg-type]


def forget(folder: Path, hashes: Collection[int]) -> int:
    """Take these people's cases out; gives how many. Callers hold the folder's lock (`SessionFiles.locked`)."""
    if not _knows(folder, hashes):
        return 0
    sets = read(folder)
    if not sets:
        # Nobody can be taken out of a file that cannot be read.
        (folder / FILE_NAME).unlink(missing_ok=True)
        return 0
    fewer = {page: cases.without(hashes) for page, cases in sets.items()}
    gone = sum(len(cases) - len(fewer[page]) for page, cases in sets.items())
    if gone:
        write(folder, fewer)
    return gone


def _knows(folder: Path, hashes: Collection[int]) -> bool:
    """Whether a case of these people may be in the file: most people have none, and whose they are is read without all the rest."""
    path = folder / FILE_NAME
    if not path.exists():
        return False
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            owners = [stored[f"{page}.owners"] for page in PAGES if f"{page}.owners" in stored]
    except (OSError, EOFError, ValueError, KeyError, BadZipFile, zlib.error):
        return True
    return not owners or bool(np.isin(np.concatenate(owners), np.array(list(hashes), np.uint64)).any())


def copy(old: Path, new: Path) -> None:
    """Take the file over into another folder, whole or not at all."""
    if not (old / FILE_NAME).exists():
        return
    partial = new / f".{FILE_NAME}.partial"
    shutil.copyfile(old / FILE_NAME, partial)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.rename(new / FILE_NAME)
