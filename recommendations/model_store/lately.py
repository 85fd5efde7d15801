"""How often each product was met of late, counted from the visits that a version keeps: what “this week” may be said of."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np

from algorithms.types import Int64
from recommendations.model_store import tail as model_tail
from recommendations.model_store.folder import StoredModel, model_dir, relative_folder
from recommendations.model_store.sessions import SessionFiles

WEEK_SECONDS: Final = 7 * 86_400.0
_counted: dict[int, tuple[StoredModel, Int64]] = {}
_lock: Final = Lock()


def interactions_of_week(model: StoredModel) -> Int64:
    """(n_items,) interactions in the seven days before the model's knowledge ends; people who were erased do not count.

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
        return _of_version(folder, since, n_items) + _of_tail(folder, since, n_items)
    except (OSError, ValueError, KeyError):
        return np.zeros(0, np.int64)


def _of_version(folder: Path, since: float, n_items: int) -> Int64:
    files = SessionFiles(folder)
    data = files.data()
    recent = np.flatnonzero(np.asarray(data.timestamp) > since)
    forgotten = files.tombstones()
    tail = model_tail.read(folder)
    if tail is not None and len(tail.replaces):
        forgotten[tail.replaces] = True
    kept = recent[~forgotten[data.session[recent]]]
    return np.bincount(data.item[kept], minlength=n_items)[:n_items]


def _of_tail(folder: Path, since: float, n_items: int) -> Int64:
    tail = model_tail.read(folder)
    if tail is None:
        return np.zeros(n_items, np.int64)
    return np.bincount(tail.data.item[tail.data.timestamp > since], minlength=n_items)[:n_items]
