"""`python -m benchmarks.training.version`: a whole version trained and saved, read by another process, and caught up.

`… save FOLDER RECIPE` trains all strategies of a recipe on a log, as `manage.py train` does, and writes the version into the model
directory of the settings. `… load` maps it into memory as a web process does. `… append VISITS` writes what came since (`tail.npz`).
Each prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import django
import numpy as np

from algorithms.types import Query, TrainingData
from benchmarks.training.fit import load_kernels
from benchmarks.training.generator import DAY_SECONDS, generated_log
from benchmarks.training.log_files import read_log
from benchmarks.training.process_memory import own_mb, peak_mb, resident_mb

STORE: Final = 1
NUMBER: Final = 1


def main() -> None:
    django.setup()
    actions: dict[str, Callable[..., dict[str, float]]] = {"save": _save, "load": _load, "append": _append}
    figures = actions[sys.argv[1]](*sys.argv[2:])
    print(json.dumps({key: round(value, 4) for key, value in figures.items()}))


def _save(log: str, recipe_json: str) -> dict[str, float]:
    from recommendations.model_store import folder as model_folder
    from recommendations.model_store.manifest import Manifest
    from recommendations.training.fitting import fit_all
    from recommendations.training.reporting import Silent

    data, recipe = read_log(Path(log)), json.loads(recipe_json)
    load_kernels(recipe, data)
    started = time.perf_counter()
    strategies = fit_all(recipe, data, 0, Silent(), "fit")
    trained = time.perf_counter()
    manifest = Manifest(
        store_id=STORE,
        number=NUMBER,
        trained_at=data.now,
        data_from=float(data.timestamp.min()),
        data_until=data.now,
        n_items=data.n_items,
        n_sessions=data.n_sessions,
        strategies={},
    )
    names = [f"product-{item}" for item in range(data.n_items)]
    folder = model_folder.save(manifest, names, strategies, data, np.arange(1, data.n_sessions + 1).tolist())
    saved = time.perf_counter()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {
        "seconds": trained - started,
        "peak_mb": peak_mb(),
        "save_seconds": saved - trained,
        "folder_mb": size / 2**20,
    }


def _load() -> dict[str, float]:
    from recommendations.model_store import folder as model_folder

    folder = model_folder.model_dir() / model_folder.relative_folder(STORE, NUMBER)
    _warm_up(folder)
    resident, own = resident_mb(), own_mb()
    started = time.perf_counter()
    model = model_folder.load(folder, verify=False, with_tail=True)
    read = time.perf_counter()
    query = Query.of([1, 2, 3], now=model.known_until)
    for strategy in model.strategies.values():
        strategy.score(query)
    asked = time.perf_counter()
    return {
        "seconds": read - started,
        "first_question_seconds": asked - read,
        "resident_mb": resident_mb() - resident,
        "own_mb": own_mb() - own,
    }


def _warm_up(folder: Path) -> None:
    """Kernels and libraries in memory; what that version held is given back."""
    from recommendations.model_store import folder as model_folder

    model = model_folder.load(folder, verify=False, with_tail=True)
    for strategy in model.strategies.values():
        strategy.score(Query.of([1, 2, 3], now=0.0))


def _append(visits: str) -> dict[str, float]:
    """Visits of the hour after the training; of ten a beginning was there already."""
    from recommendations.model_store import folder as model_folder
    from recommendations.model_store import tail as model_tail

    folder = model_folder.model_dir() / model_folder.relative_folder(STORE, NUMBER)
    manifest = model_folder.read_items(folder)[0]
    data = _visits_after(manifest.n_items, int(visits), manifest.data_until)
    owners = np.arange(1, data.n_sessions + 1, dtype=np.uint64)
    replaces = np.arange(min(10, manifest.n_sessions), dtype=np.int64)
    started = time.perf_counter()
    model_tail.write(folder, model_tail.Tail(data, owners, replaces))
    return {"seconds": time.perf_counter() - started, "visits": data.n_sessions, "events": len(data)}


def _visits_after(n_items: int, visits: int, until: float) -> TrainingData:
    whole = generated_log(n_items, visits * 8, seed=1)
    some = whole.select(whole.session < visits)
    moments = until + (some.timestamp % DAY_SECONDS) / 24.0
    order = np.lexsort((moments, some.session))
    return replace(some, timestamp=moments[order], item=some.item[order], now=until + 3600.0,
                   item_features=None, item_texts=None, item_category=None, item_created=None)  # fmt: skip


if __name__ == "__main__":
    main()
