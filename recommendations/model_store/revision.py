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
from recommendations.model_store.sessions import SessionFiles


def revise(folder: Path) -> Path | None:
    """A new folder beside `folder` whose arrays and sessions never knew the forgotten; None where nothing was forgotten.

    The old folder stays until the caller has pointed everybody at the new one. Raises UnreadableModel.
    """
    files = SessionFiles(folder)
    forgotten = files.tombstones()
    if not forgotten.any():
        return None
    stored = model_folder.load(folder)
    data = files.data()
    owners = np.where(forgotten, 0, files.owners()).tolist()
    manifest = replace(stored.manifest, revision=stored.manifest.revision + 1)
    # Session numbers stay what they are, so that owners still fit: a session without rows is an empty one.
    kept = data.without_sessions(forgotten)
    new = model_folder.save(
        manifest, stored.item_ids, stored.strategies, kept, owners, rerankers=stored.rerankers
    )
    with files.locked():
        model_arrivals.copy(folder, new)
        if (tail := model_tail.read(folder)) is not None:
            model_tail.write(new, tail)
        if sets := measuring.read(folder):
            measuring.write(new, sets)
    return new


def remove(folder: Path) -> None:
    """Processes that have mapped its files keep reading them; the space is free when the last one has let go."""
    shutil.rmtree(folder, ignore_errors=True)
