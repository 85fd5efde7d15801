"""What trained versions leave on disk: a few to go back to, and nothing that no row knows."""

from __future__ import annotations

from pathlib import Path
from time import time
from typing import Final

import structlog

from recommendations.model_store import folder as model_folder
from recommendations.model_store.revision import remove
from recommendations.models import ModelVersion

log = structlog.get_logger(__name__)

KEPT_PUBLISHED: Final = 5
"""Versions that were live, the live one included: so far one can go back."""
KEPT_UNPUBLISHED: Final = 3
"""Candidates and refused ones: so long a person can still publish them."""
ORPHAN_SECONDS: Final = 3600.0
"""A folder that no row names after so long is left from a killed process; an erasure would not find it."""


def versions_prune(*, store_id: int) -> list[Path]:
    """Remove the folders of old versions and those that nobody knows; gives them. Rows stay, with their figures.

    Call while holding the store's training lock.
    """
    rows = ModelVersion.objects.for_store(store_id).order_by("-number")
    published = rows.exclude(published_at=None).order_by("-published_at")[:KEPT_PUBLISHED]
    unpublished = rows.filter(published_at=None)[:KEPT_UNPUBLISHED]
    live = rows.filter(state=ModelVersion.State.LIVE)
    kept = {Path(version.folder).name for version in (*published, *unpublished, *live)}
    known = {Path(folder).name for folder in rows.values_list("folder", flat=True)}
    removed = [path for path in _folders(store_id) if _is_superfluous(path, kept, known)]
    for path in removed:
        remove(path)
    if removed:
        log.info("model.pruned", store=store_id, folders=[path.name for path in removed])
    return removed


def _folders(store_id: int) -> list[Path]:
    home = model_folder.model_dir() / str(store_id)
    return sorted(path for path in home.iterdir() if path.is_dir()) if home.is_dir() else []


def _is_superfluous(path: Path, kept: set[str], known: set[str]) -> bool:
    if path.name in kept:
        return False
    return path.name in known or time() - path.stat().st_mtime > ORPHAN_SECONDS
