"""A log as a folder of arrays, for the processes that train on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import numpy as np
from scipy.sparse import load_npz, save_npz

from algorithms.erasure import LOG_COLUMNS, log_arrays, log_parameters
from algorithms.types import TrainingData

ITEM_COLUMNS: Final = ("item_category", "item_created")


def write_log(folder: Path, data: TrainingData) -> None:
    """Features of shoppers are left out: only a store's own log has them."""
    folder.mkdir(parents=True)
    for name, values in log_arrays(data).items():
        np.save(folder / f"{name}.npy", values)
    for name in ITEM_COLUMNS:
        if getattr(data, name) is not None:
            np.save(folder / f"{name}.npy", getattr(data, name))
    if data.item_features is not None:
        save_npz(folder / "item_features.npz", data.item_features, compressed=False)
    if data.item_texts is not None:
        (folder / "item_texts.json").write_text(json.dumps(data.item_texts))
    (folder / "log.json").write_text(json.dumps(log_parameters(data)))


def read_log(folder: Path) -> TrainingData:
    """In memory, as a training holds it."""
    sizes = json.loads((folder / "log.json").read_text())
    items = {
        name: np.load(folder / f"{name}.npy") for name in ITEM_COLUMNS if (folder / f"{name}.npy").exists()
    }
    features, texts = folder / "item_features.npz", folder / "item_texts.json"
    return TrainingData(
        **{name: np.load(folder / f"{name}.npy") for name in LOG_COLUMNS},
        **sizes,
        **items,
        item_features=load_npz(features).tocsr() if features.exists() else None,
        item_texts=json.loads(texts.read_text()) if texts.exists() else None,
    )
