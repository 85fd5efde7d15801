"""What a live version has learned since it was trained: visits that ended later, kept beside its arrays and joined to them when it is read.

`tail.npz` stands in the version's folder, outside the hashes, in the version's own item numbers. It is made anew from the log every few
minutes (`training/catching_up.py`), so losing it loses nothing. Strategies that learn by a full training only do not know it.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import structlog
from numpy.typing import NDArray

from algorithms import erasure
from algorithms.erasure import LOG_COLUMNS
from algorithms.types import Bool, Int64, Strategy, TrainingData
from recommendations.model_store.sessions import SessionFiles, UInt64

log = structlog.get_logger(__name__)

FILE_NAME = "tail.npz"


@dataclass(frozen=True)
class Tail:
    """`data` holds whole visits, numbered from 0; `replaces` are visits of the version that had not ended when it was trained."""

    data: TrainingData
    owners: UInt64  # (n_sessions,) `owner_hash` of each visit; 0 = nobody
    replaces: Int64  # (r,) session numbers of the version

    def without(self, hashes: Collection[int]) -> Tail:
        """Without the visits of these people, which stay as empty sessions."""
        theirs = np.isin(self.owners, np.array(list(hashes), np.uint64))
        if not theirs.any():
            return self
        return replace(
            self,
            data=self.data.without_sessions(theirs),
            owners=np.where(theirs, np.uint64(0), self.owners),
        )

    def tells_the_same(self, other: Tail) -> bool:
        """Whether nothing would be gained by writing `other` in this one's place; the moment of reading says nothing."""
        columns = [(getattr(self.data, name), getattr(other.data, name)) for name in LOG_COLUMNS]
        return all(
            np.array_equal(mine, theirs)
            for mine, theirs in [*columns, (self.owners, other.owners), (self.replaces, other.replaces)]
        )

    def count(self, hashes: Collection[int]) -> int:
        return int(np.isin(self.owners, np.array(list(hashes), np.uint64)).sum())


def write(folder: Path, tail: Tail) -> None:
    """Whole or not at all."""
    data = tail.data
    columns: dict[str, NDArray[np.generic]] = {name: getattr(data, name) for name in LOG_COLUMNS}
    partial = folder / f".{FILE_NAME}.partial"
    with partial.open("wb") as file:
        np.savez(
            file,
            owners=tail.owners,
            replaces=tail.replaces,
            size=np.array([data.n_users, data.n_items]),
            now=np.array([data.now]),
            **columns,  # type: ignore[arg-type]  # the stub takes keywords for `allow_pickle` alone
        )
        file.flush()
        os.fsync(file.fileno())
    partial.rename(folder / FILE_NAME)


def read(folder: Path) -> Tail | None:
    """None where the version has learned nothing since, or where what it learned cannot be read: it will be written anew."""
    path = folder / FILE_NAME
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            n_users, n_items = stored["size"].tolist()
            columns = {name: stored[name] for name in LOG_COLUMNS}
            data = TrainingData(**columns, n_users=n_users, n_items=n_items, now=float(stored["now"][0]))
            return Tail(data, stored["owners"], stored["replaces"])
    except (OSError, EOFError, ValueError, KeyError, BadZipFile, zlib.error) as error:
        log.warning("model.tail_unreadable", path=str(path), reason=str(error))
        return None


def forget(folder: Path, hashes: Collection[int]) -> int:
    """Take these people's visits out; gives how many. Callers hold the folder's lock (`SessionFiles.locked`)."""
    tail = read(folder)
    if tail is None:
        # Nobody can be taken out of a file that cannot be read.
        (folder / FILE_NAME).unlink(missing_ok=True)
        return 0
    buried = tail.count(hashes)
    if buried:
        write(folder, tail.without(hashes))
    return buried


def without_superseded(
    strategies: Mapping[str, Strategy], tail: Tail, forgotten: Bool, files: SessionFiles
) -> dict[str, Strategy]:
    """Strategies as trained, without the forgotten sessions, and without those that the tail replaces where it will be appended.

    `forgotten` (n_sessions,) are tombstones.
    """
    data = files.data()
    superseded = forgotten.copy()
    superseded[tail.replaces] = True
    return {
        name: erasure.forget(strategy, superseded if strategy.can_append else forgotten, data)
        for name, strategy in strategies.items()
    }


def joined(strategies: Mapping[str, Strategy], tail: Tail) -> dict[str, Strategy]:
    """With what came later, where they can learn it session by session: what a training of today would give."""
    return {
        name: strategy.append_sessions(tail.data) if strategy.can_append else strategy
        for name, strategy in strategies.items()
    }
