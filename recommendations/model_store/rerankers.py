"""Learned rerankers in a version's folder, for shelves that may repeat what was seen ("all") and for those that do not ("unseen")."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import structlog

from algorithms.evaluation import MODES, Mode
from algorithms.learned_reranker import LearnedReranker
from recommendations.model_store.manifest import StrategyEntry

log = structlog.get_logger(__name__)

FOLDER = "rerankers"


def write(folder: Path, rerankers: Mapping[Mode, LearnedReranker]) -> dict[str, StrategyEntry]:
    """The manifest's entries."""
    entries: dict[str, StrategyEntry] = {}
    for mode, reranker in rerankers.items():
        arrays = reranker.arrays()
        (folder / FOLDER / mode).mkdir(parents=True)
        for name, values in arrays.items():
            np.save(folder / FOLDER / mode / f"{name}.npy", values, allow_pickle=False)
        entries[mode] = StrategyEntry(reranker.parameters(), tuple(arrays))
    return entries


def read(folder: Path, entries: Mapping[str, StrategyEntry]) -> dict[Mode, LearnedReranker]:
    """Mapped into memory. One that this release cannot use is passed over: shelves are then as the blend has them.

    Raises OSError for a missing file.
    """
    rerankers: dict[Mode, LearnedReranker] = {}
    for mode in MODES:
        if (entry := entries.get(mode)) is None:
            continue
        arrays = {
            name: np.asarray(
                np.load(folder / FOLDER / mode / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            )
            for name in entry.arrays
        }
        try:
            rerankers[mode] = LearnedReranker.from_arrays(arrays, entry.parameters)
        except ValueError as reason:
            log.warning("model.reranker_not_used", folder=str(folder), mode=mode, reason=str(reason))
    return rerankers
