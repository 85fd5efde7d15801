"""Writing a version anew without what was forgotten, so that nothing of an erased person is left in its files."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from recommendations.model_store import arrivals as model_arrivals
from recommendations.model_store import folder as model_folder
from recommendations.model_store import measuring
from recommendations.model_store import tail as model_tail
from recommendations.model_store.manifest import unreadable
from recommendations.model_store.sessions import SessionFiles


def revise(folder: Path) -> Path | None:
    """A new folder beside `folder` whose arrays and sessions never knew the forgotten; None where nothing was forgotten.

    The old folder stays until the caller has pointed everybody at the new one. Raises UnreadableModel.
    """
    files = SessionFiles(folder)
    try:
        forgotten = files.tombstones()
        if not forgotten.any():
            return None
        stored = model_folder.load(folder)
        data = files.data()
        owners = np.where(forgotten, 0, files.owners()).tolist()
    except (OSError, ValueError, KeyError) as error:
        raise unreadable(folder, error) from error
    manifest = replace(stored.manifest, revision=stored.manifest.revision + 1)
    # Session numbers stay what they are, so that owners still fit: a session without rows is an empty one.
    kept = data.without_sessions(forgotten)
    new = model_folder.save(
        manifest, stored.item_ids, stored.strategies, kept, owners, rerankers=stored.rerankers
    )
    with files.locked():
        _copy_beside(folder, new)
    return new


def carry_over(old: Path, new: Path) -> None:
    """What happened in `old` while `new` was made of it (`revise`): visits that were buried meanwhile are buried in `new`, and newer
    files beside the trained ones are taken over."""
    files = SessionFiles(old)
    with files.locked():
        buried = files.tombstones()
        has_rows = np.bincount(SessionFiles(new).data().session, minlength=len(buried)) > 0
        SessionFiles(new).bury(buried & has_rows)
        if any(_is_newer(old / name, new / name) for name in (model_tail.FILE_NAME, measuring.FILE_NAME)):
            _copy_beside(old, new)


def _is_newer(path: Path, other: Path) -> bool:
    if not path.exists():
        return False
    return not other.exists() or path.stat().st_mtime_ns > other.stat().st_mtime_ns


def _copy_beside(old: Path, new: Path) -> None:
    model_arrivals.copy(old, new)
    if (tail := model_tail.read(old)) is not None:
        model_tail.write(new, tail)
    measuring.copy(old, new)


def remove(folder: Path) -> None:
    """Processes that have mapped its files keep reading them; the space is free when the last one has let go."""
    shutil.rmtree(folder, ignore_errors=True)
