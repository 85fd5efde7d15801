"""The training sessions that a version keeps, whose they were, and which have been forgotten.

`sessions/` holds the log in index space and never changes. `erasure/` stands outside the hashes: `owners.npy` has a keyed hash
of each session's person (0 once erased), `tombstones.npy` is true for sessions that must not count any more.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from algorithms.erasure import LOG_COLUMNS, log_arrays, log_from_arrays, log_parameters
from algorithms.types import Array, Bool, TrainingData

UInt64 = NDArray[np.uint64]


def owner_hash(store_id: int, kind: str, primary_key: int) -> int:
    """A person in `owners.npy`: 63 bits of a keyed hash of `c` (customer) or `v` (visitor) and its primary key; never 0."""
    message = f"{store_id}:{kind}:{primary_key}".encode()
    digest = hmac.new(settings.ETALAGE_SUPPRESSION_KEY.encode(), message, hashlib.sha256).digest()
    return int.from_bytes(digest[:8], "big") >> 1 | 1


@dataclass(frozen=True)
class SessionFiles:
    folder: Path

    def write(self, data: TrainingData, owners: Sequence[int]) -> None:
        """`owners` has an `owner_hash` per session. Raises ValueError for another length."""
        if len(owners) < data.n_sessions:
            raise ValueError(f"{len(owners)} owners for {data.n_sessions} sessions: give one each")
        sessions = self.folder / "sessions"
        sessions.mkdir()
        for name, values in log_arrays(data).items():
            np.save(sessions / f"{name}.npy", values)
        (sessions / "log.json").write_text(json.dumps(log_parameters(data)))
        erasure = self.folder / "erasure"
        erasure.mkdir()
        np.save(erasure / "owners.npy", np.array(owners, np.uint64))
        np.save(erasure / "tombstones.npy", np.zeros(len(owners), np.bool_))

    def tombstones(self) -> Bool:
        """(n_sessions,) a copy."""
        return np.asarray(np.load(self.folder / "erasure" / "tombstones.npy"))

    def owners(self) -> UInt64:
        """(n_sessions,) a copy; 0 = nobody, or erased."""
        return np.asarray(np.load(self.folder / "erasure" / "owners.npy"))

    def data(self) -> TrainingData:
        """Memory-mapped; forgotten sessions included."""
        sessions = self.folder / "sessions"
        arrays = {name: np.load(sessions / f"{name}.npy", mmap_mode="r") for name in LOG_COLUMNS}
        return log_from_arrays(arrays, json.loads((sessions / "log.json").read_text()))

    def forget(self, hashes: Collection[int]) -> int:
        """Bury the sessions of these people; gives how many were buried now. Harmless to repeat."""
        erasure = self.folder / "erasure"
        with self.locked():
            owners = np.load(erasure / "owners.npy")
            theirs = np.isin(owners, np.array(list(hashes), np.uint64))
            if not theirs.any():
                return 0
            buried = np.load(erasure / "tombstones.npy") | theirs
            owners[theirs] = 0
            # The bitmap first: were the process killed between the two, the sessions are buried and can be found again.
            _replace(erasure / "tombstones.npy", buried)
            _replace(erasure / "owners.npy", owners)
            return int(theirs.sum())

    def bury(self, sessions: Bool) -> None:
        """Bury sessions by number, whoever's they are. `sessions`: (n_sessions,)."""
        if not sessions.any():
            return
        with self.locked():
            _replace(self.folder / "erasure" / "tombstones.npy", self.tombstones() | sessions)
            _replace(self.folder / "erasure" / "owners.npy", np.where(sessions, np.uint64(0), self.owners()))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Two that take people out of a version at once must not undo each other."""
        with (self.folder / "erasure" / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _replace(path: Path, values: Array) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.save(file, values)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
