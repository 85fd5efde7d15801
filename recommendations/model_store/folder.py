"""A trained version on disk: a folder of `.npy` arrays with a manifest. Written aside and renamed, so that it is whole or absent.

    <model dir>/<store id>/<number>[r<revision>]/
        model.json                      manifest (`manifest.py`)
        item_ids.npy item_offsets.npy   external ids in model order, UTF-8, one after the other
        <strategy>/<array>.npy          what `Strategy.arrays()` gave
        rerankers/<mode>/<array>.npy    corrections of the blend that did better than it (`rerankers.py`)
        sessions/ erasure/              what it was trained on, and what of it was forgotten (`sessions.py`)
        item_features.json arrivals.npz products that came since, described in the version's terms (`arrivals.py`)
        tail.npz                        what came since, for strategies that can append (`tail.py`)
        measuring.npz                   opinions by which weights are measured (`measuring.py`)

No pickles are written or read.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from django.conf import settings

import algorithms
from algorithms import erasure
from algorithms.evaluation import Mode
from algorithms.learned_reranker import LearnedReranker
from algorithms.types import Strategy, TrainingData
from recommendations.model_store import arrivals as model_arrivals
from recommendations.model_store import measuring
from recommendations.model_store import rerankers as model_rerankers
from recommendations.model_store import tail as model_tail
from recommendations.model_store.arrivals import Arrivals
from recommendations.model_store.manifest import Manifest, StrategyEntry, UnreadableModel, unreadable
from recommendations.model_store.sessions import SessionFiles
from recommendations.model_store.tail import Tail

UNHASHED = frozenset({"model.json", "erasure"})


@dataclass(frozen=True)
class StoredModel:
    """A version in memory; large arrays are memory maps. `item_ids` are external ids in model order; those that came after the
    training are last, and only strategies that can add items, or have met them in a visit since, know them: `Strategy.n_items`."""

    manifest: Manifest
    item_ids: tuple[str, ...]
    strategies: Mapping[str, Strategy]
    known_until: (
        float  # Unix seconds; later than the manifest's `data_until` where it has caught up with the log
    )
    rerankers: Mapping[Mode, LearnedReranker] = field(default_factory=dict)

    @property
    def number(self) -> int:
        return self.manifest.number


def model_dir() -> Path:
    return Path(settings.ETALAGE_MODEL_DIR)


def relative_folder(store_id: int, number: int, revision: int = 0) -> str:
    """Relative to the model directory: `3/12`, or `3/12r1` once it was written anew."""
    return f"{store_id}/{number}r{revision}" if revision else f"{store_id}/{number}"


def save(
    manifest: Manifest,
    item_ids: Sequence[str],
    strategies: Mapping[str, Strategy],
    data: TrainingData,
    owners: Sequence[int],
    rerankers: Mapping[Mode, LearnedReranker] | None = None,
) -> Path:
    """Write a version and give its folder. `manifest` comes without strategies and hashes. Raises FileExistsError."""
    final = model_dir() / relative_folder(manifest.store_id, manifest.number, manifest.revision)
    if final.exists():
        raise FileExistsError(f"{final} exists: version numbers are used once.")
    partial = final.with_name(f".{final.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        _write_items(partial, item_ids)
        entries = {name: _write_strategy(partial / name, strategy) for name, strategy in strategies.items()}
        SessionFiles(partial).write(data, owners)
        corrections = model_rerankers.write(partial, rerankers or {})
        replace(manifest, strategies=entries, rerankers=corrections, hashes=_hashes(partial)).write(partial)
        _sync(partial)
        partial.rename(final)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return final


def load(folder: Path, *, verify: bool = True, with_tail: bool = False) -> StoredModel:
    """Raises UnreadableModel. Forgotten sessions are taken out of every strategy before it is given away.

    `with_tail` is for serving: strategies that can also know what came since the training. To be measured, a version is
    read without it.
    """
    manifest = Manifest.read(folder)
    try:
        if verify:
            _verify(folder, manifest)
        strategies = read_strategies(folder, manifest)
        rerankers = model_rerankers.read(folder, manifest.rerankers)
        item_ids = _read_items(folder)
        # In this order: a tail speaks of products that had arrived when it was written.
        tail = model_tail.read(folder) if with_tail else None
        arrived = model_arrivals.read(folder) if with_tail else model_arrivals.NONE
        item_ids += arrived.item_ids
        if tail is not None and tail.data.n_items > len(item_ids):
            tail = None  # it will be written anew
        strategies = _up_to_date(folder, strategies, tail, arrived)
    except (OSError, ValueError, KeyError) as error:
        raise unreadable(folder, error) from error
    known_until = manifest.data_until if tail is None else tail.data.now
    return StoredModel(manifest, item_ids, strategies, known_until, rerankers)


def read_items(folder: Path) -> tuple[Manifest, tuple[str, ...]]:
    """A version's manifest and its external ids in model order, without its arrays. Raises UnreadableModel."""
    manifest = Manifest.read(folder)
    try:
        return manifest, _read_items(folder)
    except (OSError, ValueError) as error:
        raise unreadable(folder, error) from error


def forget(folder: Path, hashes: Sequence[int]) -> int:
    """Bury these people's sessions in a version; gives how many. 0 where the folder is gone."""
    if not (folder / "erasure").exists():
        return 0
    files = SessionFiles(folder)
    with files.locked():
        in_tail = model_tail.forget(folder, hashes)
        measuring.forget(folder, hashes)
    return files.forget(hashes) + in_tail


def count_sessions(folder: Path, hashes: Sequence[int]) -> int:
    """How many sessions of these people a version still knows as theirs. 0 where the folder is gone."""
    if not (folder / "erasure").exists():
        return 0
    tail = model_tail.read(folder)
    trained = int(np.isin(SessionFiles(folder).owners(), np.array(hashes, np.uint64)).sum())
    return trained + (0 if tail is None else tail.count(hashes))


def _up_to_date(
    folder: Path, strategies: dict[str, Strategy], tail: Tail | None, arrived: Arrivals
) -> dict[str, Strategy]:
    """Without what was forgotten, then with the products, then with the visits that came since."""
    files = SessionFiles(folder)
    forgotten = files.tombstones()
    if tail is not None:
        strategies = model_tail.without_superseded(strategies, tail, forgotten, files)
    elif forgotten.any():
        data = files.data()
        strategies = {
            name: erasure.forget(strategy, forgotten, data) for name, strategy in strategies.items()
        }
    strategies = {
        name: strategy.with_items(arrived.described[name])
        if name in arrived.described and strategy.can_add_items
        else strategy
        for name, strategy in strategies.items()
    }
    return strategies if tail is None else model_tail.joined(strategies, tail)


def read_strategies(folder: Path, manifest: Manifest) -> dict[str, Strategy]:
    """As they were trained, whoever was forgotten since: for what has nothing to do with people."""
    return {name: _read_strategy(folder / name, name, entry) for name, entry in manifest.strategies.items()}


def _write_strategy(folder: Path, strategy: Strategy) -> StrategyEntry:
    folder.mkdir()
    arrays = strategy.arrays()
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values, allow_pickle=False)
    return StrategyEntry(strategy.parameters(), tuple(arrays))


def _read_strategy(folder: Path, name: str, entry: StrategyEntry) -> Strategy:
    # Mapped, but as plain arrays: each slice of a `numpy.memmap` costs several times what one of an array does.
    arrays = {
        array: np.asarray(np.load(folder / f"{array}.npy", mmap_mode="r", allow_pickle=False))
        for array in entry.arrays
    }
    return algorithms.STRATEGIES[name].from_arrays(arrays, entry.parameters)


def _write_items(folder: Path, item_ids: Sequence[str]) -> None:
    encoded = [item_id.encode() for item_id in item_ids]
    np.save(folder / "item_ids.npy", np.frombuffer(b"".join(encoded), np.uint8))
    np.save(folder / "item_offsets.npy", np.cumsum([0, *map(len, encoded)], dtype=np.int64))


def _read_items(folder: Path) -> tuple[str, ...]:
    text = np.load(folder / "item_ids.npy").tobytes()
    offsets = np.load(folder / "item_offsets.npy").tolist()
    return tuple(text[start:end].decode() for start, end in pairwise(offsets))


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    named = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: _sha256(path) for name, path in named.items() if name.split("/")[0] not in UNHASHED}


def _verify(folder: Path, manifest: Manifest) -> None:
    for name, expected in manifest.hashes.items():
        if _sha256(folder / name) != expected:
            raise UnreadableModel(
                f"{folder / name} was altered after training: its SHA-256 is not the manifest's. Roll back."
            )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
