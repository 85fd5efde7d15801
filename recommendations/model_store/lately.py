"""How many people met each product of late, counted from the visits that a version keeps: what “this week” may be said of.

People and not deeds, since what is said of a shop's shoppers leaves the system: one person who looks ten times makes nothing popular.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray

from algorithms.types import Int32, Int64
from recommendations.model_store import tail as model_tail
from recommendations.model_store.folder import StoredModel, model_dir, relative_folder
from recommendations.model_store.sessions import SessionFiles, UInt64

WEEK_SECONDS: Final = 7 * 86_400.0
MET: Final = np.dtype([("item", np.int32), ("person", np.uint64), ("unnamed", np.int64)])
Met = NDArray[np.void]
_counted: dict[int, tuple[StoredModel, Int64]] = {}
_lock: Final = Lock()


def people_of_week(model: StoredModel) -> Int64:
    """(n_items,) people who did something with it in the seven days before the model's knowledge ends; who was forgotten does not count.

    Counted once a model: `warm` asks before shoppers do. Empty where the version's visits cannot be read.
    """
    store_id = model.manifest.store_id
    known = _counted.get(store_id)
    if known is not None and known[0] is model:
        return known[1]
    with _lock:
        counts = _count(model)
        _counted[store_id] = model, counts
    return counts


def _count(model: StoredModel) -> Int64:
    manifest = model.manifest
    folder = model_dir() / relative_folder(manifest.store_id, manifest.number, manifest.revision)
    since = model.known_until - WEEK_SECONDS
    n_items = len(model.item_ids)
    try:
        met = np.concatenate([_of_version(folder, since), _of_tail(folder, since)])
    except (OSError, ValueError, KeyError):
        return np.zeros(0, np.int64)
    # A visit of nobody known is somebody's: each counts as a person of its own.
    items = np.unique(met)["item"]
    return np.bincount(items, minlength=n_items)[:n_items]


def _of_version(folder: Path, since: float) -> Met:
    files = SessionFiles(folder)
    data = files.data()
    recent = np.flatnonzero(np.asarray(data.timestamp) > since)
    forgotten = files.tombstones()
    tail = model_tail.read(folder)
    if tail is not None and len(tail.replaces):
        forgotten[tail.replaces] = True
    kept = recent[~forgotten[data.session[recent]]]
    return _met(data.item[kept], data.session[kept], files.owners(), 1)


def _of_tail(folder: Path, since: float) -> Met:
    tail = model_tail.read(folder)
    if tail is None:
        return np.zeros(0, MET)
    recent = tail.data.timestamp > since
    return _met(tail.data.item[recent], tail.data.session[recent], tail.owners, 2)


def _met(items: Int32, sessions: Int32, owners: UInt64, part: int) -> Met:
    """Rows of who met what: people by their name in the version, visits without one by their number there."""
    rows = np.zeros(len(items), MET)
    rows["item"], rows["person"] = items, owners[sessions]
    unnamed = rows["person"] == 0
    rows["unnamed"][unnamed] = 4 * sessions[unnamed].astype(np.int64) + part
    return rows
